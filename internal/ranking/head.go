package ranking

import (
	"slices"
	"sync/atomic"
)

// headRows is how many rows the head holds.
const headRows = 100

// A head is a copy of the first rows that can be read without the lock: the
// top is what everybody asks for, and while tags are counted the lock is mostly
// taken. The zero value has no copy.
type head struct {
	copied atomic.Pointer[headCopy]

	// Invariant: if not stale, copied is nil or equals the first rows. Guarded
	// by the index's lock.
	stale bool
}

// A headCopy never changes.
type headCopy struct {
	rows []Row
	// Invariant: what happens at counts below least is of no matter to rows.
	least int64
}

// touch notes that a tag came to or left a count. The caller holds the lock.
func (h *head) touch(count int64) {
	if c := h.copied.Load(); c != nil && count >= c.least {
		h.stale = true
	}
}

// endHead ends a batch of so many updates. A large one makes a new copy if the
// old one is stale, after a small one the next reader has to. The caller holds
// the lock.
func (x *Index) endHead(updates int) {
	if !x.head.stale {
		return
	}
	x.head.stale = false
	if updates < headRows {
		x.head.copied.Store(nil)
	} else {
		x.copyHead()
	}
}

// copyHead replaces the copy. The caller holds the lock, at least for reading.
func (x *Index) copyHead() *headCopy {
	w := walker{budget: headRows}
	c := &headCopy{rows: w.step(x, headRows)}
	if len(c.rows) == headRows {
		c.least = c.rows[headRows-1].Count
	}
	x.head.copied.Store(c)
	return c
}

// top returns the first n rows, of which the head has enough.
func (x *Index) top(n int) []Row {
	c := x.head.copied.Load()
	if c == nil {
		x.mu.RLock()
		defer x.mu.RUnlock()
		c = x.copyHead()
	}
	return slices.Clone(c.rows[:min(n, len(c.rows))])
}
