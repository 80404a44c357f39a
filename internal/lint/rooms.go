package lint

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"
	"strings"
)

// A room is a folder, with everything below it unless there are rooms in it.
type room struct {
	path  string
	may   []string // the rooms it may import
	tests []string // the rooms its tests may import besides
}

// rooms is the house from the ground up. A room imports only rooms that stand
// above it in this list, and of those only the ones it names. emitter,
// processor, view and api do not see one another: they meet in topics, and in
// cmd, which wires them.
var rooms = []room{
	// The engine. Nothing here knows posts or hashtags.
	{path: "stream/internal/record"},
	{path: "stream/codec"},
	{path: "stream/internal/log", may: words("stream/internal/record")},
	{path: "stream/internal/log/logtest", may: words("stream/internal/record stream/internal/log")},
	{path: "stream/internal/log/embedded", may: words("stream/internal/record stream/internal/log"),
		tests: words("stream/internal/log/logtest stream/internal/crashfs")},
	{path: "stream/internal/log/kafkalog", may: words("stream/internal/record stream/internal/log"),
		tests: words("stream/internal/log/logtest")},
	{path: "stream/internal/store", may: words("stream/internal/record")},
	{path: "stream/internal/store/storetest", may: words("stream/internal/record stream/internal/store")},
	{path: "stream/internal/store/memstore", may: words("stream/internal/record stream/internal/store"),
		tests: words("stream/internal/store/storetest")},
	{path: "stream/internal/store/pebblestore", may: words("stream/internal/record stream/internal/store"),
		tests: words("stream/internal/store/storetest stream/internal/crashfs")},
	{path: "stream/internal/crashfs"},
	{path: "stream/internal/topology", may: words("stream/internal/record")},
	{path: "stream/internal/assign"},
	{path: "stream/internal/table", may: words("stream/internal/record stream/internal/log stream/internal/store"),
		tests: words("stream/internal/store/memstore")},
	{path: "stream/internal/task", may: words("stream/internal/record stream/internal/assign stream/internal/table"),
		tests: words("stream/internal/store/memstore")},
	{path: "stream/internal/follow", may: words("stream/internal/record stream/internal/log stream/internal/store stream/internal/table"),
		tests: words("stream/internal/log/embedded stream/internal/store/memstore")},
	{path: "stream/internal/thread", may: words(`stream/internal/record stream/internal/log stream/internal/store
		stream/internal/topology stream/internal/assign stream/internal/table stream/internal/task`),
		tests: words("stream/internal/log/embedded stream/internal/store/memstore")},
	{path: "stream/internal/instance", may: words("stream/internal/log stream/internal/topology stream/internal/assign stream/internal/thread"),
		tests: words("stream/internal/log/embedded stream/internal/store/memstore")},
	{path: "stream", may: words("stream/internal stream/codec"), tests: words("stream/streamtest")},
	{path: "stream/streamtest", may: words("stream stream/codec stream/internal")},

	// The nouns of the mission.
	{path: "hashtag"},
	{path: "post", may: words("hashtag")},
	{path: "internal/ranking"},
	{path: "internal/spelling", may: words("stream/codec"), tests: words("hashtag")},
	{path: "internal/totals"},
	{path: "internal/roster"},

	// The way of a tweet.
	{path: "emitter", may: words("stream stream/codec post hashtag"), tests: words("stream/streamtest")},
	{path: "processor", may: words("stream stream/codec post hashtag internal/spelling internal/totals"), tests: words("stream/streamtest")},
	{path: "view", may: words("stream stream/codec internal/ranking internal/spelling internal/totals"), tests: words("stream/streamtest")},
	{path: "api", may: words("internal/ranking internal/roster hashtag")},

	// Where they meet.
	{path: "cmd", may: words("stream stream/codec hashtag post internal/ranking internal/totals internal/roster emitter processor view api"),
		tests: words("internal/kafkanode")},

	// The house's own tools. Nobody imports them.
	{path: "internal/lint"},
	{path: "internal/outside", tests: words("stream")},
	{path: "internal/mutants"},
	{path: "internal/kafkanode"},
	{path: "internal/bench", may: words("stream stream/codec hashtag post internal/ranking internal/totals internal/kafkanode emitter processor view api")},
}

// words splits a list of names.
func words(s string) []string { return strings.Fields(s) }

// roomOf returns the room that a folder lies in.
func roomOf(folder string) (room, bool) {
	i := slices.IndexFunc(rooms, func(r room) bool {
		return folder == r.path || under(folder, r.path) && !r.divided()
	})
	if i < 0 {
		return room{}, false
	}
	return rooms[i], true
}

// divided tells whether there are rooms within the room. Then each folder in
// it needs a row of its own.
func (r room) divided() bool {
	return slices.ContainsFunc(rooms, func(o room) bool { return strings.HasPrefix(o.path, r.path+"/") })
}

// checkRooms finds packages that no room holds.
func checkRooms(t *Tree) []Finding {
	return eachGo(t, func(f *File) []Finding {
		if _, ok := roomOf(f.Room); ok {
			return nil
		}
		return []Finding{f.at(f.syntax.Name, fmt.Sprintf("package %s lies in no room", f.syntax.Name.Name),
			"move it into a room, or give it a row in internal/lint/rooms.go and in docs/ARCHITECTURE.md",
			"who may import whom is decided before the code is written")}
	})
}

// checkImports finds imports between rooms that the table does not allow.
func checkImports(t *Tree) []Finding {
	return eachGo(t, func(f *File) []Finding {
		from, ok := roomOf(f.Room)
		if !ok {
			return nil
		}
		var found []Finding
		for _, spec := range f.syntax.Imports {
			folder, ok := isInternal(importPath(spec))
			if !ok || from.mayImport(folder, f.Test) {
				continue
			}
			found = append(found, f.at(spec, fmt.Sprintf("%s imports %s", f.Room, folder), from.instead(), whyDown))
		}
		return found
	})
}

const whyDown = "imports point down: a room that knows only the rooms below it can be read, tested and replaced alone"

// instead says what a room may import.
func (r room) instead() string {
	if len(r.may) == 0 {
		return "move what both need to a lower room, or take it as an argument (" + r.path + " imports no room)"
	}
	return "move what both need to one of " + strings.Join(r.may, ", ") + ", or take it as an argument"
}

// mayImport tells whether a file of the room may import a folder. In the table,
// "stream/internal" stands for all the engine's rooms.
func (r room) mayImport(folder string, test bool) bool {
	to, ok := roomOf(folder)
	if !ok {
		return false
	}
	allowed := func(name string) bool {
		return name == to.path || name == "stream/internal" && under(to.path, name)
	}
	return to.path == r.path || slices.ContainsFunc(r.may, allowed) ||
		test && slices.ContainsFunc(r.tests, allowed)
}

// topicName matches a string that is, or ends, the name of one of a group's topics.
var topicName = regexp.MustCompile(`^"[\w%]*-(loop|table|dead)"$`)

// checkTopicNames finds topic names that are put together outside of topology.
func checkTopicNames(t *Tree) []Finding {
	return eachGo(t, func(f *File) []Finding {
		if tests(f) || f.Room == "stream/internal/topology" {
			return nil
		}
		var found []Finding
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && topicName.MatchString(lit.Value) {
				found = append(found, f.at(lit, "names a topic: "+lit.Value, "ask stream, or stream/internal/topology, for the name",
					"names that two places must agree on are made in one"))
			}
			return true
		})
		return found
	})
}
