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
	// docPath matches a document that a comment sends its reader to.
	docPath = regexp.MustCompile(`\bdocs/[\w/-]+\.(md|png)\b`)
	// testName matches a test that a document names.
	testName = regexp.MustCompile("`((?:Test|Fuzz|Benchmark|Example)[A-Z]\\w*)`")
)

const whyTrue = "a document that is wrong once is not believed again"

// checkDocuments finds links of Markdown files that lead nowhere, tests they
// name that are not there, and comments that send readers to no document.
func checkDocuments(t *Tree) []Finding {
	tests := testsOf(t)
	found := eachGo(t, func(f *File) []Finding { return f.deadReferences(t.Paths) })
	for _, text := range t.Text {
		if path.Ext(text.Path) != ".md" {
			continue
		}
		for i, line := range strings.Split(string(text.Data), "\n") {
			report := func(what, instead string) {
				found = append(found, Finding{Where: fmt.Sprintf("%s:%d", text.Path, i+1), What: what, Instead: instead, Because: whyTrue})
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

// deadReferences finds documents that the file's comments name and that are
// not there.
func (f *File) deadReferences(paths map[string]bool) []Finding {
	var found []Finding
	for _, group := range f.syntax.Comments {
		for _, c := range group.List {
			for _, doc := range docPath.FindAllString(c.Text, -1) {
				if !paths[doc] {
					found = append(found, f.at(c, "names "+doc+", which is not there", "write it, or name what is there", whyTrue))
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
