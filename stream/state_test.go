package stream_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tagtide/tagtide/stream"
)

func TestStateInUseAndDamagedAreTold(t *testing.T) {
	dir := t.TempDir()
	s, err := stream.OpenState(dir, stream.StateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.OpenState(dir, stream.StateOptions{}); !errors.Is(err, stream.ErrInUse) {
		t.Errorf("a second user got %v, want ErrInUse", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	damaged := 0
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if match, _ := filepath.Match("MANIFEST-*", d.Name()); match {
			damaged++
			return os.Truncate(path, 5)
		}
		return err
	})
	if err != nil || damaged == 0 {
		t.Fatalf("damaged %d files: %v", damaged, err)
	}
	if _, err := stream.OpenState(dir, stream.StateOptions{KeepDamaged: true}); !errors.Is(err, stream.ErrDamaged) {
		t.Errorf("damaged files, to be kept, gave %v, want ErrDamaged", err)
	}
	s, err = stream.OpenState(dir, stream.StateOptions{})
	if err != nil {
		t.Fatalf("damaged files were not dropped: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
