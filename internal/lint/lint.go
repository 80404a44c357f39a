// Package lint is the law of the house: the rules that no compiler knows, as
// tests that read the tree.
//
//	go test ./internal/lint
//
// The rules parse the files themselves. They never ask the go command, whose
// answers a cached test would not notice to have changed; files that a test
// opens are part of its cache key.
//
// Each finding names what to do instead and why. A rule that gets in the way
// is changed here, with its reason, or the code is; there is no comment that
// switches one off. Every rule has examples that break it (bad_test.go): a
// rule that cannot fail is worth nothing.
package lint

import (
	"fmt"
	"go/ast"
)

// A Finding is one place that breaks a rule.
type Finding struct {
	Where   string // file, or file:line
	What    string // what stands there
	Instead string // what should stand there, as an imperative
	Because string // the reason
}

// String gives the finding as one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s <- please %s, because %s", f.Where, f.What, f.Instead, f.Because)
}

// A Rule finds what breaks it in a tree.
type Rule struct {
	Name  string
	Check func(*Tree) []Finding
}

// Rules returns the law, in the order of reading.
func Rules() []Rule {
	return []Rule{
		{"top-level folders are the way of a tweet", checkLayout},
		{"every package has a room", checkRooms},
		{"imports point down", checkImports},
		{"one door per third party", checkDoors},
		{"topics are named in one place", checkTopicNames},
		{"no clock, disk or network in the pure core", checkPure},
		{"the environment is read in commands only", checkEnvironment},
		{"libraries leave the process to its command", checkProcess},
		{"no init functions", checkInit},
		{"no globals with state", checkGlobals},
		{"functions fit on a screen", checkLength},
		{"every package has a package comment", checkPackageComment},
		{"exported things are documented", checkDocumented},
		{"no test skips itself", checkSkips},
		{"gofmt", checkFormat},
		{"nothing left open", checkOpenEnds},
		{"no path of one machine", checkMachinePaths},
		{"documents speak of what is there", checkDocuments},
	}
}

// eachGo applies check to every Go file.
func eachGo(t *Tree, check func(*File) []Finding) []Finding {
	var found []Finding
	for _, f := range t.Go {
		found = append(found, check(f)...)
	}
	return found
}

// at makes a finding of what stands at a node.
func (f *File) at(n ast.Node, what, instead, because string) Finding {
	where := fmt.Sprintf("%s:%d", f.Path, f.line(n.Pos()))
	return Finding{Where: where, What: what, Instead: instead, Because: because}
}
