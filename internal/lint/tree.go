package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Module is the path that the tree's own imports begin with.
const Module = "github.com/tagtide/tagtide"

// maxText is the size up to which a file is taken for something people write.
const maxText = 1 << 20

// A Tree is the project as the rules see it.
type Tree struct {
	Go      []*File         // the module's Go files, without those under testdata and in nested modules
	Text    []Text          // every text file, Go or not
	Folders []string        // top-level folders
	Paths   map[string]bool // every file and folder
}

// Text is a file that people write and read.
type Text struct {
	Path string
	Data []byte
}

// A File is one parsed Go file.
type File struct {
	Path string // slash-separated, from the module's root
	Room string // the folder it lies in
	Test bool   // a _test.go file
	Data []byte

	syntax *ast.File
	fset   *token.FileSet
	names  map[string]string // name in this file → path of the imported package
}

// Command tells whether the file belongs to a program and not to a library.
func (f *File) Command() bool { return f.syntax.Name.Name == "main" }

// Load reads the tree at a module's root. Folders that hold no work of people
// (.git, build output) are left out; in a worktree .git is a file.
func Load(root fs.FS) (*Tree, error) {
	t := &Tree{Paths: make(map[string]bool)}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || name == ".":
			return err
		case d.IsDir() && hidden(name):
			return fs.SkipDir
		case name == ".git":
			return nil
		}
		t.Paths[name] = true
		switch {
		case d.IsDir() && !strings.Contains(name, "/"):
			t.Folders = append(t.Folders, name)
			return nil
		case d.IsDir():
			return nil
		}
		return t.add(root, name, d)
	})
	if err != nil {
		return nil, fmt.Errorf("read the tree: %w", err)
	}
	return t, nil
}

// hidden tells whether a folder is not part of the house. Of the folders with
// a dot, .ci is.
func hidden(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, ".") && base != ".ci"
}

// add reads one file.
func (t *Tree) add(root fs.FS, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil || info.Size() > maxText || !info.Mode().IsRegular() {
		return err
	}
	data, err := fs.ReadFile(root, name)
	if err != nil || bytes.IndexByte(data, 0) >= 0 {
		return err
	}
	t.Text = append(t.Text, Text{Path: name, Data: data})
	if path.Ext(name) != ".go" || slices.Contains(strings.Split(name, "/"), "testdata") {
		return nil
	}
	f, err := parse(name, data)
	t.Go = append(t.Go, f)
	return err
}

// parse reads one Go file.
func parse(name string, data []byte) (*File, error) {
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, name, data, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	f := &File{
		Path: name, Room: path.Dir(name), Test: strings.HasSuffix(name, "_test.go"), Data: data,
		syntax: syntax, fset: fset, names: make(map[string]string),
	}
	for _, spec := range syntax.Imports {
		f.names[localName(spec)] = importPath(spec)
	}
	return f, nil
}

// importPath returns what an import spec imports.
func importPath(spec *ast.ImportSpec) string {
	p, _ := strconv.Unquote(spec.Path.Value) // the parser has seen it
	return p
}

// localName returns the name an import goes by in its file: for one without a
// name of its own, the last element of the path that is no major version.
func localName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	p := importPath(spec)
	if base := path.Base(p); len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		p = path.Dir(p)
	}
	return path.Base(p)
}

// line returns the line of a position.
func (f *File) line(p token.Pos) int { return f.fset.Position(p).Line }

// isInternal tells whether an import path is one of the module's own, and
// which folder it is.
func isInternal(importPath string) (room string, ok bool) {
	if importPath == Module {
		return ".", true
	}
	return strings.CutPrefix(importPath, Module+"/")
}

// under tells whether a folder is room, or lies below it.
func under(folder, room string) bool {
	return folder == room || strings.HasPrefix(folder, room+"/")
}

// A use is a package's identifier at the place where it is used.
type use struct {
	node ast.Node
	name string // "time.Now", with the package's path
}

// uses lists every identifier of an imported package that the file mentions.
func (f *File) uses() []use {
	var all []use
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok || x.Obj != nil { // a variable of that name, not the package
			return true
		}
		if p, ok := f.names[x.Name]; ok {
			all = append(all, use{node: sel, name: p + "." + sel.Sel.Name})
		}
		return true
	})
	return all
}
