package table

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/tagtide/tagtide/stream/internal/store"
)

// An age lets rows end by themselves: a row lives for keep since it was last
// set, by stream time, which is the largest timestamp of the records that were
// stepped so far. No clock has a say in it. Such a row has the time at which it
// was set before its value:
//
//	┌───────────────────────┬───────┐
//	│ Unix ms, big endian 8 │ value │
//	└───────────────────────┴───────┘
//
// A row that has ended is seen by nobody any more. The store keeps it until a
// sweep comes by: every commit looks at some rows from where the last one
// stopped, at twice as many as it writes, so that what has ended is never much
// more than what lives. It looks at none while not even the oldest has ended.
type age struct {
	keep    int64 // milliseconds
	now     int64 // stream time
	sealed  int64 // stream time when the sealed stage was
	buf     []byte
	minimum int    // rows that a sweep looks at, at least
	filter  filter // of the keys that the table has, staged or stored

	// Of whoever commits:
	swept  []byte // the key at which the next sweep begins
	oldest int64  // no row in the store was set before
	seen   int64  // what oldest will be when the sweeps have been at all rows once more
}

const stampLen = 8

// NewAging returns a table whose rows live for keep, at the stream time of its
// checkpoint. It reads all of them to know which there are.
func NewAging(kept store.Table, keep time.Duration) (*Table, error) {
	t := New(kept, 0)
	a := &age{keep: keep.Milliseconds(), now: kept.Checkpoint().Stream, minimum: 64}
	a.oldest = a.now
	err := kept.Scan(nil, func(key, row []byte) bool {
		if a.lives(row, a.now) {
			a.filter.raise(str(key))
			a.filter.add(hashOf(str(key)), a.now) // not when it was set: they come in no order
		}
		a.oldest = min(a.oldest, setAt(row))
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("read table %s: %w", kept.Changelog().Topic, err)
	}
	t.age = a
	return t, nil
}

// Reach moves the stream time of an aging table on to a record's timestamp, in
// Unix milliseconds, unless it is there already.
func (t *Table) Reach(timestamp int64) {
	if t.age != nil && timestamp > t.age.now {
		t.age.now = timestamp
		t.age.filter.forget(timestamp - t.age.keep)
	}
}

// live returns what a row says, unless it has ended.
func (a *age) live(row []byte, ok bool) ([]byte, bool) {
	if !ok || !a.lives(row, a.now) {
		return nil, false
	}
	return row[stampLen:], true
}

func (a *age) lives(row []byte, now int64) bool {
	return len(row) >= stampLen && now-int64(binary.BigEndian.Uint64(row)) <= a.keep
}

// setAt is the stream time at which a row was set, 0 if it does not say.
func setAt(row []byte) int64 {
	if len(row) < stampLen {
		return 0
	}
	return int64(binary.BigEndian.Uint64(row))
}

// stamped is the row of a value that is set now, valid until the next call.
func (a *age) stamped(value []byte) []byte {
	a.buf = binary.BigEndian.AppendUint64(a.buf[:0], uint64(a.now))
	a.buf = append(a.buf, value...)
	return a.buf
}

// Sweep adds to the change that was made of the sealed stage the deletes of
// rows that have ended. It reads the store, and belongs to whoever commits.
func (t *Table) Sweep(c *store.Change) error {
	if t.age == nil {
		return nil
	}
	ended, err := t.sweep(max(t.age.minimum, 2*len(c.Entries)))
	if err != nil {
		return fmt.Errorf("sweep table %s: %w", t.kept.Changelog().Topic, err)
	}
	for _, key := range ended {
		if !t.sealed.has(str(key)) {
			c.Entries = append(c.Entries, store.Entry{Key: key})
		}
	}
	if len(ended) > 0 {
		slices.SortFunc(c.Entries, func(a, b store.Entry) int { return bytes.Compare(a.Key, b.Key) })
	}
	return nil
}

// sweep returns the keys that have ended, among so many rows from where the
// last sweep stopped.
func (t *Table) sweep(rows int) (ended [][]byte, err error) {
	a, looked := t.age, 0
	if a.sealed-a.oldest <= a.keep {
		return nil, nil
	}
	if a.swept == nil {
		a.seen = t.kept.Checkpoint().Stream // what is not in the store yet was set later
	}
	var last []byte
	err = t.kept.Scan(a.swept, func(key, row []byte) bool {
		if a.lives(row, a.sealed) {
			a.seen = min(a.seen, setAt(row))
		} else {
			ended = append(ended, bytes.Clone(key))
		}
		if looked++; looked == rows {
			last = append(bytes.Clone(key), 0)
		}
		return looked < rows
	})
	if a.swept = last; last == nil { // the end: begin again
		a.oldest = a.seen
	}
	return ended, err
}
