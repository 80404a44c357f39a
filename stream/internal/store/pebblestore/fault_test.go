package pebblestore

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/tagtide/tagtide/stream/internal/store"
)

func mustOpen(t *testing.T, fs vfs.FS) (*Store, *table) {
	t.Helper()
	s, err := Open("store", Options{FS: fs, largeBytes: 1000})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := s.Open(partition(0), store.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	return s, opened.(*table)
}

func change(t store.Table, next int64, values ...string) []store.Change {
	c := store.Change{Table: t, Checkpoint: store.Checkpoint{Next: next, Time: time.Unix(next, 0)}}
	for _, v := range values {
		c.Entries = append(c.Entries, store.Entry{Key: []byte(v), Value: []byte(v)})
	}
	return []store.Change{c}
}

func TestFullDiskIsAnErrorBeforeItIsFull(t *testing.T) {
	disk := vfs.NewMem()
	s, table := mustOpen(t, disk)
	if err := s.Apply(change(table, 1, "a"), true); err != nil {
		t.Fatal(err)
	}
	for _, u := range []vfs.DiskUsage{
		{TotalBytes: 100 << 30, AvailBytes: spare - 1},
		{TotalBytes: 1 << 30, AvailBytes: 50 << 20}, // of small disks, a twentieth is enough
	} {
		disk.TestingSetDiskUsage(u)
		err := s.Apply(change(table, 2, "b"), false)
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("got %v", err)
		}
	}
	disk.TestingSetDiskUsage(vfs.DiskUsage{TotalBytes: 1 << 30, AvailBytes: 60 << 20})
	if err := s.Apply(change(table, 3, "c"), true); err != nil || table.Checkpoint().Next != 3 {
		t.Errorf("with space again: %v, at %v", err, table.Checkpoint())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A failing disk refuses operations on some files from a moment on.
type failing struct {
	suffix string
	kind   errorfs.OpKind
	now    atomic.Bool
}

var errDisk = &os.PathError{Op: "write", Path: "disk", Err: syscall.EIO}

func (f *failing) MaybeError(op errorfs.Op) error {
	if f.now.Load() && op.Kind == f.kind && strings.HasSuffix(op.Path, f.suffix) {
		return errDisk
	}
	return nil
}

func (f *failing) String() string { return "failing" }

// TestDiskErrorsEndTheStoreAndReopeningRepairs breaks the disk under synced
// changes, large ones, and flushes in the background.
func TestDiskErrorsEndTheStoreAndReopeningRepairs(t *testing.T) {
	for name, f := range map[string]*failing{
		"sync of the WAL":       {suffix: ".log", kind: errorfs.OpFileSyncData},
		"write of the WAL":      {suffix: ".log", kind: errorfs.OpFileWrite},
		"write of a large file": {suffix: largeSuffix, kind: errorfs.OpFileWrite},
		"flush":                 {suffix: ".sst", kind: errorfs.OpFileWrite},
	} {
		t.Run(name, func(t *testing.T) {
			disk := vfs.NewMem()
			s, table := mustOpen(t, errorfs.Wrap(disk, f))
			if err := s.Apply(change(table, 1, "a"), true); err != nil {
				t.Fatal(err)
			}
			f.now.Store(true)
			changes := change(table, 2, "b")
			if f.suffix == largeSuffix {
				changes = change(table, 2, strings.Repeat("b", 1000))
			}
			err := s.Apply(changes, true)
			if f.suffix == ".sst" {
				_, _ = s.db.AsyncFlush()
				waitForFault(t, s)
				err = s.Apply(changes, true)
			}
			if !errors.Is(err, syscall.EIO) || errors.Is(err, store.ErrDamaged) {
				t.Errorf("got %v", err)
			}
			if again := s.Apply(change(table, 3, "c"), true); !errors.Is(again, syscall.EIO) {
				t.Errorf("applied after an error: %v", again)
			}
			if _, _, err := table.Get(nil, []byte("a")); !errors.Is(err, syscall.EIO) {
				t.Errorf("read after an error: %v", err)
			}
			_ = s.Close() // what it returns depends on how far Pebble gets
			s, table = mustOpen(t, disk)
			if value, ok, err := table.Get(nil, []byte("a")); err != nil || !ok || string(value) != "a" {
				t.Errorf("after reopening: %q, %v, %v", value, ok, err)
			}
			if table.Wiped() != "" || table.Checkpoint().Next > 2 {
				t.Errorf("after reopening: wiped %q, at %v", table.Wiped(), table.Checkpoint())
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// waitForFault waits until the store has noticed what went wrong in the background.
func waitForFault(t *testing.T, s *Store) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); s.fault.Load() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no fault")
		}
	}
}

// alone runs the test in a process of its own, because goroutines of Pebble's
// stay, and reports whether this is that process.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv("ALONE") != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=5m", "-test.v")
	cmd.Env = append(os.Environ(), "ALONE=1")
	out, err := cmd.CombinedOutput()
	if !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v:\n%s", err, out)
	}
	return false
}

// TestStuckPebbleDoesNotHang breaks the disk so that Pebble gives up with its
// locks held.
func TestStuckPebbleDoesNotHang(t *testing.T) {
	if !alone(t) {
		return
	}
	f := &failing{suffix: "MANIFEST-000001", kind: errorfs.OpFileWrite}
	disk := errorfs.Wrap(vfs.NewMem(), f)
	s, table := mustOpen(t, disk)
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	f.now.Store(true)
	if err := s.Apply(change(table, 1, strings.Repeat("a", 1000)), false); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v", err)
	}
	if err := s.Apply(change(table, 2, "b"), false); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v", err)
	}
	if _, err := Open("store", Options{FS: disk}); !errors.Is(err, store.ErrInUse) {
		t.Errorf("opened beside a Pebble that is still there: %v", err)
	}
}

// TestDamageFoundWhileReadingIsRemembered damages a table of Pebble's under an
// open store.
func TestDamageFoundWhileReadingIsRemembered(t *testing.T) {
	disk := vfs.NewMem()
	s, table := mustOpen(t, disk)
	if err := s.Apply(change(table, 1, "a", "b"), true); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !damageTable(t, disk, 3) {
		t.Fatal("there is no table")
	}
	if err := writeFile(disk, damage{file: "notes.txt", data: []byte("not ours")}); err != nil {
		t.Fatal(err)
	}
	s, err := Open("store", Options{FS: disk})
	if err == nil {
		err = useDamaged(t, s)
	}
	if !errors.Is(err, store.ErrDamaged) {
		t.Fatalf("got %v", err)
	}
	if _, err := Open("store", Options{FS: disk}); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("damage is forgotten: %v", err)
	}
	if err := checkWiped(disk, err); err != nil {
		t.Error(err)
	}
	if got := string(readFile(t, disk, "notes.txt")); got != "not ours" {
		t.Errorf("a foreign file has %q", got)
	}
}

// useDamaged reads until damage is found, and expects everything to be refused then.
func useDamaged(t *testing.T, s *Store) error {
	t.Helper()
	table, err := s.Open(partition(0), store.Identity{})
	if err == nil {
		err = table.Scan(nil, func(_, _ []byte) bool { return true })
	}
	if _, again := s.Tables(); !errors.Is(again, store.ErrDamaged) {
		t.Errorf("used after damage: %v", again)
	}
	if again := s.Apply(nil, true); !errors.Is(again, store.ErrDamaged) {
		t.Errorf("used after damage: %v", again)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return err
}

// damageTable flips a bit of a byte of the newest of Pebble's tables, counted
// from its end if negative, and reports whether there is one with anything in it.
func damageTable(t *testing.T, disk vfs.FS, at int) bool {
	t.Helper()
	files, err := disk.List("store")
	if err != nil {
		return false
	}
	newest := ""
	for _, file := range files {
		if strings.HasSuffix(file, ".sst") {
			newest = max(newest, file)
		}
	}
	if newest == "" {
		return false
	}
	data := readFile(t, disk, newest)
	if len(data) == 0 {
		return false
	}
	data[(at+len(data))%len(data)] ^= 1
	if err := writeFile(disk, damage{file: newest, data: data}); err != nil {
		t.Fatal(err)
	}
	return true
}

func TestMissingManifestIsDamage(t *testing.T) {
	disk := vfs.NewMem()
	s, table := mustOpen(t, disk)
	if err := s.Apply(change(table, 1, "a"), true); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := disk.List("store")
	for _, file := range files {
		if strings.HasPrefix(file, "marker.manifest") {
			_ = disk.Remove("store/" + file)
		}
	}
	if _, err := Open("store", Options{FS: disk}); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("got %v", err)
	}
}

func TestAnotherFormatIsDamage(t *testing.T) {
	disk := vfs.NewMem()
	s, _ := mustOpen(t, disk)
	if err := s.db.Set(formatKey(), []byte("other"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open("store", Options{FS: disk})
	if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "format") {
		t.Errorf("got %v", err)
	}
}
