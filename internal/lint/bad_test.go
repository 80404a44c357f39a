package lint

import (
	"strings"
	"testing"
	"testing/fstest"
)

// An example is a tree of a few files and what a rule finds in it.
type example struct {
	rule  string
	name  string
	files map[string]string
	finds string // the beginning of the only finding; "" for none
}

// TestRulesCanFail shows each rule something that breaks it, and something
// close to it that does not.
func TestRulesCanFail(t *testing.T) {
	for _, e := range examples() {
		t.Run(e.rule+"/"+e.name, func(t *testing.T) {
			tree, err := Load(fileSystem(e.files))
			if err != nil {
				t.Fatal(err)
			}
			found := ruleNamed(t, e.rule).Check(tree)
			switch {
			case e.finds == "" && len(found) > 0:
				t.Errorf("found %q in an innocent tree", found)
			case e.finds != "" && len(found) != 1:
				t.Fatalf("found %q, want one finding: %s", found, e.finds)
			case e.finds != "" && !strings.HasPrefix(found[0].String(), e.finds+" <- please "):
				t.Errorf("found %q\nwant  %q", found[0].String(), e.finds)
			}
		})
	}
}

// TestEveryRuleHasAnExample holds new rules to the same.
func TestEveryRuleHasAnExample(t *testing.T) {
	bad, good := make(map[string]bool), make(map[string]bool)
	for _, e := range examples() {
		bad[e.rule] = bad[e.rule] || e.finds != ""
		good[e.rule] = good[e.rule] || e.finds == ""
	}
	for _, r := range Rules() {
		if !bad[r.Name] || !good[r.Name] {
			t.Errorf("rule %q: has an example that breaks it: %v, one that does not: %v", r.Name, bad[r.Name], good[r.Name])
		}
	}
}

// TestRoomsPointDown holds the table of rooms to its own rule: a room names
// only rooms above it in the list, and the four rooms of a tweet's way never
// one another, in tests neither.
func TestRoomsPointDown(t *testing.T) {
	way := map[string]bool{"emitter": true, "processor": true, "view": true, "api": true}
	above := map[string]bool{"stream/internal": true}
	all := make(map[string]bool)
	for _, r := range rooms {
		if all[r.path] {
			t.Errorf("%s stands twice in the table", r.path)
		}
		all[r.path] = true
	}
	for _, r := range rooms {
		for _, name := range r.may {
			if !above[name] {
				t.Errorf("%s may import %s, which does not stand above it", r.path, name)
			}
		}
		for _, name := range append(r.may, r.tests...) {
			if way[r.path] && way[name] {
				t.Errorf("%s may import %s: they meet in topics and in cmd only", r.path, name)
			}
			if !all[name] && name != "stream/internal" {
				t.Errorf("%s names %s, which is no room", r.path, name)
			}
			if under(r.path, "stream") && !under(name, "stream") {
				t.Errorf("%s may import %s: the engine knows nothing outside of itself", r.path, name)
			}
		}
		above[r.path] = true
	}
}

// TestTestdataIsNotCode: files under testdata are not held to the rules for
// code, those of text excepted.
func TestTestdataIsNotCode(t *testing.T) {
	tree, err := Load(fileSystem(map[string]string{"post/testdata/x.go": "not Go", "post/x.go": "package post"}))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Go) != 1 || len(tree.Text) != 2 {
		t.Errorf("read %d Go files and %d texts, want 1 and 2", len(tree.Go), len(tree.Text))
	}
}

// TestAWorktreeIsATreeToo: what git keeps in it is a file, not a folder.
func TestAWorktreeIsATreeToo(t *testing.T) {
	tree, err := Load(fileSystem(map[string]string{".git": "gitdir: elsewhere", ".gitignore": "x"}))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Text) != 1 || tree.Paths[".git"] {
		t.Errorf("read %d texts, want 1, and %v", len(tree.Text), tree.Paths)
	}
}

func fileSystem(files map[string]string) fstest.MapFS {
	fsys := make(fstest.MapFS)
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func ruleNamed(t *testing.T, name string) Rule {
	t.Helper()
	for _, r := range Rules() {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("there is no rule %q", name)
	return Rule{}
}

func examples() []example {
	var all []example
	for _, group := range [][]example{
		layoutExamples(), topicExamples(), importExamples(), doorExamples(), pureExamples(), processExamples(),
		stateExamples(), lengthExamples(), commentExamples(), textExamples(),
	} {
		all = append(all, group...)
	}
	return all
}

// file makes a tree of one file.
func file(name, text string) map[string]string { return map[string]string{name: text} }

func layoutExamples() []example {
	const layout, rooms = "top-level folders are the way of a tweet", "every package has a room"
	return []example{
		{layout, "utils", file("utils/u.go", "package utils"), "utils/: not one of the top-level folders"},
		{layout, "the way", map[string]string{"emitter/e.go": "package emitter", ".ci/run": "", ".git/x": "", "LICENSE": ""}, ""},
		{rooms, "nowhere", file("internal/misc/m.go", "package misc"), "internal/misc/m.go:1: package misc lies in no room"},
		{rooms, "in a divided room", file("stream/internal/misc/m.go", "package misc"), "stream/internal/misc/m.go:1: package misc lies in no room"},
		{rooms, "below a room", file("emitter/archive/a.go", "package archive"), ""},
		{rooms, "a divided room", file("stream/s.go", "package stream"), ""},
	}
}

func topicExamples() []example {
	const rule = "topics are named in one place"
	pkg := func(room, body string) map[string]string { return file(room+"/x.go", "package x\n"+body) }
	return []example{
		{rule, "whole", pkg("view", `const topic = "hashtags-table"`), "view/x.go:2: names a topic: \"hashtags-table\""},
		{rule, "put together", pkg("stream", `func f(g string) string { return g + "-loop" }`), "stream/x.go:2: names a topic: \"-loop\""},
		{rule, "formatted", pkg("cmd/tagtide", `var f = "%s-dead"`), "cmd/tagtide/x.go:2: names a topic: \"%s-dead\""},
		{rule, "its place", pkg("stream/internal/topology", `const suffix = "-loop"`), ""},
		{rule, "in a sentence", pkg("cmd/tagtide", `const help = "prints a topic, such as hashtags-table"`), ""},
	}
}

func importExamples() []example {
	const rule = "imports point down"
	imports := func(room, imported string) map[string]string {
		return file(room+"/x.go", "package x\nimport _ \""+Module+"/"+imported+"\"")
	}
	bad := func(name, room, imported string) example {
		return example{rule, name, imports(room, imported), room + "/x.go:2: " + room + " imports " + imported}
	}
	good := func(name, room, imported string) example { return example{rule, name, imports(room, imported), ""} }
	return []example{
		bad("view knows processor", "view", "processor"),
		bad("api knows view", "api", "view"),
		bad("source knows api", "emitter/archive", "api"),
		bad("engine knows posts", "stream", "post"),
		bad("engine knows a tool", "stream/internal/log", "internal/ranking"),
		bad("record looks up", "stream/internal/record", "stream/codec"),
		bad("task knows a keeper", "stream/internal/task", "stream/internal/log/embedded"),
		bad("product behind the engine's doors", "processor", "stream/internal/log"),
		bad("library imports cmd", "internal/ranking", "cmd/tagtide"),
		bad("root", "post", "nosuchroom"),
		good("door", "processor", "stream"),
		good("within a room", "emitter", "emitter/archive"),
		good("a keeper and its contract", "stream/internal/log/embedded", "stream/internal/log"),
		good("cmd wires", "cmd/tagtide", "api"),
		{rule, "test of a keeper", file("stream/internal/log/embedded/x_test.go",
			"package x\nimport _ \""+Module+"/stream/internal/log/logtest\""), ""},
		bad("keeper knows its judge", "stream/internal/log/embedded", "stream/internal/log/logtest"),
	}
}

func doorExamples() []example {
	const rule = "one door per third party"
	imports := func(name, imported string) map[string]string {
		return file(name, "package x\nimport _ \""+imported+"\"")
	}
	bad := func(name, imported string) example {
		return example{rule, name + " " + imported, imports(name, imported), name + ":2: imports " + imported}
	}
	good := func(name, imported string) example {
		return example{rule, name + " " + imported, imports(name, imported), ""}
	}
	return []example{
		bad("stream/processor.go", "github.com/IBM/sarama"),
		good("stream/internal/log/kafkalog/txn.go", "github.com/IBM/sarama"),
		bad("stream/broker.go", "github.com/twmb/franz-go/pkg/kgo"),
		good("stream/broker_test.go", "github.com/twmb/franz-go/pkg/kgo"),
		good("cmd/tagtide/broker.go", "github.com/twmb/franz-go/pkg/kfake"),
		bad("view/view.go", "github.com/cockroachdb/pebble/v2"),
		good("view/view_test.go", "github.com/cockroachdb/pebble/v2/vfs"),
		bad("view/view_test.go", "github.com/cockroachdb/pebble/v2"),
		bad("stream/internal/log/embeddedly/x.go", "github.com/cockroachdb/pebble/v2/vfs"),
		good("stream/internal/log/embedded/x.go", "github.com/cockroachdb/pebble/v2/vfs"),
		bad("cmd/tagtide/serve.go", "github.com/gorilla/mux"),
		good("api/routes.go", "github.com/gorilla/mux"),
		bad("api/routes.go", "github.com/prometheus/client_golang/prometheus"),
		good("api/metrics.go", "github.com/prometheus/client_golang/prometheus"),
		good("stream/view_metrics.go", "github.com/prometheus/client_golang/prometheus"),
		bad("stream/metricsgo.go", "github.com/prometheus/client_golang/prometheus"),
		good("api/routes_test.go", "github.com/prometheus/client_golang/prometheus/testutil"),
		bad("api/shot.go", "github.com/chromedp/chromedp"),
		good("stream/internal/store/storetest/model.go", "pgregory.net/rapid"),
		good("api/webtest/page_test.go", "github.com/chromedp/chromedp"),
		bad("post/json.go", "github.com/stranger/json"),
		good("post/json.go", "encoding/json"),
	}
}

func pureExamples() []example {
	const rule = "no clock, disk or network in the pure core"
	pkg := func(name, body string) map[string]string { return file(name, "package x\n"+body) }
	return []example{
		{rule, "clock", pkg("stream/internal/task/x.go", `import "time"; var T = time.Now()`), "stream/internal/task/x.go:2: time.Now"},
		{rule, "clock as a value", pkg("stream/codec/x.go", `import clock "time"; var T = clock.Since`), "stream/codec/x.go:2: time.Since"},
		{rule, "timer", pkg("stream/internal/assign/x.go", `import "time"; var T = time.NewTimer(1)`), "stream/internal/assign/x.go:2: time.NewTimer"},
		{rule, "disk", pkg("stream/internal/record/x.go", `import "os"`), "stream/internal/record/x.go:2: imports os"},
		{rule, "network", pkg("stream/internal/topology/x.go", `import "net/http"`), "stream/internal/topology/x.go:2: imports net/http"},
		{rule, "dice", pkg("stream/internal/task/x.go", `import "math/rand/v2"`), "stream/internal/task/x.go:2: imports math/rand/v2"},
		{rule, "duration", pkg("stream/internal/task/x.go", `import "time"; const D = time.Second`), ""},
		{rule, "a variable called time", pkg("stream/internal/task/x.go", `type c struct{ Now int }; func f(time c) int { return time.Now }`), ""},
		{rule, "its tests", pkg("stream/internal/task/x_test.go", `import "os"`), ""},
		{rule, "other rooms", pkg("stream/x.go", `import "time"; var T = time.Now`), ""},
	}
}

func processExamples() []example {
	const env, process = "the environment is read in commands only", "libraries leave the process to its command"
	lib := func(body string) map[string]string { return file("post/x.go", "package post\n"+body) }
	return []example{
		{env, "getenv", lib(`import "os"; var H = os.Getenv("H")`), "post/x.go:2: os.Getenv"},
		{env, "home", lib(`import "os"; func F() { os.UserHomeDir() }`), "post/x.go:2: os.UserHomeDir"},
		{env, "cmd", file("cmd/tagtide/x.go", `package main; import "os"; var H = os.Getenv("H")`), ""},
		{process, "print", lib(`import "fmt"; func F() { fmt.Println() }`), "post/x.go:2: fmt.Println"},
		{process, "builtin", lib(`func F() { println() }`), "post/x.go:2: println"},
		{process, "exit", lib(`import "os"; func F() { os.Exit(1) }`), "post/x.go:2: os.Exit"},
		{process, "log", lib(`import "log"`), "post/x.go:2: imports log"},
		{process, "default logger", lib(`import "log/slog"; func F() { slog.Info("") }`), "post/x.go:2: log/slog.Info"},
		{process, "promauto", lib(`import "github.com/prometheus/client_golang/prometheus/promauto"`),
			"post/x.go:2: imports github.com/prometheus/client_golang/prometheus/promauto"},
		{process, "to a writer", lib(`import ("fmt"; "io"); func F(w io.Writer) { fmt.Fprintln(w) }`), ""},
		{process, "a command", file("internal/bench/x.go", `package main; import "fmt"; func main() { fmt.Println() }`), ""},
		{process, "a method", lib(`type t struct{}; func (t) println() {}; func f(x t) { x.println() }`), ""},
	}
}

func stateExamples() []example {
	const initRule, globals = "no init functions", "no globals with state"
	lib := func(body string) map[string]string { return file("post/x.go", "package post\n"+body) }
	return []example{
		{initRule, "init", lib("func init() {}"), "post/x.go:2: func init"},
		{initRule, "a method", lib("type t int; func (t) init() {}"), ""},
		{globals, "mutex", lib(`import "sync"; var mu sync.Mutex`), "post/x.go:2: package variable of type sync.Mutex"},
		{globals, "in a struct", lib(`import "sync"; var g struct{ mu sync.RWMutex }`), "post/x.go:2: package variable of type sync.RWMutex"},
		{globals, "atomic", lib(`import "sync/atomic"; var n atomic.Int64`), "post/x.go:2: package variable of type atomic.Int64"},
		{globals, "channel", lib(`var c = make(chan int)`), "post/x.go:2: package variable of type chan"},
		{globals, "table", lib(`var names = map[int]string{1: "one"}`), ""},
		{globals, "local", lib(`import "sync"; func f() { var mu sync.Mutex; mu.Lock() }`), ""},
	}
}

func lengthExamples() []example {
	const rule = "functions fit on a screen"
	body := func(lines int) string { return "{" + strings.Repeat("\n", lines-1) + "}" }
	return []example{
		{rule, "71", file("post/x.go", "package post\nfunc f() "+body(71)), "post/x.go:2: func f has 71 lines"},
		{rule, "71 in a test", file("post/x_test.go", "package post\nfunc f() "+body(71)), "post/x_test.go:2: func f has 71 lines"},
		{rule, "71 without a name", file("post/x.go", "package post\nvar f = func() "+body(71)), "post/x.go:2: a function has 71 lines"},
		{rule, "70", file("post/x.go", "package post\nfunc f() "+body(70)), ""},
	}
}

func commentExamples() []example {
	const pkg, doc, skip = "every package has a package comment", "exported things are documented", "no test skips itself"
	lib := func(body string) map[string]string { return file("post/x.go", "package post\n"+body) }
	return []example{
		{pkg, "none", lib(""), "post/x.go:1: package post has no package comment"},
		{pkg, "in the other file", map[string]string{"post/a.go": "package post", "post/b.go": "// Package post is a noun.\npackage post"}, ""},
		{pkg, "outside tests", map[string]string{"post/a.go": "// Package post is a noun.\npackage post", "post/a_test.go": "package post_test"}, ""},
		{doc, "func", lib("func F() {}"), "post/x.go:2: func F has no comment"},
		{doc, "method", lib("// T is one.\ntype T[K any] int\nfunc (t *T[K]) M() {}"), "post/x.go:4: func M has no comment"},
		{doc, "type", lib("type T int"), "post/x.go:2: type T has no comment"},
		{doc, "const", lib("const C = 1"), "post/x.go:2: const C has no comment"},
		{doc, "var", lib("var V int"), "post/x.go:2: var V has no comment"},
		{doc, "method of an interface", lib("// T is one.\ntype T interface {\n\t// M is.\n\tM()\n\tN()\n}"),
			"post/x.go:6: method T.N has no comment"},
		{doc, "methods of one comment", lib("// T is one.\ntype T interface {\n\t// M undoes N.\n\tM()\n\tN()\n}"), ""},
		{doc, "method of its type", lib("// T does M.\ntype T interface { M() }"), ""},
		{doc, "a group", lib("// The sizes.\nconst (\n\tA = 1\n\tB = 2\n)"), ""},
		{doc, "known", lib("// T is one.\ntype T int\nfunc (T) String() string { return \"\" }"), ""},
		{doc, "hidden", lib("type t int; func (t) M() {}; func f() {}"), ""},
		{doc, "command", file("cmd/tagtide/x.go", "package main\nfunc F() {}"), ""},
		{skip, "skip", file("post/x_test.go", `package post; import "testing"; func TestX(t *testing.T) { t.Skip() }`), "post/x_test.go:1: t.Skip"},
		{skip, "of a decoder", file("post/x_test.go", `package post; func f(dec interface{ Skip() }) { dec.Skip() }`), ""},
	}
}

func textExamples() []example {
	const format, open, paths = "gofmt", "nothing left open", "no path of one machine"
	const docs = "documents speak of what is there"
	return []example{
		{docs, "broken link", file("docs/x.md", "[a](y.md)"), "docs/x.md:1: links to y.md, which is not there"},
		{docs, "missing picture", file("README.md", "![a](docs/a.png)"), "README.md:1: links to docs/a.png, which is not there"},
		{docs, "missing test", file("docs/x.md", "see `TestGone`"), "docs/x.md:1: names TestGone, which is no test"},
		{docs, "comment", file("post/x.go", "package post\n\n// See docs/formats/x.md."), "post/x.go:3: names docs/formats/x.md, which is not there"},
		{docs, "all there", map[string]string{"docs/x.md": "[a](../post) [b](../post/x_test.go#L1) [c](https://x.org) [d](#e) `TestX` `Testing`",
			"post/x_test.go": "package post\nfunc TestX() {}"}, ""},
		{format, "spaces", file("post/x.go", "package post\n\nvar  x = 1\n"), "post/x.go: not formatted"},
		{format, "good", file("post/x.go", "package post\n\nvar x = 1\n"), ""},
		{open, "code", file("post/x.go", "package post\n// TO"+"DO: later"), "post/x.go:2: TO" + "DO"},
		{open, "context", file("post/x.go", "package post\nvar c = context.TO"+"DO()"), "post/x.go:2: TO" + "DO"},
		{open, "docs", file("docs/x.md", "FIX"+"ME"), "docs/x.md:1: FIX" + "ME"},
		{open, "template", file("Makefile", "mktemp /tmp/x.XXXX"+"XX"), ""},
		{paths, "code", file("post/x_test.go", "package post\nconst f = \"/wo"+"rk/shared/data\""), "post/x_test.go:2: \"/wo" + "rk/shared"},
		{paths, "home", file("docs/x.md", "see /ho"+"me/jo/x"), "docs/x.md:1: /ho" + "me/jo/"},
		{paths, "import path", file("post/x.go", "package post\nimport _ \"golang.org/x/wo"+"rk/main\""), ""},
		{paths, "a tilde", file("docs/x.md", "~/.local/state"), ""},
	}
}
