package pebblestore

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tagtide/tagtide/stream/internal/store"
)

// TestDamageIsNoticed damages one file of a store at a time, while it is
// closed, and holds what is found afterwards to the store's history: it is
// right, though perhaps old, or it is called damaged, and then the store can
// be wiped.
func TestDamageIsNoticed(t *testing.T) {
	if !alone(t) { // a Pebble whose flush fails while it opens is abandoned
		return
	}
	h, closed, killed := damageable(t)
	rng := rand.New(rand.NewPCG(7, 7))
	for name, disk := range map[string]*vfs.MemFS{"closed": closed, "killed": killed} {
		files, err := disk.List("store")
		if err != nil {
			t.Fatal(err)
		}
		outcomes := make(map[string]int)
		for _, file := range files {
			for _, d := range damages(rng, file, readFile(t, disk, file)) {
				outcome, err := checkDamaged(h, d, disk)
				if err != nil {
					t.Errorf("%s store, %s: %v", name, d, err)
				}
				outcomes[outcome]++
			}
		}
		t.Logf("%s store: %v", name, outcomes)
		for _, outcome := range []string{"right", "damaged at open", "damaged at read"} {
			if outcomes[outcome] == 0 {
				t.Errorf("%s store: no damage was %s", name, outcome)
			}
		}
	}
}

// damageable returns the disks of a store that was closed, and of the same
// store killed before, with tables, a WAL and some edits in the manifest.
func damageable(t *testing.T) (h *history, closed, killed *vfs.MemFS) {
	t.Helper()
	disk := vfs.NewCrashableMem()
	s, err := Open("store", Options{FS: disk, CacheBytes: 1, largeBytes: 350})
	if err != nil {
		t.Fatal(err)
	}
	h = newHistory(1)
	if err := h.open(s); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := h.step(func() {}); err != nil {
			t.Fatal(err)
		}
	}
	killed = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return h, disk, killed
}

// A damage is what happened to one file.
type damage struct {
	file, what string
	data       []byte // what is in the file now; nil: it is gone
}

func (d damage) String() string { return d.file + " " + d.what }

// damages draws some damages of a file: cuts, and flipped bits, more of them
// near its end, where formats keep what the rest depends on.
func damages(rng *rand.Rand, file string, data []byte) []damage {
	all := []damage{{file, "gone", nil}}
	for _, n := range []int{0, len(data) / 2, len(data) - 1} {
		if n >= 0 && n < len(data) {
			all = append(all, damage{file, fmt.Sprintf("cut from %d to %d bytes", len(data), n), data[:n:n]})
		}
	}
	for i := range min(24, len(data)) {
		at := rng.IntN(len(data))
		if i%2 == 0 {
			at = len(data) - 1 - rng.IntN(min(64, len(data)))
		}
		bit := rng.IntN(8)
		flipped := append([]byte{}, data...)
		flipped[at] ^= 1 << bit
		all = append(all, damage{file, fmt.Sprintf("bit %d of byte %d of %d flipped", bit, at, len(data)), flipped})
	}
	return all
}

// checkDamaged damages a copy of the disk and says how that was noticed.
func checkDamaged(h *history, d damage, disk *vfs.MemFS) (outcome string, err error) {
	copied := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
	if err := writeFile(copied, d); err != nil {
		return "", err
	}
	s, err := Open("store", Options{FS: copied})
	outcome = "damaged at open"
	if err == nil {
		outcome, err = checkContent(h, s)
		if errClose := s.Close(); errClose != nil && err == nil {
			return outcome, errClose
		}
	}
	if err == nil {
		return outcome, nil
	}
	if !errors.Is(err, store.ErrDamaged) {
		return outcome, err
	}
	return outcome, checkWiped(copied, err)
}

// checkContent holds each table to what it has ever been.
func checkContent(h *history, s *Store) (outcome string, err error) {
	outcome = "right"
	for i := range tables {
		got, wiped, err := read(s, i)
		if err != nil {
			return "damaged at read", err
		}
		if wiped != "" {
			outcome = "table wiped"
		}
		known := false
		for _, state := range h.states {
			known = known || state[i].equal(got)
		}
		if !known {
			return "wrong", fmt.Errorf("table %d never was %v", i, got)
		}
	}
	return outcome, nil
}

// checkWiped holds OpenOrWipe to its word, after damage was found.
func checkWiped(fs vfs.FS, found error) error {
	s, wiped, err := OpenOrWipe("store", Options{FS: fs})
	if err != nil {
		return fmt.Errorf("wipe after %w: %w", found, err)
	}
	if wiped == "" {
		return fmt.Errorf("not wiped after %w", found)
	}
	infos, err := s.Tables()
	if err != nil || len(infos) > 0 {
		return fmt.Errorf("after wiping there is %v, %w", infos, err)
	}
	return s.Close()
}

func readFile(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(fs.PathJoin("store", name))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return data
}

func writeFile(fs vfs.FS, d damage) error {
	path := fs.PathJoin("store", d.file)
	if d.data == nil {
		return fs.Remove(path)
	}
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, strings.NewReader(string(d.data)))
	return errors.Join(err, f.Sync(), f.Close())
}
