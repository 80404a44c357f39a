package pebblestore_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/tagtide/tagtide/stream/internal/store"
	"github.com/tagtide/tagtide/stream/internal/store/pebblestore"
	"github.com/tagtide/tagtide/stream/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type directory struct {
	dir string
	o   pebblestore.Options
}

func (d directory) Open() (store.Store, error) { return pebblestore.Open(d.dir, d.o) }

func TestKeepsTheContract(t *testing.T) {
	for name, o := range map[string]pebblestore.Options{
		"default":       {},
		"small":         {CacheBytes: 1},
		"deterministic": {Deterministic: true},
		"impatient":     {GatherBytes: 60},
		"both":          {GatherBytes: 60, Deterministic: true},
	} {
		place := func(*testing.T) storetest.Place {
			o.FS = vfs.NewMem()
			return directory{"store", o}
		}
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, place)
			storetest.RunDurable(t, place)
			storetest.RunHistories(t, place, true)
		})
	}
}

func TestKeepsTheContractOnDisk(t *testing.T) {
	place := func(t *testing.T) storetest.Place { return directory{dir: filepath.Join(t.TempDir(), "new", "store")} }
	storetest.Run(t, place)
	storetest.RunDurable(t, place)
}

// TestSecondProcessIsRefused runs itself as the second process.
func TestSecondProcessIsRefused(t *testing.T) {
	if dir := os.Getenv("SECOND_PROCESS"); dir != "" {
		_, err := pebblestore.Open(dir, pebblestore.Options{})
		if !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), dir) {
			t.Fatalf("got %v", err)
		}
		return
	}
	dir := t.TempDir()
	s, err := pebblestore.Open(dir, pebblestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestSecondProcessIsRefused$")
	cmd.Env = append(os.Environ(), "SECOND_PROCESS="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestUnwritableDirectoryIsAClearError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := pebblestore.Open(filepath.Join(file, "store"), pebblestore.Options{})
	if err == nil || errors.Is(err, store.ErrInUse) || errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
}
