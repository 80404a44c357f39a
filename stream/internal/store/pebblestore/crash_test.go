package pebblestore

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/tagtide/tagtide/stream/internal/crashfs"
)

// A crash is a disk as power loss leaves it, between two operations of a
// store that goes on.
type crash struct {
	at    int64 // the number of the operation; set before
	cfg   vfs.CrashCloneCfg
	disk  *crashfs.FS
	clone *vfs.MemFS

	mu            sync.Mutex
	ops           int64
	synced, begun int // the calls that had to be there, and that could be there
	durable       int // of the lazy table, the call that had to be there
}

// MaybeError implements [errorfs.Injector]; it never injects an error.
func (c *crash) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ops++; c.ops == c.at {
		c.clone = c.disk.CrashClone(c.cfg)
	}
	return nil
}

func (c *crash) String() string { return "crash" }

// progress tells which calls were synced, durable and begun. It does not count any
// more once the crash was.
func (c *crash) progress(h *history) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clone == nil {
		c.synced, c.durable, c.begun = h.synced, h.durable(), len(h.states)-1
	}
}

// TestCrashLosesUnsyncedCallsFromTheEndOnly crashes stores at any operation on
// the disk, with any part of what was not synced lost, and holds what is found
// afterwards to the history, and so checkpoints to entries.
func TestCrashLosesUnsyncedCallsFromTheEndOnly(t *testing.T) {
	for seed := range uint64(180) {
		crashOnce(t, seed)
	}
}

func crashOnce(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	c := &crash{at: rng.Int64N(500), disk: crashfs.New()}
	if percent := rng.IntN(5) * 25; percent > 0 {
		c.cfg = vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng}
	}
	o := Options{FS: errorfs.Wrap(c.disk, c), CacheBytes: 1, largeBytes: 350, largeGather: 350, GatherBytes: 1 + rng.IntN(4000)}
	s, err := Open("store", o)
	if err != nil {
		t.Fatal(err)
	}
	h := newHistory(seed)
	h.lazy = seed%3 > 0
	if err := h.open(s); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		if err := h.step(func() { c.progress(h) }); err != nil {
			t.Fatal(err)
		}
		c.progress(h)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if c.clone == nil { // after the end: a closed store loses nothing
		c.clone, c.synced = c.disk.CrashClone(c.cfg), len(h.states)-1
		c.durable = c.synced
	}
	if err := checkAfterCrash(h, c); err != nil {
		t.Errorf("seed %d: crash at operation %d of %d, %d%% of the unsynced kept: %v",
			seed, c.at, c.ops, c.cfg.UnsyncedDataPercent, err)
	}
}

// checkAfterCrash opens what is left, twice: the first time repairs. A store
// whose creation was torn may be called damaged.
func checkAfterCrash(h *history, c *crash) error {
	for range 2 {
		s, wiped, err := OpenOrWipe("store", Options{FS: c.clone})
		if err != nil || (wiped != "" && c.begun > 0) {
			return fmt.Errorf("%v, wiped %q", err, wiped)
		}
		var got [tables]holding
		for i := range got {
			var wiped string
			if got[i], wiped, err = read(s, i); err != nil || wiped != "" {
				return fmt.Errorf("table %d: %v, wiped %q", i, err, wiped)
			}
		}
		if h.find(c.synced, c.begun, c.durable, got) < 0 {
			return fmt.Errorf("found %v, which is not what was there after any of the calls %d to %d, with the lazy table as after %d:\n%v",
				got, c.synced, c.begun, c.durable, h.states[c.synced:c.begun+1])
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}
