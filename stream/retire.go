package stream

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tagtide/tagtide/stream/internal/thread"
)

// retire remembers that an instance uses so many transactional ids, and returns
// those that earlier processes of it used beyond that. What those left open is
// for this one to end: nobody else has their ids.
func (s *State) retire(group, id string, threads int) (retired []string, err error) {
	if s.dir == "" {
		return nil, nil
	}
	file := filepath.Join(s.dir, threadsPrefix+group+"-"+id)
	used, err := readCount(file)
	if err != nil {
		return nil, err
	}
	for n := threads; n < used; n++ {
		retired = append(retired, thread.ID(group, id, n))
	}
	if threads <= used {
		return retired, nil
	}
	return nil, writeFile(file, strconv.Itoa(threads)+"\n")
}

// readCount reads a number from a file; 0 if there is none.
func readCount(file string) (int, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	n := 0
	if err == nil {
		n, err = strconv.Atoi(strings.TrimSpace(string(data)))
	}
	if err != nil {
		return 0, fmt.Errorf("read how many threads were used: %w", err)
	}
	return n, nil
}

// writeFile puts a small file where a crash leaves the old one or the new one.
func writeFile(file, content string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".tmp-")
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	_, err = f.WriteString(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", file, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
