package stream

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/tagtide/tagtide/stream/internal/store"
	"github.com/tagtide/tagtide/stream/internal/store/memstore"
	"github.com/tagtide/tagtide/stream/internal/store/pebblestore"
)

// A State is where tables are kept on this machine. Everything in it can be
// made anew from the log. One State serves any number of views of one process,
// and one running processor of each group. Safe for concurrent use.
type State struct {
	tables   store.Store
	id       string
	dir      string   // "": in memory
	occupied sync.Map // by group: true while a processor of it runs
}

// StateOptions tune a State. The zero value is good.
type StateOptions struct {
	// CacheBytes of memory for reading and writing; default 128 MiB. Tables that
	// are folded from an input take up to a quarter more.
	CacheBytes int64
	// KeepDamaged makes damaged files an error that wraps [ErrDamaged],
	// instead of dropping them.
	KeepDamaged bool
	// Logger; default slog.Default().
	Logger *slog.Logger
}

// Close releases the state. What still uses it fails.
func (s *State) Close() error { return s.tables.Close() }

// MemoryState keeps tables in memory; they are restored at every start.
func MemoryState() *State { return &State{tables: memstore.New(), id: newInstanceID()} }

// OpenState opens the state in a directory, creating it if need be. If its
// files are damaged they are dropped, with a log line that says why, and will
// be restored from the log. A directory that another process has open gives an
// error that wraps [ErrInUse].
func OpenState(dir string, o StateOptions) (*State, error) {
	o.Logger = cmp.Or(o.Logger, slog.Default())
	open := pebblestore.OpenOrWipe
	if o.KeepDamaged {
		open = func(dir string, o pebblestore.Options) (*pebblestore.Store, string, error) {
			s, err := pebblestore.Open(dir, o)
			return s, "", err
		}
	}
	s, wiped, err := open(filepath.Join(dir, tablesDir), pebblestore.Options{CacheBytes: o.CacheBytes, Logger: o.Logger})
	switch {
	case errors.Is(err, store.ErrInUse):
		return nil, fmt.Errorf("%w: %w", ErrInUse, err)
	case errors.Is(err, store.ErrDamaged):
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	case err != nil:
		return nil, err
	}
	if wiped != "" {
		o.Logger.Warn("local tables were damaged and are dropped; they will be restored from the log", "directory", dir, "reason", wiped)
	}
	id, err := instanceID(filepath.Join(dir, instanceFile))
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &State{tables: s, id: id, dir: dir}, nil
}

// instanceID is the id this directory was given when it was first used. What
// an earlier process left open under it, the next one can so end.
func instanceID(file string) (string, error) {
	data, err := os.ReadFile(file)
	if id := strings.TrimSpace(string(data)); err == nil && id != "" {
		return id, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read instance id: %w", err)
	}
	id := newInstanceID()
	return id, writeFile(file, id+"\n")
}

func newInstanceID() string { return strings.ToLower(rand.Text()[:10]) }
