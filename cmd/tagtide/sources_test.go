package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/internal/roster"
	"github.com/tagtide/tagtide/stream"
)

// An emitter's id is what its source has read is remembered under: it depends
// on nothing but the source and the instance, and files keep the one they have
// always had.
func TestEmittersKeepTheirIDsWhateverOthersThereAre(t *testing.T) {
	ids := map[string]bool{}
	for want, f := range map[string]struct {
		feed     feed
		instance string
	}{
		"g-emitter":                           {feed{kind: kindFile}, ""},
		"g-emitter-a":                         {feed{kind: kindFile}, "a"},
		"g-emitter.demo":                      {feed{kind: kindDemo}, ""},
		"g-emitter.demo@a":                    {feed{kind: kindDemo}, "a"},
		"g-emitter.mastodon.social.example":   {feed{kind: kindMastodon, server: "social.example"}, ""},
		"g-emitter.mastodon.127.0.0.1:3000@a": {feed{kind: kindMastodon, server: "127.0.0.1:3000"}, "a"},
	} {
		got := f.feed.id("g", f.instance)
		if got != want || ids[got] {
			t.Errorf("%+v: %s, want %s", f, got, want)
		}
		ids[got] = true
	}
}

func TestFlagsOfNetworksAreToldApart(t *testing.T) {
	for name, c := range map[string]struct {
		flags sourceFlags
		once  bool
		says  string // empty: they are right
	}{
		"bluesky":              {sourceFlags{Source: []string{"bluesky"}, Server: []string{"a", "http://b/c", "ws://u:p@b/d/subscribe"}}, false, ""},
		"mastodon":             {sourceFlags{Source: []string{"mastodon"}, Server: []string{"a"}, TokenFile: []string{"f"}}, false, ""},
		"mastodons":            {sourceFlags{Source: []string{"mastodon"}, Server: []string{"a", "b"}, TokenFile: []string{"b=f"}}, false, ""},
		"all":                  {sourceFlags{Source: []string{"demo", "x", "mastodon"}, Server: []string{"mastodon=a"}, TokenFile: []string{"x=f"}, Track: []string{"y"}}, false, ""},
		"endless":              {sourceFlags{Source: []string{"demo", "bluesky"}, Posts: 1}, true, "--once"},
		"which server":         {sourceFlags{Source: []string{"bluesky", "mastodon"}, Server: []string{"a"}}, false, "SOURCE=a"},
		"not that one":         {sourceFlags{Source: []string{"bluesky"}, Server: []string{"mastodon=a"}}, false, "no --source mastodon"},
		"mastodon's server":    {sourceFlags{Source: []string{"mastodon"}}, false, "--server"},
		"twice":                {sourceFlags{Source: []string{"mastodon"}, Server: []string{"a", "a"}}, false, "--server a"},
		"twice, spelled":       {sourceFlags{Source: []string{"mastodon"}, Server: []string{"a.example", "http://A.example./"}}, false, "a.example is there twice"},
		"a space":              {sourceFlags{Source: []string{"mastodon"}, Server: []string{"a b"}}, false, "--server a b"},
		"a scheme":             {sourceFlags{Source: []string{"mastodon"}, Server: []string{"ftp://a"}}, false, "https, not ftp"},
		"a path":               {sourceFlags{Source: []string{"mastodon"}, Server: []string{"a/@b"}}, false, "--server …@b"},
		"no name":              {sourceFlags{Source: []string{"mastodon"}, Server: []string{""}}, false, "no name of a server"},
		"a password":           {sourceFlags{Source: []string{"bluesky"}, Server: []string{"wss://u:hush@a b"}}, false, "--server …@a b"},
		"parameters":           {sourceFlags{Source: []string{"bluesky"}, Server: []string{"a?x=1"}}, false, "--server a?x=1"},
		"X's server":           {sourceFlags{Source: []string{"x"}, Server: []string{"x=ftp://a"}, Track: []string{"y"}, TokenFile: []string{"f"}}, false, "--server x=ftp://a"},
		"X's phrase":           {sourceFlags{Source: []string{"x"}, Track: []string{`say "y"`}, TokenFile: []string{"f"}}, false, "quotation mark"},
		"a token by any name":  {sourceFlags{Source: []string{"mastodon"}, Server: []string{"a", "b"}, TokenFile: []string{"https://B/=f"}}, false, ""},
		"whose token":          {sourceFlags{Source: []string{"mastodon"}, Server: []string{"a", "b"}, TokenFile: []string{"f"}}, false, "--token-file"},
		"two tokens":           {sourceFlags{Source: []string{"x"}, TokenFile: []string{"f", "g"}, Track: []string{"y"}}, false, "--token-file"},
		"x without track":      {sourceFlags{Source: []string{"x"}, TokenFile: []string{"f"}}, false, "--track"},
		"x without token":      {sourceFlags{Source: []string{"x"}, Track: []string{"y"}}, false, "--token-file"},
		"bluesky with a token": {sourceFlags{Source: []string{"bluesky"}, TokenFile: []string{"f"}}, false, "--token-file"},
		"rate":                 {sourceFlags{Source: []string{"bluesky"}, Rate: new(float64)}, false, "--rate"},
	} {
		err := c.flags.validate(c.once)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want it to name %q", name, err, c.says)
		}
		if usage := (usageError{}); err != nil && !errors.As(err, &usage) {
			t.Errorf("%s: %v is no usage error", name, err)
		}
	}
}

func TestTwoSourcesAreCountedTogether(t *testing.T) {
	dir := t.TempDir()
	file, data := filepath.Join(dir, "tweets.jsonl"), filepath.Join(dir, "data")
	want := tweets(t, file, 500, 6)
	args := []string{"run", "--once", "--output", "ndjson", "--data-dir", data, "--source", "file", "--input", file}
	code, out, stderr := do(t, "", append(args, "--source", "demo", "--posts", "200", "--rate", "0")...)
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	got := counted(t, out)
	for tag, n := range want {
		if got[tag] != n {
			t.Fatalf("%s has %d, want %d", tag, got[tag], n)
		}
	}
	if len(got) <= len(want) {
		t.Error("nothing of the demo")
	}
	// The file alone goes on where it was, and so does the demo.
	code, out, stderr = do(t, "", args...)
	if code != exitDone || !strings.Contains(stderr, "--again") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	same(t, "the file again", counted(t, out), got)
}

// brokenSource is a network that wants something mended.
type brokenSource struct{}

func (brokenSource) Name() string               { return "broken" }
func (brokenSource) Progress() emitter.Progress { return emitter.Progress{} }
func (brokenSource) State() emitter.State       { return emitter.State{Phase: emitter.Connecting} }
func (brokenSource) Run(context.Context, emitter.Sink) error {
	return errors.New("the token is refused")
}

// A source that has stopped for good stops none of the others; it is told at
// once, stands in the pipeline, and makes the command fail in the end.
func TestASourceThatStopsLeavesTheOthersAlone(t *testing.T) {
	l, err := stream.OpenEmbedded(t.TempDir(), stream.EmbeddedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var said words
	logger := slog.New(slog.NewTextHandler(&said, nil))
	w := newWorks("run", l, groupFlags{nameFlags: nameFlags{Group: "g", InputTopic: "tweets"}}.graph(), logger)
	defer w.close()
	source := sourceFlags{Source: []string{"demo"}, Posts: 50, Rate: new(float64)}
	names := nameFlags{Group: "g", InputTopic: "tweets"}
	if err := w.addEmitters(emitting{source: &source, names: names, topics: topicFlags{CreateTopics: true}}, std{}); err != nil {
		t.Fatal(err)
	}
	broken, err := emitter.New(l, "tweets", brokenSource{}, emitter.Options{Stream: stream.EmitterOptions{ID: "b", Cursors: "g-cursors-table", Logger: logger}})
	if err != nil {
		t.Fatal(err)
	}
	w.emitters = append(w.emitters, broken)
	err = w.emit(t.Context())
	if err == nil || !strings.Contains(err.Error(), "source broken: the token is refused") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(said.String(), "level=ERROR") || !strings.Contains(said.String(), "the others go on") {
		t.Errorf("said %s", &said)
	}
	var i roster.Instance
	w.look(&i)
	if len(i.Sources) != 2 || i.Sources[0].State != "ended" || i.Sources[0].Posts != 50 || i.Sources[1].State != "stopped" ||
		!strings.Contains(i.Sources[1].Problem, "token") || i.Sources[1].Since.IsZero() {
		t.Errorf("%+v", i.Sources)
	}
}

func TestThePipelineTellsOfSources(t *testing.T) {
	p := launch(t, "run", "--listen", "127.0.0.1:0", "--rate", "500")
	url := p.said(`page on (http://\S+)`)
	eventually(t, url, "some posts", 30*time.Second, func(s stats) bool { return s.Data.Posts > 100 })
	var answer struct {
		Data struct{ Instances []roster.Instance }
	}
	if err := getJSON(t.Context(), url+"/api/v1/pipeline", &answer); err != nil {
		t.Fatal(err)
	}
	if s := answer.Data.Instances[0].Sources; len(s) != 1 || s[0].Source != "demo" || s[0].State != "reading" || s[0].Posts < 100 {
		t.Errorf("%+v", s)
	}
	p.stop()
}
