package stream

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// What a State has in its directory.
const (
	tablesDir     = "tables"
	instanceFile  = "instance-id"
	threadsPrefix = "threads-"
)

// HasState tells whether a directory holds a state, whether it is open or not.
func HasState(dir string) bool {
	for _, name := range []string{tablesDir, instanceFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// RemoveState removes the state in a directory, and the directory too if it has
// nothing else in it. Nobody may have the state open. Where there is none,
// nothing is removed.
func RemoveState(dir string) error {
	if !HasState(dir) {
		return nil
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("remove state: %w", err)
	}
	left := 0
	for _, f := range files {
		if name := f.Name(); name != tablesDir && name != instanceFile && !strings.HasPrefix(name, threadsPrefix) {
			left++
			continue
		}
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, f.Name())))
	}
	if left == 0 && err == nil {
		err = os.Remove(dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove state: %w", err)
	}
	return nil
}
