package lint_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tagtide/tagtide/internal/lint"
)

// TestHouse holds the tree to every rule.
func TestHouse(t *testing.T) {
	tree, err := lint.Load(os.DirFS(root(t)))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Go) < 10 {
		t.Fatalf("read only %d Go files: this is not the tree", len(tree.Go))
	}
	for _, rule := range lint.Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			for _, found := range rule.Check(tree) {
				t.Error(found)
			}
		})
	}
}

// root walks up to the folder of go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test's folder")
		}
		dir = parent
	}
}
