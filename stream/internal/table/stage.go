package table

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// A Stage is the set of keys dirtied since the last commit, each with its last
// value: a key written a hundred times leaves one changelog record. It is made to
// be small: a commit's worth of each table is in memory twice.
type Stage struct {
	entries []Staged
	index   index   // of the entries before indexed: it is brought up when somebody looks
	indexed int     // so keys that are known to be new cost nothing
	order   []place // of the entries by key, once the stage is sealed
	arena   arena   // of their keys and values
	step    int     // the entries from here on are new in the current step
	at      placeIn // of the arena, when the step began
	undo    []undo
	old     []byte // the bytes that undo entries point into
}

// A Staged write sets a key, or deletes it if Value is nil. What Value has room
// for is the entry's.
type Staged struct {
	Key       string
	Value     []byte
	Timestamp int64 // Unix milliseconds
}

// An undo takes an entry back to what it was before the current step.
type undo struct {
	entry     int32
	value     []byte // where it lay, nil if the key was deleted; its bytes may be others by now
	start     int    // of its bytes in Stage.old
	timestamp int64
}

func newStage() *Stage { return &Stage{} }

// Len is the number of dirty keys.
func (s *Stage) Len() int { return len(s.entries) }

// Bytes is about how much memory the stage takes.
func (s *Stage) Bytes() int { return s.arena.used + len(s.entries)*entryOverhead }

// entryOverhead is about what a dirty key costs beside its bytes: a Staged, a
// place, slots of the index, and what a commit makes of it.
const entryOverhead = 120

// find belongs to the goroutine of the table, also where the stage is sealed.
func (s *Stage) find(h hash, key string) *Staged {
	if i := s.number(h, key); i >= 0 {
		return &s.entries[i]
	}
	return nil
}

// number is that of the entry with key, -1 if there is none.
func (s *Stage) number(h hash, key string) int {
	for ; s.indexed < len(s.entries); s.indexed++ {
		s.index.add(hashOf(s.entries[s.indexed].Key), s.indexed)
	}
	return s.index.find(h, key, s.entries)
}

func (s *Stage) set(h hash, key string, value []byte, timestamp int64) {
	i := s.number(h, key)
	if i < 0 {
		s.add(key, value, timestamp)
		return
	}
	if i < s.step {
		s.remember(i)
	}
	e := &s.entries[i]
	s.put(e, value)
	e.Timestamp = max(timestamp, e.Timestamp)
}

// add sets a key that is not in the stage. It copies key, which may be that of a
// fetched record.
func (s *Stage) add(key string, value []byte, timestamp int64) {
	own := s.arena.take(len(key))
	copy(own, key)
	s.entries = append(s.entries, Staged{Key: str(own), Timestamp: max(timestamp, 0)})
	s.put(&s.entries[len(s.entries)-1], value)
}

// put copies value to where the last one lay, if there is room.
func (s *Stage) put(e *Staged, value []byte) {
	switch {
	case value == nil:
		e.Value = nil
		return
	case e.Value == nil:
		e.Value = s.arena.take(len(value))
	case len(value) > cap(e.Value):
		e.Value = s.arena.take(len(value) + len(value)/4) // it will grow on
	}
	e.Value = append(e.Value[:0], value...)
}

func (s *Stage) remember(i int) {
	e := &s.entries[i]
	s.undo = append(s.undo, undo{entry: int32(i), value: e.Value, start: len(s.old), timestamp: e.Timestamp})
	s.old = append(s.old, e.Value...)
}

func (s *Stage) mark() {
	s.step, s.at, s.undo, s.old = len(s.entries), s.arena.place(), s.undo[:0], s.old[:0]
}

func (s *Stage) rollback() {
	for ; s.indexed > s.step; s.indexed-- {
		s.index.dropLast(hashOf(s.entries[s.indexed-1].Key), s.indexed-1)
	}
	clear(s.entries[s.step:])
	s.entries = s.entries[:s.step]
	for _, u := range slices.Backward(s.undo) {
		e := &s.entries[u.entry]
		e.Value, e.Timestamp = u.value, u.timestamp
		copy(e.Value, s.old[u.start:])
	}
	s.arena.goBack(s.at)
	s.mark()
}

// reset empties the stage and keeps its memory: nobody may look at keys and values
// of it any more.
func (s *Stage) reset() {
	s.index.reset()
	s.arena.reset()
	clear(s.entries) // what they point to is to go
	s.entries, s.order, s.indexed = s.entries[:0], s.order[:0], 0
	s.mark()
}

// A place is an entry's in the order of keys: by the first eight bytes of its
// key, which decide most comparisons without a look at the key itself.
type place struct {
	head  uint64
	entry int32
}

// sort finds the order of the keys: what the store and its readers like.
func (s *Stage) sort() {
	s.order = s.order[:0]
	for i := range s.entries {
		s.order = append(s.order, place{head(s.entries[i].Key), int32(i)})
	}
	slices.SortFunc(s.order, func(a, b place) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return cmp.Compare(s.entries[a.entry].Key, s.entries[b.entry].Key)
	})
	s.mark()
}

// has tells whether a sealed stage has a key. It only reads.
func (s *Stage) has(key string) bool {
	h := head(key)
	_, found := slices.BinarySearchFunc(s.order, key, func(p place, key string) int {
		return cmp.Or(cmp.Compare(p.head, h), cmp.Compare(s.entries[p.entry].Key, key))
	})
	return found
}

// head is the first eight bytes of a key as a number in the same order. Zeros
// stand for bytes that a shorter key lacks, so that of equal ones nothing is known.
func head(key string) uint64 {
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// Changelog appends the stage's writes to b, in key order.
func (s *Stage) Changelog(b *record.Builder) {
	for _, p := range s.order {
		e := &s.entries[p.entry]
		b.Append(e.Timestamp, raw(e.Key), e.Value)
	}
}

// Change is what the store has to do when the stage is committed and its
// changelog has reached next. Its entries are good until the next one, or Applied.
// Rows age where a table is folded from an input, which can tell them again: so
// what a crash takes of those is no loss.
func (t *Table) Change(next int64, now time.Time) store.Change {
	s := t.sealed
	t.entries = t.entries[:0]
	for _, p := range s.order {
		e := &s.entries[p.entry]
		t.entries = append(t.entries, store.Entry{Key: raw(e.Key), Value: e.Value})
	}
	last := t.kept.Checkpoint()
	c := store.Checkpoint{Next: max(next, last.Next), Commit: last.Commit + 1, Time: now}
	if t.age != nil {
		c.Stream = t.age.sealed
	}
	return store.Change{Table: t.kept, Entries: t.entries, Checkpoint: c, Lazy: t.age != nil}
}
