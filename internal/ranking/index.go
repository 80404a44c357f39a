package ranking

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// An Update sets the count of one tag; a count of zero or less takes the tag
// out of the index.
type Update struct {
	Tag   string
	Count int64
}

// A Display sets what a tag is shown as; "" is the tag itself.
type Display struct {
	Tag, Display string
}

// An Index holds the count of every tag, in order. The zero value is empty and
// ready to use. It is safe for concurrent use by any number of readers and
// writers, and must not be copied.
//
// Each tag has a cell and, if it has a count, an item in each of two counted B+trees:
//
//	byRank  (count desc, tag asc)   byTag  (tag asc)
//	  ┌──┬──┬──┐                      ┌──┬──┬──┐
//	  └┬─┴┬─┴┬─┘                      └┬─┴┬─┴┬─┘
//	   …  …  items ──┐                 …  …  items ──┐
//	                 ▼                               ▼
//	  cells  │ 5026 covid19 │ 17 бонн │ 3 東京 │ …
//
// A dictionary finds the cell of a tag, byTag the tags of a prefix, byRank does
// the rest. The memory of a tag that leaves is used for the next tags, that of
// tree nodes goes back.
type Index struct {
	mu     sync.RWMutex
	dict   dictionary
	byRank tree
	byTag  tree

	// Written under the lock and read without it.
	tags atomic.Int64 // Invariant: the number of tags.
	sum  atomic.Int64 // Invariant: the sum of all counts.
	head head
}

const (
	// chunk is how many updates Apply does under one hold of the lock: fifty
	// microseconds' worth or so. Readers that wait meanwhile are let in before
	// the next one, which is what a RWMutex promises.
	chunk = 32

	// chunksPerTurn is how many chunks Apply does before it lets other
	// goroutines run, a few milliseconds' worth. If it waited for the scheduler
	// to end its time slice, that would mostly happen under the lock, and
	// readers would wait until the writer has its next slice.
	chunksPerTurn = 64
)

// Set gives one tag its count: it comes into the index, moves, or, with a
// count of zero or less, leaves. For many tags at once Apply is cheaper. The
// index keeps a copy of tag, never tag itself.
func (x *Index) Set(tag string, count int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.set(tag, count)
	x.endHead(1)
}

// Apply sets the updates in their order, so the last one of a tag counts. It
// takes the lock for a few at a time, so that a reader waits for no more than
// about a hundred microseconds; Get and Page may thus see the first updates of
// a batch before the last ones. When Apply returns all readers see all of it.
func (x *Index) Apply(updates []Update) {
	apply(x, updates, func(u Update) { x.set(u.Tag, u.Count) })
}

// ApplyDisplays sets what tags are shown as, in the way of Apply. A display is
// kept until it is set to "", also while its tag has no count: so counts and
// displays may come in any order.
func (x *Index) ApplyDisplays(displays []Display) {
	apply(x, displays, func(d Display) { x.show(d.Tag, d.Display) })
}

func apply[U any](x *Index, updates []U, do func(U)) {
	done := 0
	for part := range slices.Chunk(updates, chunk) {
		applyChunk(x, part, do)
		if done++; done%chunksPerTurn == 0 {
			runtime.Gosched()
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.endHead(len(updates))
}

func applyChunk[U any](x *Index, updates []U, do func(U)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, u := range updates {
		do(u)
	}
}

func (x *Index) set(tag string, count int64) {
	id, ok := x.dict.find(tag)
	counted := ok && x.dict.cells.count(id) > 0
	switch {
	case counted && count > 0:
		x.move(id, tag, count)
	case counted:
		x.drop(id, tag)
	case count > 0:
		x.add(id, ok, tag, count)
	}
}

// add gives a count to a tag without one; it may have a cell already.
func (x *Index) add(id cellID, ok bool, tag string, count int64) {
	if ok {
		x.dict.cells.setCount(id, count)
	} else {
		id = x.dict.add(tag, "", count)
	}
	x.enter(id, tag, count)
	x.tags.Add(1)
	x.sum.Add(count)
	x.head.touch(count)
}

// enter puts a cell into the order.
func (x *Index) enter(id cellID, tag string, count int64) {
	byRank, byTag := x.rankPlace(count, tag), x.tagPlace(tag)
	x.byRank.insert(byRank.item(id), &byRank)
	x.byTag.insert(byTag.item(id), &byTag)
}

// leave takes a cell out of the order.
func (x *Index) leave(tag string, count int64) {
	byRank, byTag := x.rankPlace(count, tag), x.tagPlace(tag)
	x.byRank.remove(&byRank)
	x.byTag.remove(&byTag)
}

func (x *Index) move(id cellID, tag string, count int64) {
	old := x.dict.cells.count(id)
	if count == old {
		return
	}
	from, to := x.rankPlace(old, tag), x.rankPlace(count, tag)
	x.byRank.remove(&from)
	x.byRank.insert(to.item(id), &to)
	x.dict.cells.setCount(id, count)
	x.sum.Add(count - old)
	x.head.touch(max(count, old))
}

func (x *Index) drop(id cellID, tag string) {
	count := x.dict.cells.count(id)
	x.leave(tag, count)
	if shown, _ := x.dict.cells.display(id); shown == asTag {
		x.dict.drop(id, tag)
	} else {
		x.dict.cells.setCount(id, 0)
	}
	x.tags.Add(-1)
	x.sum.Add(-count)
	x.head.touch(count)
}

func (x *Index) show(tag, display string) {
	if display == tag {
		display = ""
	}
	id, ok := x.dict.find(tag)
	if !ok && display == "" {
		return
	}
	var count int64
	if ok {
		count = x.dict.cells.count(id)
	}
	if count > 0 {
		x.head.touch(count)
		if x.dict.cells.setDisplay(id, tag, display) {
			return
		}
		x.leave(tag, count)
	}
	if ok {
		x.dict.drop(id, tag)
	}
	if count > 0 || display != "" {
		id = x.dict.add(tag, display, count)
	}
	if count > 0 {
		x.enter(id, tag, count)
	}
}
