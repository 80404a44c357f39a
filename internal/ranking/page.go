package ranking

import (
	"math"
	"strings"
)

// What is done under one hold of the lock, each some fifty microseconds' worth
// when the memory is in no cache. A reader that held the lock for longer would
// hold up the writers, and behind them the other readers.
const (
	holdRows = 256  // rows to return
	holdStep = 4096 // items of byRank to pass
	holdTags = 512  // tags to look at
)

// gatherCost is how many items of byRank are passed in the time that it takes
// to look at one tag and its count, which are in another place of the memory.
const gatherCost = 12

// page reads n rows, n > 0. It walks down the order and leaves out what has
// another prefix. That is right for a broad prefix; for a narrow one it may
// walk far, so it gives up once gathering the tags of the prefix would have
// been done: that takes at most twice as long as the better of both ways.
func (x *Index) page(after *Key, n int, prefix string) []Row {
	if prefix == "" {
		rows, _ := x.walk(after, n, "", math.MaxInt64)
		return rows
	}
	matching := x.CountPrefix(prefix)
	if matching == 0 {
		return nil
	}
	if rows, done := x.walk(after, n, prefix, gatherCost*matching); done {
		return rows
	}
	return x.gather(after, n, prefix)
}

// walk reads the first n rows behind a place that have the prefix. It is not
// done if it has passed budget items without finding them.
func (x *Index) walk(after *Key, n int, prefix string, budget int64) (rows []Row, done bool) {
	w := walker{last: after, want: wantPrefix(prefix), budget: budget}
	for {
		part := w.hold(x, min(n-len(rows), holdRows))
		if rows == nil {
			rows = part
		} else {
			rows = append(rows, part...)
		}
		if len(rows) == n || w.end {
			return rows, true
		}
		if w.budget <= 0 {
			return nil, false
		}
	}
}

// A walker goes down byRank, one hold of the lock after the other.
type walker struct {
	want   wanted
	last   *Key  // where it is
	budget int64 // how many more items it may pass
	end    bool  // whether it has passed all there are
}

// hold reads the next rows, up to n, under the lock.
func (w *walker) hold(x *Index, n int) []Row {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return w.step(x, n)
}

func (w *walker) step(x *Index, n int) []Row {
	hits := make([]hit, 0, n)
	left := min(holdStep, w.budget)
	from, rank := x.behindKey(w.last)
	for items := range x.byRank.from(from, behind) {
		for i := range items {
			rank++
			left--
			w.budget--
			if w.want.in(x, &items[i]) {
				hits = append(hits, hit{items[i].id, rank})
			}
			if len(hits) == n || left == 0 {
				w.last = new(x.key(items[i].id))
				return x.rows(hits)
			}
		}
	}
	w.end = true
	return x.rows(hits)
}

// behindKey returns the place of a key and how many tags stand up to there.
func (x *Index) behindKey(k *Key) (*place, int64) {
	if k == nil {
		return nil, 0
	}
	p := x.rankPlace(k.Count, k.Tag)
	return &p, x.byRank.rank(&p, behind)
}

// A hit is a tag that belongs on a page.
type hit struct {
	id   cellID
	rank int64
}

// rows reads the hits' cells, which are all over the memory: the first round is
// so short that the processor fetches many of them at a time. Tags and displays
// share one string.
func (x *Index) rows(hits []hit) []Row {
	size := 0
	for _, h := range hits {
		size += len(x.dict.cells.tag(h.id)) + x.dict.cells.displaySize(h.id)
	}
	var text strings.Builder
	text.Grow(size)
	var room [64]byte
	rows := make([]Row, len(hits))
	for i, h := range hits {
		at := text.Len()
		text.Write(x.dict.cells.tag(h.id))
		tag := text.String()[at:]
		rows[i] = Row{Rank: h.rank, Tag: tag, Count: x.dict.cells.count(h.id), Display: tag}
		if x.dict.cells.displaySize(h.id) > 0 {
			at := text.Len()
			text.Write(x.dict.cells.appendDisplay(room[:0], h.id))
			rows[i].Display = text.String()[at:]
		}
	}
	return rows
}

func (x *Index) key(id cellID) Key {
	return Key{Count: x.dict.cells.count(id), Tag: string(x.dict.cells.tag(id))}
}
