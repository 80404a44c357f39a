package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"path"
	"regexp"
	"slices"
	"strings"
)

// maxLines is the height of a screen.
const maxLines = 70

// checkLength finds functions of more than maxLines lines, closing brace
// included, in tests too.
func checkLength(t *Tree) []Finding {
	return eachGo(t, func(f *File) []Finding {
		var found []Finding
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			name := "a function"
			switch n := n.(type) {
			case *ast.FuncDecl:
				name = "func " + n.Name.Name
			case *ast.FuncLit:
			default:
				return true
			}
			if lines := f.line(n.End()) - f.line(n.Pos()) + 1; lines > maxLines {
				found = append(found, f.at(n, fmt.Sprintf("%s has %d lines", name, lines),
					fmt.Sprintf("cut it where a comment would begin (%d lines at most)", maxLines),
					"what does not fit on a screen is not read as a whole"))
			}
			return false
		})
		return found
	})
}

// checkPackageComment finds packages without a package comment. A package of
// tests only needs one too.
func checkPackageComment(t *Tree) []Finding {
	first := make(map[string]*File)
	documented := make(map[string]bool)
	var rooms []string
	for _, f := range t.Go {
		name := strings.TrimSuffix(f.syntax.Name.Name, "_test")
		key := f.Room + " " + name
		if first[key] == nil {
			first[key] = f
			rooms = append(rooms, key)
		}
		documented[key] = documented[key] || f.syntax.Doc != nil
	}
	var found []Finding
	for _, key := range rooms {
		if !documented[key] {
			f := first[key]
			found = append(found, f.at(f.syntax.Name, "package "+f.syntax.Name.Name+" has no package comment",
				"say what it is for and what its users may rely on", "the package comment is the first page of its manual"))
		}
	}
	return found
}

// known are methods whose names say it all, because the standard library does.
var known = words(`Error Is As Unwrap String GoString Format LogValue Len Less Swap Push Pop
	Read Write ServeHTTP Describe Collect MarshalJSON UnmarshalJSON MarshalText UnmarshalText
	MarshalBinary UnmarshalBinary AppendText AppendBinary
	Helper Fatal Fatalf Errorf Logf Cleanup`)

// checkDocumented finds exported things of libraries without a comment:
// functions, methods, types, methods of interfaces, constants and variables
// (for which the comment of their group does).
func checkDocumented(t *Tree) []Finding {
	return eachGo(t, func(f *File) []Finding {
		if f.Test || f.Command() {
			return nil
		}
		var found []Finding
		report := func(n ast.Node, name string) {
			found = append(found, f.at(n, name+" has no comment", "state its contract: what the caller may rely on and what it owes",
				"a signature does not say who owns the bytes, what order, which errors"))
		}
		for _, d := range f.syntax.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Doc == nil && needsComment(d) {
					report(d, "func "+d.Name.Name)
				}
			case *ast.GenDecl:
				undocumentedSpecs(d, report)
			}
		}
		return found
	})
}

// needsComment tells whether a function can be seen from outside and has a
// contract of its own.
func needsComment(fn *ast.FuncDecl) bool {
	if !fn.Name.IsExported() {
		return false
	}
	return fn.Recv == nil || receiver(fn).IsExported() && !slices.Contains(known, fn.Name.Name)
}

// receiver returns the name of a method's type.
func receiver(fn *ast.FuncDecl) *ast.Ident {
	t := fn.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x
		default:
			return ast.NewIdent("_")
		}
	}
}

// undocumentedSpecs reports the types, values and interface methods of a
// declaration that have no comment.
func undocumentedSpecs(d *ast.GenDecl, report func(ast.Node, string)) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if !s.Name.IsExported() {
				continue
			}
			if d.Doc == nil && s.Doc == nil && s.Comment == nil {
				report(s, "type "+s.Name.Name)
			}
			undocumentedMethods(s, report)
		case *ast.ValueSpec:
			if d.Doc != nil || s.Doc != nil || s.Comment != nil {
				continue
			}
			for _, name := range s.Names {
				if name.IsExported() {
					report(name, d.Tok.String()+" "+name.Name)
				}
			}
		}
	}
}

// undocumentedMethods reports the methods of an interface that no comment in
// it speaks of. A single method may leave that to the comment of its type.
func undocumentedMethods(s *ast.TypeSpec, report func(ast.Node, string)) {
	it, ok := s.Type.(*ast.InterfaceType)
	if !ok || len(it.Methods.List) == 1 {
		return
	}
	var said strings.Builder
	for _, m := range it.Methods.List {
		said.WriteString(m.Doc.Text())
	}
	for _, m := range it.Methods.List {
		if len(m.Names) == 0 || m.Doc != nil || m.Comment != nil {
			continue
		}
		name := m.Names[0].Name
		mentioned, _ := regexp.MatchString(`\b`+name+`\b`, said.String())
		if ast.IsExported(name) && !mentioned && !slices.Contains(known, name) {
			report(m, "method "+s.Name.Name+"."+name)
		}
	}
}

// checkSkips finds tests that skip themselves.
func checkSkips(t *Tree) []Finding {
	return eachGo(t, func(f *File) []Finding {
		if !f.Test {
			return nil
		}
		var found []Finding
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
				if x, ok := sel.X.(*ast.Ident); ok && slices.Contains([]string{"t", "b", "f", "tb"}, x.Name) {
					found = append(found, f.at(sel, x.Name+"."+sel.Sel.Name,
						"put it behind a build tag with a make target of its own, or return",
						"a green test that did not run is a lie"))
				}
			}
			return true
		})
		return found
	})
}

// checkFormat finds files that gofmt would change.
func checkFormat(t *Tree) []Finding {
	return eachGo(t, func(f *File) []Finding {
		if good, err := format.Source(f.Data); err == nil && bytes.Equal(good, f.Data) {
			return nil
		}
		return []Finding{{Where: f.Path, What: "not formatted", Instead: "run gofmt -w " + f.Path,
			Because: "nobody should have to talk about it"}}
	})
}

// The patterns are put together so that they do not stand in this file.
var (
	openEnds = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	machine  = regexp.MustCompile(`(^|[^\w.])/(wo` + `rk/(main|shared|\.library)|ro` + `ot/|ho` + `me/\w+/|Us` + `ers/\w+/)`)
)

// checkOpenEnds finds notes that something is not done.
func checkOpenEnds(t *Tree) []Finding {
	return eachMatch(t, openEnds, "finish it, or write it down where work is planned",
		"what is left open in the code is neither done nor planned")
}

// checkMachinePaths finds absolute paths that exist on one machine only.
func checkMachinePaths(t *Tree) []Finding {
	return eachMatch(t, machine, "use a path relative to the tree, a flag, or a temporary folder",
		"it exists on one machine only")
}

// eachMatch makes a finding of each line of a text file that matches.
func eachMatch(t *Tree, re *regexp.Regexp, instead, because string) []Finding {
	var found []Finding
	for _, text := range t.Text {
		if !re.Match(text.Data) || path.Base(text.Path) == "go.sum" {
			continue
		}
		for i, line := range strings.Split(string(text.Data), "\n") {
			if m := re.FindString(line); m != "" {
				where := fmt.Sprintf("%s:%d", text.Path, i+1)
				found = append(found, Finding{Where: where, What: strings.TrimSpace(m), Instead: instead, Because: because})
			}
		}
	}
	return found
}
