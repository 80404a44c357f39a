package stream

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Who ran with more threads once remembers their transactional ids, and whoever
// comes next ends what they left open.
func TestRetiredIDsAreRemembered(t *testing.T) {
	dir := t.TempDir()
	open := func() *State {
		s, err := OpenState(dir, StateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	id := ""
	for _, step := range []struct {
		threads int
		retired []string
	}{{4, nil}, {2, []string{"g-ID-2", "g-ID-3"}}, {3, []string{"g-ID-3"}}, {6, nil}, {5, []string{"g-ID-5"}}} {
		s := open()
		id = s.id
		got, err := s.retire("g", "ID", step.threads)
		if err != nil || !slices.Equal(got, step.retired) {
			t.Errorf("%d threads: retired are %v, %v, want %v", step.threads, got, err, step.retired)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := open()
	defer s.Close()
	if s.id != id {
		t.Errorf("the directory was %s and is %s", id, s.id)
	}
	if got, err := s.retire("other", "ID", 1); got != nil || err != nil {
		t.Errorf("another group has %v, %v", got, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp-*")); len(left) > 0 {
		t.Errorf("%v are left over", left)
	}
	if err := os.WriteFile(filepath.Join(dir, "threads-g-ID"), []byte("many"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.retire("g", "ID", 1); err == nil {
		t.Error("nonsense is taken for a number")
	}
}
