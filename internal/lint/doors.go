package lint

import (
	"fmt"
	"path"
	"strings"
)

// A door is where a third party comes in. Everything else reaches it through
// the room behind the door, in our words, so that it can be replaced there.
type door struct {
	module string             // the third party: this import path and all below it
	open   func(f *File) bool // the files that may import it
	where  string             // the same in words
	use    string             // what others do instead
}

// doors lists every third party. One that is not here comes in nowhere.
var doors = []door{
	{"github.com/IBM/sarama", in("stream/internal/log/kafkalog"), "stream/internal/log/kafkalog",
		"use the contract stream/internal/log"},
	{"github.com/twmb/franz-go", either(tests, in("cmd", "internal/bench")), "tests, cmd (the development broker) and bench (a fast client to compare with)",
		"use the contract stream/internal/log"},
	{"github.com/cockroachdb/pebble/v2/vfs", either(tests, in("stream/internal/crashfs", "stream/internal/log/embedded", "stream/internal/store/pebblestore")),
		"tests and crashfs (a disk that crashes), beside the doors of Pebble", "use the os package"},
	{"github.com/cockroachdb/pebble", in("stream/internal/log/embedded", "stream/internal/store/pebblestore"),
		"stream/internal/log/embedded and stream/internal/store/pebblestore",
		"use the contracts stream/internal/log and stream/internal/store"},
	{"github.com/coder/websocket", in("emitter/bluesky"), "emitter/bluesky", "listen through a source"},
	{"github.com/gorilla/mux", in("api"), "api", "let api route"},
	{"github.com/prometheus", either(tests, metrics), "files named metrics.go or …_metrics.go",
		"count in the room's metrics.go, on the registerer that the caller gave"},
	{"github.com/chromedp", tests, "tests", "keep browsers in tests"},
	{"go.uber.org/goleak", tests, "tests", "wait for the goroutines you start"},
	{"go.yaml.in/yaml", tests, "tests", "keep what is read as YAML in tests"},
	{"pgregory.net/rapid", tests, "tests", "keep generators in tests"},
	{"github.com/xdg-go/scram", in("stream/internal/log/kafkalog"), "stream/internal/log/kafkalog", "let kafkalog prove who we are"},
	{"github.com/alecthomas/kong", in("cmd"), "cmd", "take an Options struct"},
	{"github.com/schollz/progressbar", in("cmd"), "cmd", "report progress through a callback"},
	{"github.com/dustin/go-humanize", in("cmd", "api"), "cmd and api", "return numbers, and let them be printed there"},
	{"golang.org/x/term", in("cmd"), "cmd", "let cmd look at the terminal"},
	{"github.com/klauspost/compress", in("emitter", "api", "stream/internal/record"), "emitter (files), api (answers) and stream/internal/record (batches)",
		"let one of them pack and unpack"},
	{"github.com/cespare/xxhash", in("stream"), "stream", "use hash/maphash"},
	{"golang.org/x/text", in("hashtag"), "hashtag", "use hashtag.Fold"},
	{"golang.org/x/sync", anywhere, "anywhere", ""},
	{"golang.org/x/sys", in("stream/internal", "cmd"), "stream/internal and cmd", "use the os package"},
}

// in opens a door to files in folders and below them.
func in(folders ...string) func(*File) bool {
	return func(f *File) bool {
		for _, folder := range folders {
			if under(f.Room, folder) {
				return true
			}
		}
		return false
	}
}

// metrics opens a door to the files that count.
func metrics(f *File) bool {
	name := path.Base(f.Path)
	return name == "metrics.go" || strings.HasSuffix(name, "_metrics.go")
}

// either opens a door that one of two opens.
func either(a, b func(*File) bool) func(*File) bool {
	return func(f *File) bool { return a(f) || b(f) }
}

// tests opens a door to tests, and to packages that are there for tests and
// say so in their names, as the standard library's fstest does.
func tests(f *File) bool { return f.Test || strings.HasSuffix(f.Room, "test") }

func anywhere(*File) bool { return true }

// checkDoors finds third parties that come in by another door than theirs.
func checkDoors(t *Tree) []Finding {
	return eachGo(t, func(f *File) []Finding {
		var found []Finding
		for _, spec := range f.syntax.Imports {
			p := importPath(spec)
			if !thirdParty(p) {
				continue
			}
			what := fmt.Sprintf("imports %s", p)
			switch d, ok := doorOf(p); {
			case !ok:
				found = append(found, f.at(spec, what, "give it a door in internal/lint/doors.go first",
					"each third party comes in by one door, chosen once"))
			case !d.open(f):
				found = append(found, f.at(spec, what, d.use, "its door is "+d.where))
			}
		}
		return found
	})
}

// thirdParty tells whether an import is neither ours nor the standard library's.
func thirdParty(importPath string) bool {
	if _, ours := isInternal(importPath); ours {
		return false
	}
	first, _, _ := strings.Cut(importPath, "/")
	return strings.Contains(first, ".")
}

// doorOf returns the door of an imported package.
func doorOf(importPath string) (door, bool) {
	for _, d := range doors {
		if under(importPath, d.module) {
			return d, true
		}
	}
	return door{}, false
}
