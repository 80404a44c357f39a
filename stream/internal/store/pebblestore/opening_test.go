package pebblestore

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/tagtide/tagtide/stream/internal/crashfs"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// TestFlushThatFailsWhilePebbleOpensEndsTheOpening crashes a store at every
// operation on the disk between a large change and its flush, so that the next
// Open has to flush it, and then breaks that flush: by damage, which a wipe
// mends, and by a disk that takes no writes, which is told as such.
func TestFlushThatFailsWhilePebbleOpensEndsTheOpening(t *testing.T) {
	if !alone(t) {
		return
	}
	var damaged, refused int
	for at := int64(1); ; at++ {
		disk := crashedAt(t, at)
		if disk == nil {
			break
		}
		before := clone(disk)
		f := &failing{suffix: ".sst", kind: errorfs.OpFileWrite}
		f.now.Store(true)
		if _, err := Open("store", Options{FS: errorfs.Wrap(before, f)}); err != nil {
			if !errors.Is(err, syscall.EIO) || errors.Is(err, store.ErrDamaged) {
				t.Fatalf("crash at %d, no writes: %v", at, err)
			}
			refused++
		}
		if !damageTable(t, disk, -41) { // in the footer
			continue
		}
		if _, err := Open("store", Options{FS: disk}); err != nil && strings.Contains(err.Error(), "in the background") {
			if err := checkWiped(disk, err); err != nil {
				t.Fatalf("crash at %d, damage: %v", at, err)
			}
			damaged++
		}
	}
	t.Logf("%d openings met damage, %d a disk that takes no writes", damaged, refused)
	if damaged == 0 || refused == 0 {
		t.Error("no flush failed while Pebble opened")
	}
}

// crashedAt returns what a power loss leaves of a store with a small change
// and a large one over it, or nil if there were fewer operations on the disk.
func crashedAt(t *testing.T, at int64) *vfs.MemFS {
	t.Helper()
	c := &crash{at: at, disk: crashfs.New()}
	s, table := mustOpen(t, errorfs.Wrap(c.disk, c))
	if err := table.Wipe(); err != nil { // a range that Pebble looks for in what it flushes later
		t.Fatal(err)
	}
	for i, value := range []string{"a", strings.Repeat("a", 1000), "a"} {
		if err := s.Apply(change(table, int64(i), value, "b"+value), true); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return c.clone
}

func clone(disk *vfs.MemFS) *vfs.MemFS { return disk.CrashClone(vfs.CrashCloneCfg{}) }
