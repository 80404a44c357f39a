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
	"slices"
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
	age    *age // nil: rows live until they are deleted
	// entries are the last Change's, for their memory.
	entries []store.Entry
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
	value, ok, err = t.find(key)
	if t.age != nil {
		value, ok = t.age.live(value, ok)
	}
	return value, ok, err
}

// find returns what stands under key, though it may have ended.
func (t *Table) find(key string) (value []byte, ok bool, err error) {
	if t.age != nil && t.age.filter.above(key) {
		return nil, false, nil
	}
	h := hashOf(key)
	if t.age != nil && !t.age.filter.may(h, t.age.now-t.age.keep) {
		return nil, false, nil
	}
	if value, ok, staged := t.staged(h, key); staged {
		return value, ok, nil
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
		t.cache.put(key, &cached{value})
	}
	return value, ok, nil
}

// Set stages a write, or with a nil value a delete. It copies key and value.
// timestamp is in Unix milliseconds.
func (t *Table) Set(key string, value []byte, timestamp int64) {
	h := hashOf(key)
	if t.age == nil {
		t.open.set(h, key, value, timestamp)
		return
	}
	fresh := t.age.filter.raise(key)
	if value != nil {
		value = t.age.stamped(value)
		t.age.filter.add(h, t.age.now)
	}
	if fresh { // no stage has it
		t.open.add(key, value, timestamp)
	} else {
		t.open.set(h, key, value, timestamp)
	}
}

// Mark begins a step: Rollback goes back to here.
func (t *Table) Mark() { t.open.mark() }

// Rollback undoes what was staged since Mark.
func (t *Table) Rollback() { t.open.rollback() }

// Len is the number of keys in the open stage.
func (t *Table) Len() int { return t.open.Len() }

// Dirty tells whether the open stage has writes.
func (t *Table) Dirty() bool { return t.open.Len() > 0 }

// Bytes is about how much memory the open stage holds.
func (t *Table) Bytes() int { return t.open.Bytes() }

// Scan calls f for every key at or after from that is in the store, in order,
// with the value this task sees, until f returns false. Keys that are staged as
// deleted are left out, and so are those that are staged only. f must not write
// to the table; the bytes are valid during the call only.
func (t *Table) Scan(from []byte, f func(key, value []byte) bool) error {
	return t.kept.Scan(from, func(key, value []byte) bool {
		seen, ok, staged := t.staged(hashOf(str(key)), str(key))
		if !staged {
			seen, ok = value, true
		}
		if t.age != nil {
			seen, ok = t.age.live(seen, ok)
		}
		return !ok || f(key, seen)
	})
}

// Prefix returns the keys that begin with prefix and have a value as this task
// sees it, in order.
func (t *Table) Prefix(prefix string) (keys []string, err error) {
	add := func(key string) error {
		_, ok, err := t.Get(key)
		if ok && err == nil {
			keys = append(keys, strings.Clone(key)) // the stage's may end before the caller does
		}
		return err
	}
	for _, s := range []*Stage{t.open, t.sealed} {
		for i := 0; s != nil && i < len(s.entries); i++ {
			if key := s.entries[i].Key; strings.HasPrefix(key, prefix) {
				if err := add(key); err != nil {
					return nil, err
				}
			}
		}
	}
	var kept []string
	err = t.kept.Scan([]byte(prefix), func(key, _ []byte) bool {
		if !strings.HasPrefix(str(key), prefix) {
			return false
		}
		kept = append(kept, string(key))
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("read table %s: %w", t.kept.Changelog().Topic, err)
	}
	for _, key := range kept {
		if err := add(key); err != nil {
			return nil, err
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// staged looks a key up in the stages only.
func (t *Table) staged(h hash, key string) (value []byte, ok, staged bool) {
	e := t.open.find(h, key)
	if e == nil && t.sealed != nil {
		e = t.sealed.find(h, key)
	}
	if e == nil {
		return nil, false, false
	}
	return slices.Clip(e.Value), e.Value != nil, true
}

// Seal closes the open stage and returns it for a commit; writes go to a new
// one from now on. One stage can be sealed at a time.
func (t *Table) Seal() *Stage {
	if t.sealed != nil {
		panic("table: sealed twice")
	}
	t.sealed, t.open, t.spare = t.open, t.spare, nil
	t.sealed.sort()
	if t.age != nil {
		t.age.sealed = t.age.now
	}
	return t.sealed
}

// Sealed tells whether there is a sealed stage.
func (t *Table) Sealed() bool { return t.sealed != nil }

// Applied tells that the sealed stage is committed and in the store.
func (t *Table) Applied() {
	if t.cache.limit > 0 {
		for i := range t.sealed.entries {
			t.cache.update(t.sealed.entries[i].Key, t.sealed.entries[i].Value)
		}
	}
	clear(t.entries)
	t.sealed.reset()
	t.spare, t.sealed = t.sealed, nil
}
