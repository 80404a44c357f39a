// Package table is a local copy of one changelog partition, in the two ways a
// group needs one: written by the task that owns it (Table), or following what
// others write (Follower; a restore is a follow that ends).
//
//	Set ─▶ open stage (n+1) ─ Seal ─▶ sealed stage (n) ─ commit ─▶ store
//	                                                        │
//	Get ◀── open ◀── sealed ◀── cache ◀── store             └▶ cache
//
// A stage remembers writes that are not committed. Nothing of it reaches the
// store before the transaction that carries it has committed.
package table

import (
	"fmt"
	"strings"

	"github.com/tagtide/tagtide/stream/internal/store"
)

// A Table is owned by one task and belongs to its goroutine. A sealed stage
// may be read by the goroutine that commits it.
type Table struct {
	kept   store.Table
	open   *Stage
	sealed *Stage // nil, or the stage whose commit is being decided
	spare  *Stage // an emptied stage, for its memory
	cache  cache
}

// New returns a table over what is kept, which it does not own. cacheBytes
// bounds the committed values it holds in memory.
func New(kept store.Table, cacheBytes int) *Table {
	empty := kept.Checkpoint() == store.Checkpoint{}
	return &Table{kept: kept, open: newStage(), spare: newStage(), cache: cache{limit: cacheBytes, complete: empty && cacheBytes > 0}}
}

// Kept returns the table's bytes in the store.
func (t *Table) Kept() store.Table { return t.kept }

// Get returns the value of key as this task sees it: its own staged writes,
// then what is committed. The bytes are valid until the next Set of the key.
func (t *Table) Get(key string) (value []byte, ok bool, err error) {
	if e := t.open.find(key); e != nil {
		return e.Value, e.Value != nil, nil
	}
	if t.sealed != nil {
		if e := t.sealed.find(key); e != nil {
			return e.Value, e.Value != nil, nil
		}
	}
	if value, ok = t.cache.get(key); ok {
		return value, true, nil
	}
	if t.cache.complete {
		return nil, false, nil
	}
	value, ok, err = t.kept.Get(nil, []byte(key))
	if err != nil {
		return nil, false, fmt.Errorf("read table %s: %w", t.kept.Changelog().Topic, err)
	}
	if ok {
		t.cache.put(strings.Clone(key), value)
	}
	return value, ok, nil
}

// Set stages a write, or with a nil value a delete. It copies key and value.
// timestamp is in Unix milliseconds.
func (t *Table) Set(key string, value []byte, timestamp int64) { t.open.set(key, value, timestamp) }

// Mark begins a step: Rollback goes back to here.
func (t *Table) Mark() { t.open.mark() }

// Rollback undoes what was staged since Mark.
func (t *Table) Rollback() { t.open.rollback() }

// Dirty tells whether the open stage has writes.
func (t *Table) Dirty() bool { return t.open.Len() > 0 }

// Bytes is about how much memory the open stage holds.
func (t *Table) Bytes() int { return t.open.bytes }

// Scan calls f for every key at or after from that is in the store, in order,
// with the value this task sees, until f returns false. Keys that are staged as
// deleted are left out, and so are those that are staged only. f must not write
// to the table; the bytes are valid during the call only.
func (t *Table) Scan(from []byte, f func(key, value []byte) bool) error {
	return t.kept.Scan(from, func(key, value []byte) bool {
		if seen, ok, staged := t.staged(string(key)); staged {
			return !ok || f(key, seen)
		}
		return f(key, value)
	})
}

// staged looks a key up in the stages only.
func (t *Table) staged(key string) (value []byte, ok, staged bool) {
	e := t.open.find(key)
	if e == nil && t.sealed != nil {
		e = t.sealed.find(key)
	}
	if e == nil {
		return nil, false, false
	}
	return e.Value, e.Value != nil, true
}

// Seal closes the open stage and returns it for a commit; writes go to a new
// one from now on. One stage can be sealed at a time.
func (t *Table) Seal() *Stage {
	if t.sealed != nil {
		panic("table: sealed twice")
	}
	t.sealed, t.open, t.spare = t.open, t.spare, nil
	t.sealed.sort()
	return t.sealed
}

// Applied tells that the sealed stage is committed and in the store.
func (t *Table) Applied() {
	for i := range t.sealed.entries {
		t.cache.update(t.sealed.entries[i].Key, t.sealed.entries[i].Value)
	}
	t.sealed.reset()
	t.spare, t.sealed = t.sealed, nil
}
