package lint

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"strings"
)

var (
	// mdLink matches the target of a Markdown link or picture.
	mdLink = regexp.MustCompile(`\]\(([^)\s#]+)[^)]*\)`)
	// testName matches a test that a document names.
	testName = regexp.MustCompile("`((?:Test|Fuzz|Benchmark|Example)[A-Z]\\w*)`")
)

// checkDocuments finds links of Markdown files that lead nowhere, and tests
// they name that are not there.
func checkDocuments(t *Tree) []Finding {
	tests := testsOf(t)
	var found []Finding
	for _, text := range t.Text {
		if path.Ext(text.Path) != ".md" {
			continue
		}
		for i, line := range strings.Split(string(text.Data), "\n") {
			report := func(what, instead string) {
				found = append(found, Finding{Where: fmt.Sprintf("%s:%d", text.Path, i+1), What: what, Instead: instead,
					Because: "a document that is wrong once is not believed again"})
			}
			for _, m := range mdLink.FindAllStringSubmatch(line, -1) {
				if target := m[1]; !strings.Contains(target, ":") && !t.Paths[path.Join(path.Dir(text.Path), target)] {
					report("links to "+target+", which is not there", "link to what is there")
				}
			}
			for _, m := range testName.FindAllStringSubmatch(line, -1) {
				if !tests[m[1]] {
					report("names "+m[1]+", which is no test", "name the test that holds it, or say that it is not covered")
				}
			}
		}
	}
	return found
}

// testsOf returns the names of the tree's test functions.
func testsOf(t *Tree) map[string]bool {
	names := make(map[string]bool)
	for _, f := range t.Go {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.Test {
				names[fn.Name.Name] = true
			}
		}
	}
	return names
}
