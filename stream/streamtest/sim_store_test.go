package streamtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
	"github.com/tagtide/tagtide/stream/internal/store/memstore"
	"github.com/tagtide/tagtide/stream/internal/store/pebblestore"
)

// A simStore is a store that is watched. At every open and every apply:
//
//	I3   what a table holds = fold of its changelog's committed records before
//	     its checkpoint, which is not past what is committed
//
// where a record that a later one has superseded may be missing from the fold
// once the changelog was compacted.
type simStore struct {
	store.Store
	w     *world
	owner string
	disk  *pebblestore.Disk // nil: in memory
	open  map[record.Partition]*simTable
}

// openSimStore opens what lies on a disk, or a store in memory.
func openSimStore(w *world, owner string, disk *pebblestore.Disk) *simStore {
	s := &simStore{w: w, owner: owner, disk: disk, Store: memstore.New(), open: map[record.Partition]*simTable{}}
	if disk != nil {
		p, err := disk.Open(pebblestore.Options{Deterministic: true, CacheBytes: 8 << 20, GatherBytes: w.conf.gather})
		w.must(err, "open the store of %s", owner)
		s.Store = p
	}
	return s
}

// crash returns what a crash leaves of the store: what was synced, and if lucky
// also what was not. A store in memory is gone.
func (s *simStore) crash(lucky bool) *pebblestore.Disk {
	var left *pebblestore.Disk
	if s.disk != nil {
		if lucky {
			s.w.must(s.Apply(nil, true), "sync the store of %s", s.owner)
		}
		left = s.disk.Crash()
	}
	_ = s.Close() // of what nobody will ever read
	return left
}

// Open implements [store.Store].
func (s *simStore) Open(changelog record.Partition, id store.Identity) (store.Table, error) {
	inner, err := s.Store.Open(changelog, id)
	if err != nil {
		return nil, err
	}
	t := &simTable{Table: inner, store: s}
	t.load()
	s.open[changelog] = t
	t.check("opened")
	return t, nil
}

// Apply implements [store.Store].
func (s *simStore) Apply(changes []store.Change, sync bool) error {
	inner := slices.Clone(changes)
	for i, c := range changes {
		inner[i].Table = c.Table.(*simTable).Table
	}
	if err := s.Store.Apply(inner, sync); err != nil {
		return err
	}
	for _, c := range changes {
		t := c.Table.(*simTable)
		t.take(c)
		t.check("applied")
	}
	return nil
}

// A simTable is a table that is watched.
type simTable struct {
	store.Table
	store *simStore
	rows  map[string]string // what the table should hold
	fold  map[string]string // what the changelog has before folded
	until int64             // folded so far
	// reached is how far its changelog was read since it was opened, or wiped.
	reached int64
	visited time.Time // by its reader
	slept   bool      // nobody looked for long, so that it may have to be read again
}

// looked tells whether somebody always looked at the changelog after a while.
func (t *simTable) looked() bool {
	now := t.store.w.now
	t.slept = t.slept || !t.visited.IsZero() && now.Sub(t.visited) > time.Hour
	t.visited = now
	return !t.slept
}

func (t *simTable) load() {
	t.rows = map[string]string{}
	err := t.Table.Scan(nil, func(key, value []byte) bool {
		t.rows[string(key)] = string(value)
		return true
	})
	t.store.w.must(err, "scan a table of %s", t.store.owner)
	t.until = t.Checkpoint().Next
	t.fold = t.committed().live(t.until)
}

func (t *simTable) committed() *committed { return t.store.w.model.log(t.source()) }

// source is the changelog without the space that sets copies apart in a store.
func (t *simTable) source() record.Partition {
	p := t.Changelog()
	p.Topic = p.Topic[strings.LastIndexByte(p.Topic, ':')+1:]
	return p
}

// name tells it from the tables of others, over all lives of its owner.
func (t *simTable) name() string { return fmt.Sprint(t.store.owner, t.Changelog()) }

func (t *simTable) take(c store.Change) {
	if t.until == 0 {
		t.store.w.whole[t.name()] = t.store.w.model.positions[record.Partition{Topic: simInput, Number: t.Changelog().Number}]
	}
	for _, e := range c.Entries {
		if e.Value == nil {
			delete(t.rows, string(e.Key))
		} else {
			t.rows[string(e.Key)] = string(e.Value)
		}
	}
	for _, r := range t.committed().between(t.until, c.Checkpoint.Next) {
		if r.value == nil {
			delete(t.fold, string(r.key))
		} else {
			t.fold[string(r.key)] = string(r.value)
		}
	}
	w := t.store.w
	if c.Checkpoint.Next < t.until {
		w.violated("I3", "%s: the checkpoint of %v goes back from %d to %d", t.store.owner, t.Changelog(), t.until, c.Checkpoint.Next)
	}
	t.until = c.Checkpoint.Next
	w.tracef("  %s applies %d rows of %v to %d", t.store.owner, len(c.Entries), t.Changelog(), t.until)
}

// check holds I3.
func (t *simTable) check(when string) {
	w := t.store.w
	if t.Changelog().Topic == onceTopic {
		t.checkFolded(when)
		return
	}
	if stable := w.stable(t.source()); t.until > stable {
		w.violated("I3", "%s: %v is %s up to %d, but committed up to %d", t.store.owner, t.Changelog(), when, t.until, stable)
	}
	if maps.Equal(t.rows, t.fold) {
		return
	}
	keys := maps.Clone(t.rows)
	maps.Copy(keys, t.fold)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		has, is := t.rows[key]
		want, should := t.fold[key]
		if has == want && is == should || w.compacted && t.committed().superseded(key, t.until) {
			continue
		}
		w.violated("I3", "%s: %v, %s up to %d, has %q under %s, but its changelog %q", t.store.owner, t.Changelog(), when, t.until, has, key, want)
	}
}

// Wipe implements [store.Table].
func (t *simTable) Wipe() error {
	t.store.w.tracef("  %s wipes %v", t.store.owner, t.Changelog())
	t.store.w.happened["wipe"]++
	t.reached = 0
	err := t.Table.Wipe()
	t.load()
	return err
}

// Close implements [store.Table].
func (t *simTable) Close() error {
	delete(t.store.open, t.Changelog())
	return t.Table.Close()
}
