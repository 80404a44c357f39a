package ranking

import (
	"bytes"
	"cmp"
	"iter"
	"math"
	"slices"
)

// gatherCost is how many rows of byRank can be walked in the time that it
// takes to look at one tag out of byTag, whose count is in another place of
// the memory.
const gatherCost = 16

// page walks down the order and leaves out what has another prefix. That is
// right for a broad prefix; for a narrow one it may walk far, so it gives up
// once gathering the tags of the prefix would have been done, which takes at
// most twice as long as the better of both ways.
func (x *Index) page(after *place, n int, prefix string) []Row {
	budget := x.byRank.len()
	if prefix != "" {
		matching := x.countPrefix(prefix)
		n = int(min(int64(n), matching))
		budget = min(budget, gatherCost*matching)
	}
	if n == 0 {
		return nil
	}
	if rows, done := x.walk(after, n, prefix, budget); done {
		return rows
	}
	return x.gather(after, n, prefix)
}

// walk returns the first n rows behind a place that have the prefix. It is not
// done if it has passed more than budget rows without finding them.
func (x *Index) walk(after *place, n int, prefix string, budget int64) (rows []Row, done bool) {
	var rank int64
	if after != nil {
		rank = x.byRank.rank(after, behind)
	}
	budget += rank
	want := needPrefix(prefix)
	rows = make([]Row, 0, n)
	for items := range x.byRank.from(after, behind) {
		for i := range items {
			if rank++; !x.hasPrefix(&items[i], &want) {
				continue
			}
			if rows = append(rows, x.row(items[i].id, rank)); len(rows) == n {
				return rows, true
			}
		}
		if rank > budget {
			return nil, false
		}
	}
	return rows, true
}

// gather returns the first n rows behind a place out of all tags that have the
// prefix.
func (x *Index) gather(after *place, n int, prefix string) []Row {
	best := make([]item, 0, 2*n)
	bound := item{hi: math.MaxUint32} // no count is 0: behind everything
	for id := range x.tagsOf(prefix) {
		it := x.rankItem(id)
		if x.compare(&bound, &it) <= 0 || after != nil && after.compare(&it) <= 0 {
			continue
		}
		if best = append(best, it); len(best) == cap(best) {
			best = x.leading(best, n)
			bound = best[n-1]
		}
	}
	rows := make([]Row, 0, n)
	for _, it := range x.leading(best, n) {
		r := x.row(it.id, 0)
		p := x.rankPlace(r.Count, r.Tag)
		r.Rank = x.byRank.rank(&p, behind)
		rows = append(rows, r)
	}
	return rows
}

// leading sorts items of byRank and cuts off all but the first n.
func (x *Index) leading(items []item, n int) []item {
	slices.SortFunc(items, func(a, b item) int { return x.compare(&a, &b) })
	return items[:min(n, len(items))]
}

// compare compares two items of byRank.
func (x *Index) compare(a, b *item) int {
	if c := cmp.Or(cmp.Compare(a.hi, b.hi), cmp.Compare(a.lo, b.lo)); c != 0 {
		return c
	}
	return bytes.Compare(x.dict.cells.tag(a.id), x.dict.cells.tag(b.id))
}

// tagsOf returns the tags that begin with prefix.
func (x *Index) tagsOf(prefix string) iter.Seq[cellID] {
	return func(yield func(cellID) bool) {
		p := x.tagPlace(prefix)
		for items := range x.byTag.from(&p, before) {
			for _, it := range items {
				if !bytes.HasPrefix(x.dict.cells.tag(it.id), []byte(prefix)) || !yield(it.id) {
					return
				}
			}
		}
	}
}

func (x *Index) countPrefix(prefix string) int64 {
	p := x.tagPlace(prefix)
	first := x.byTag.rank(&p, before)
	next, ok := successor(prefix)
	if !ok {
		return x.byTag.len() - first
	}
	p = x.tagPlace(next)
	return x.byTag.rank(&p, before) - first
}

// successor returns the least string greater than all that begin with prefix,
// if there is one.
func successor(prefix string) (string, bool) {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			return prefix[:i] + string([]byte{prefix[i] + 1}), true
		}
	}
	return "", false
}

// A wanted prefix, and its bytes as they show in an item's lo.
type wanted struct {
	prefix   []byte
	lo, mask uint64
}

func needPrefix(prefix string) wanted {
	n := min(len(prefix), 8)
	return wanted{prefix: []byte(prefix), lo: lead(prefix), mask: ^(math.MaxUint64 >> (8 * n))}
}

// hasPrefix looks at an item of byRank, and at its tag only if it must.
func (x *Index) hasPrefix(it *item, w *wanted) bool {
	if it.hi != 0 && (it.lo^w.lo)&w.mask != 0 {
		return false
	}
	return bytes.HasPrefix(x.dict.cells.tag(it.id), w.prefix)
}

func (x *Index) row(id cellID, rank int64) Row {
	return Row{Rank: rank, Tag: string(x.dict.cells.tag(id)), Count: x.dict.cells.count(id)}
}
