package ranking

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strings"
)

// A wanted prefix, with its bytes as they show in an item's lo.
type wanted struct {
	prefix   []byte
	lo, mask uint64
}

func wantPrefix(prefix string) wanted {
	n := min(len(prefix), 8)
	return wanted{prefix: []byte(prefix), lo: lead(prefix), mask: ^(math.MaxUint64 >> (8 * n))}
}

// in tells whether an item of byRank has the prefix; it looks at the tag only
// if it must.
func (w *wanted) in(x *Index, it *item) bool {
	if it.hi != 0 && (it.lo^w.lo)&w.mask != 0 {
		return false
	}
	return len(w.prefix) == 0 || bytes.HasPrefix(x.dict.cells.tag(it.id), w.prefix)
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

// gather reads the first n rows behind a place out of all the tags that have
// the prefix.
func (x *Index) gather(after *Key, n int, prefix string) []Row {
	g := gatherer{after: after, n: n, prefix: []byte(prefix), last: prefix}
	for !g.end {
		g.hold(x)
	}
	g.cut()
	rows := make([]Row, 0, len(g.best))
	for keys := range slices.Chunk(g.best, holdRows) {
		rows = x.appendRanked(rows, keys)
	}
	return rows
}

// A gatherer goes through the tags of a prefix, one hold of the lock after the
// other, and keeps the best n that it sees.
type gatherer struct {
	after  *Key
	n      int
	prefix []byte

	last string // the tag where it is,
	side side   // with that tag still to be seen or not,
	end  bool   // and whether it is through.

	best  []Key // Invariant: the best n of all seen are among these 2n at most.
	least *Key  // Invariant: n of best are this one or before it, unless nil.
}

func (g *gatherer) hold(x *Index) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	left := holdTags
	p := x.tagPlace(g.last)
	for items := range x.byTag.from(&p, g.side) {
		for _, it := range items {
			tag := x.dict.cells.tag(it.id)
			if !bytes.HasPrefix(tag, g.prefix) {
				g.end = true
				return
			}
			g.see(x.dict.cells.count(it.id), tag)
			if left--; left == 0 {
				g.last, g.side = string(tag), behind
				return
			}
		}
	}
	g.end = true
}

func (g *gatherer) see(count int64, tag []byte) {
	if g.after != nil && !g.after.before(count, tag) || g.least != nil && g.least.before(count, tag) {
		return
	}
	if g.best = append(g.best, Key{count, string(tag)}); len(g.best) == 2*g.n {
		g.cut()
	}
}

// cut sorts the best and keeps n of them.
func (g *gatherer) cut() {
	slices.SortFunc(g.best, Key.compare)
	if len(g.best) >= g.n {
		g.best = g.best[:g.n]
		g.least = new(g.best[g.n-1])
	}
}

// before is Before without a Key for the other.
func (k *Key) before(count int64, tag []byte) bool {
	if k.Count != count {
		return k.Count > count
	}
	return k.Tag < string(tag)
}

func (k Key) compare(o Key) int {
	return cmp.Or(cmp.Compare(o.Count, k.Count), strings.Compare(k.Tag, o.Tag))
}

// appendRanked makes rows of keys, each with the rank of its place.
func (x *Index) appendRanked(rows []Row, keys []Key) []Row {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, k := range keys {
		p := x.rankPlace(k.Count, k.Tag)
		row := Row{Rank: x.byRank.rank(&p, before) + 1, Tag: k.Tag, Count: k.Count, Display: k.Tag}
		if id, ok := x.dict.find(k.Tag); ok {
			row.Display = x.display(id, k.Tag)
		}
		rows = append(rows, row)
	}
	return rows
}
