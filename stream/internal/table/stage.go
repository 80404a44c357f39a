package table

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// A Stage is the set of keys dirtied since the last commit, each with its last
// value: a key written a hundred times leaves one changelog record.
type Stage struct {
	index   map[string]int32
	entries []Staged
	order   []place // of the entries by key, once the stage is sealed
	bytes   int
	undo    []undo
	old     []byte // the bytes that undo entries point into
}

// A Staged write sets a key, or deletes it if Value is nil.
type Staged struct {
	Key       string
	Value     []byte
	Timestamp int64 // Unix milliseconds
	buf       []byte
}

// An undo takes an entry back to what it was before the current step.
type undo struct {
	entry      int32
	existed    bool
	deleted    bool
	start, end int // of the old value in Stage.old
	timestamp  int64
}

func newStage() *Stage { return &Stage{index: map[string]int32{}} }

// Len is the number of dirty keys.
func (s *Stage) Len() int { return len(s.entries) }

func (s *Stage) find(key string) *Staged {
	if i, ok := s.index[key]; ok {
		return &s.entries[i]
	}
	return nil
}

func (s *Stage) set(key string, value []byte, timestamp int64) {
	i, ok := s.index[key]
	if !ok {
		i = s.add(key)
	}
	e := &s.entries[i]
	s.remember(i, ok, e)
	s.bytes += len(value) - len(e.Value)
	e.put(value)
	e.Timestamp = max(timestamp, e.Timestamp)
}

// add makes an entry, reusing the buffer of one that was there before a reset.
// It copies key: one of a fetched record would keep its whole batch in memory
// until the commit, and longer in the cache.
func (s *Stage) add(key string) int32 {
	i := len(s.entries)
	if i < cap(s.entries) {
		s.entries = s.entries[:i+1]
		s.entries[i] = Staged{buf: s.entries[i].buf}
	} else {
		s.entries = append(s.entries, Staged{})
	}
	key = strings.Clone(key)
	s.entries[i].Key = key
	s.index[key] = int32(i)
	s.bytes += len(key) + entryOverhead
	return int32(i)
}

// entryOverhead is about what a dirty key costs beside its bytes.
const entryOverhead = 120

func (e *Staged) put(value []byte) {
	if value == nil {
		e.Value = nil
		return
	}
	e.buf = append(e.buf[:0], value...)
	e.Value = e.buf[:len(value):len(value)]
	if e.Value == nil {
		e.Value = []byte{}
	}
}

func (s *Stage) remember(i int32, existed bool, e *Staged) {
	u := undo{entry: i, existed: existed, deleted: e.Value == nil, start: len(s.old), timestamp: e.Timestamp}
	s.old = append(s.old, e.Value...)
	u.end = len(s.old)
	s.undo = append(s.undo, u)
}

func (s *Stage) mark() { s.undo, s.old = s.undo[:0], s.old[:0] }

func (s *Stage) rollback() {
	for _, u := range slices.Backward(s.undo) {
		e := &s.entries[u.entry]
		s.bytes -= len(e.Value)
		if !u.existed {
			s.bytes -= len(e.Key) + entryOverhead
			delete(s.index, e.Key)
			s.entries = s.entries[:u.entry]
			continue
		}
		value := s.old[u.start:u.end]
		if u.deleted {
			value = nil
		}
		e.put(value)
		e.Timestamp = u.timestamp
		s.bytes += len(value)
	}
	s.mark()
}

// keepBuffer is the largest buffer that outlives a reset: which entry gets which
// key changes with every interval, so a few large values would in time leave a
// large buffer with every entry.
const keepBuffer = 1 << 10

// reset empties the stage and keeps its memory, but neither the keys, which the
// cache may have taken over, nor large buffers.
func (s *Stage) reset() {
	clear(s.index)
	for i := range s.entries {
		buf := s.entries[i].buf
		if cap(buf) > keepBuffer {
			buf = nil
		}
		s.entries[i] = Staged{buf: buf}
	}
	s.entries, s.order, s.bytes = s.entries[:0], s.order[:0], 0
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
// changelog has reached next.
func (t *Table) Change(next int64, now time.Time) store.Change {
	s := t.sealed
	entries := make([]store.Entry, len(s.order))
	for i, p := range s.order {
		e := &s.entries[p.entry]
		entries[i] = store.Entry{Key: raw(e.Key), Value: e.Value}
	}
	last := t.kept.Checkpoint()
	c := store.Checkpoint{Next: max(next, last.Next), Commit: last.Commit + 1, Time: now}
	if t.age != nil {
		c.Stream = t.age.sealed
	}
	return store.Change{Table: t.kept, Entries: entries, Checkpoint: c}
}
