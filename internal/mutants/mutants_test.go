package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Every mistake can still be made: what it replaces is there, once. A change of
// the code that moves it is noticed here, not when mutants are run.
func TestMutantsFollowTheCode(t *testing.T) {
	root := filepath.Join("..", "..")
	names := map[string]bool{}
	for _, m := range mutants {
		if _, err := m.apply(root); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if names[m.name] || m.old == m.new {
			t.Errorf("%s: two of that name, or no mistake", m.name)
		}
		names[m.name] = true
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Error(err)
	}
}
