package ranking

import (
	"iter"
	"math"
	"math/bits"
)

// fanout is the most items of a node. With the allocator's own header a node
// of 62 items fills its size class of 1 KiB.
const fanout = 62

// perLine is how many items a cache line holds.
const perLine = 4

const (
	// A node with fewer items than this is filled up from a neighbour, or
	// merged with it if both together are no more than mergeLimit. The gap
	// between the two keeps a node from going back and forth.
	fewest     = fanout / 3
	mergeLimit = fanout * 5 / 6
	// A full node gives to a neighbour that has this much room, else it
	// splits. That keeps nodes some 80 % full, and full if tags come in order.
	shareRoom = fanout / 4
)

// An item is what the trees hold of a cell: its id and, in front, enough of
// its sort key to need the cell itself for few comparisons only. Items are
// sorted by hi, lo, and at last by the cell's tag.
type item struct {
	hi uint32
	id cellID
	lo uint64
}

// noItem fills the unused places of a node: it is less than nothing.
var noItem = item{hi: math.MaxUint32, id: noCell, lo: math.MaxUint64}

// A side tells which side of an item that stands exactly at a place is meant.
type side int

const (
	before side = 0
	behind side = 1
)

// A tree is a B+tree of items in which every inner node knows how many items
// stand below each of its kids. The zero value is empty.
//
// Invariant: all leaves are equally deep; every node but the root holds from
// fewest to fanout items, an inner root at least two.
type tree struct{ root *node }

// A node is a leaf, or holds its kids and the first item below each.
//
// Invariant: in an inner node items[i] is the first item of kids.at[i], and
// kids.size[i] the number of items in the leaves below it. Everywhere items[n:]
// is noItem and kids.at[n:] is nil.
type node struct {
	kids  *kids // nil in a leaf
	n     int
	items [fanout]item
}

type kids struct {
	at   [fanout]*node
	size [fanout]uint32
}

func (t *tree) len() int64 {
	if t.root == nil {
		return 0
	}
	return t.root.size()
}

// rank returns the number of items before p, including, on the side behind, an
// item at p.
func (t *tree) rank(p *place, s side) (r int64) {
	if t.root == nil {
		return 0
	}
	nd := t.root
	for nd.kids != nil {
		i := nd.kidAt(p)
		for _, size := range nd.kids.size[:i] {
			r += int64(size)
		}
		nd = nd.kids.at[i]
	}
	return r + int64(nd.search(p, s))
}

// from returns, in order, all items behind p, and on the side before also one
// at p; a nil p stands before everything. They come in runs that are never
// empty and are good until the tree changes.
func (t *tree) from(p *place, s side) iter.Seq[[]item] {
	return func(yield func([]item) bool) {
		if t.root != nil {
			t.root.ascend(p, s, yield)
		}
	}
}

// insert adds an item that stands at p; no other may stand there.
func (t *tree) insert(it item, p *place) {
	if t.root == nil {
		t.root = newNode(false)
	}
	if t.root.n == fanout {
		t.root = parentOf(t.root)
	}
	nd := t.root
	for nd.kids != nil {
		nd = nd.insertBelow(it, p)
	}
	nd.open(nd.search(p, before), it)
}

// remove takes out the item that stands at p. It must be there.
func (t *tree) remove(p *place) {
	t.root.remove(p)
	switch {
	case t.root.n == 0:
		t.root = nil
	case t.root.n == 1 && t.root.kids != nil:
		t.root = t.root.kids.at[0]
	}
}

func newNode(inner bool) *node {
	nd := &node{n: fanout}
	if inner {
		nd.kids = new(kids)
	}
	nd.resize(0)
	return nd
}

func parentOf(kid *node) *node {
	nd := newNode(true)
	nd.n = 1
	nd.items[0], nd.kids.at[0], nd.kids.size[0] = kid.items[0], kid, uint32(kid.size())
	return nd
}

// size returns the number of items in the leaves below.
func (nd *node) size() (total int64) {
	if nd.kids == nil {
		return int64(nd.n)
	}
	for _, size := range nd.kids.size[:nd.n] {
		total += int64(size)
	}
	return total
}

// search returns how many of the node's own items stand before p, and on the
// side behind also one at p.
func (nd *node) search(p *place, s side) int {
	i := nd.less(p.hi, p.lo)
	tied := i
	for tied < nd.n && nd.items[tied].hi == p.hi && nd.items[tied].lo == p.lo {
		tied++
	}
	for i < tied {
		mid := int(uint(i+tied) / 2)
		if p.cells.compareTag(nd.items[mid].id, p.tag) < int(s) {
			i = mid + 1
		} else {
			tied = mid
		}
	}
	return i
}

// less returns how many items have a lesser hi and lo. A node that is in no
// cache costs more than all else here, so it is not searched by halves, where
// each miss has to be waited for to know the next: one item of every cache line
// is counted without a branch, which lets the processor fetch them all at once.
func (nd *node) less(hi uint32, lo uint64) int {
	i := 0
	for last := perLine - 1; last < fanout; last += perLine {
		i += perLine * nd.items[last].less(hi, lo)
	}
	for i < fanout && nd.items[i].less(hi, lo) == 1 {
		i++
	}
	return i
}

// less returns 1 if the item has a lesser hi and lo, else 0, without a branch.
func (it *item) less(hi uint32, lo uint64) int {
	_, borrow := bits.Sub64(it.lo, lo, 0)
	_, borrow = bits.Sub64(uint64(it.hi), uint64(hi), borrow)
	return int(borrow)
}

// kidAt returns the kid that p is in or belongs in.
func (nd *node) kidAt(p *place) int { return max(nd.search(p, behind)-1, 0) }

// ascend yields what from promises; it tells whether to go on.
func (nd *node) ascend(p *place, s side, yield func([]item) bool) bool {
	i := 0
	if nd.kids == nil {
		if p != nil {
			i = nd.search(p, s)
		}
		return i == nd.n || yield(nd.items[i:nd.n])
	}
	if p != nil {
		i = nd.kidAt(p)
	}
	for ; i < nd.n; i++ {
		if !nd.kids.at[i].ascend(p, s, yield) {
			return false
		}
		p = nil
	}
	return true
}

// insertBelow makes the node ready for one more item below it and returns the
// kid to go on with, which has room. The node itself has room for one more kid.
func (nd *node) insertBelow(it item, p *place) *node {
	i := nd.kidAt(p)
	if nd.kids.at[i].n == fanout {
		nd.makeRoom(i)
		i = nd.kidAt(p)
	}
	if i == 0 && p.compare(&nd.items[0]) > 0 {
		nd.items[0] = it
	}
	nd.kids.size[i]++
	return nd.kids.at[i]
}

// makeRoom relieves the full kid i.
func (nd *node) makeRoom(i int) {
	const enough = fanout - shareRoom
	switch {
	case i > 0 && nd.kids.at[i-1].n <= enough:
		nd.share(i - 1)
	case i+1 < nd.n && nd.kids.at[i+1].n <= enough:
		nd.share(i)
	default:
		right := newNode(nd.kids.at[i].kids != nil)
		nd.open(i+1, item{})
		nd.kids.at[i+1] = right
		nd.share(i)
	}
}

// remove takes out the item at p somewhere below.
func (nd *node) remove(p *place) {
	if nd.kids == nil {
		nd.close(nd.search(p, before))
		return
	}
	i := nd.kidAt(p)
	kid := nd.kids.at[i]
	kid.remove(p)
	nd.items[i] = kid.items[0]
	nd.kids.size[i]--
	if kid.n < fewest {
		nd.refill(i)
	}
}

// refill brings kid i back to at least fewest items.
func (nd *node) refill(i int) {
	l := min(i, nd.n-2)
	left, right := nd.kids.at[l], nd.kids.at[l+1]
	if left.n+right.n > mergeLimit {
		nd.share(l)
		return
	}
	left.takeFirst(right, right.n)
	nd.kids.size[l] += nd.kids.size[l+1]
	nd.close(l + 1)
}

// share divides the items of kids l and l+1 evenly between them.
func (nd *node) share(l int) {
	left, right := nd.kids.at[l], nd.kids.at[l+1]
	if give := (left.n - right.n) / 2; give > 0 {
		right.takeLast(left, give)
	} else {
		left.takeFirst(right, -give)
	}
	nd.items[l+1] = right.items[0]
	nd.kids.size[l], nd.kids.size[l+1] = uint32(left.size()), uint32(right.size())
}

// takeFirst moves the first k items of right to the end of nd.
func (nd *node) takeFirst(right *node, k int) {
	nd.copy(nd.n, right, 0, k)
	right.copy(0, right, k, right.n-k)
	nd.resize(nd.n + k)
	right.resize(right.n - k)
}

// takeLast moves the last k items of left to the front of nd.
func (nd *node) takeLast(left *node, k int) {
	nd.copy(k, nd, 0, nd.n)
	nd.copy(0, left, left.n-k, k)
	nd.resize(nd.n + k)
	left.resize(left.n - k)
}

// open puts an item in place i; in an inner node the caller owes its kid.
func (nd *node) open(i int, it item) {
	nd.copy(i+1, nd, i, nd.n-i)
	nd.items[i] = it
	nd.n++
}

// close takes out item i, and in an inner node its kid.
func (nd *node) close(i int) {
	nd.copy(i, nd, i+1, nd.n-i-1)
	nd.resize(nd.n - 1)
}

// copy moves k items, with their kids, from place i of another node or of this
// one to place to.
func (nd *node) copy(to int, other *node, i, k int) {
	copy(nd.items[to:to+k], other.items[i:i+k])
	if nd.kids != nil {
		copy(nd.kids.at[to:to+k], other.kids.at[i:i+k])
		copy(nd.kids.size[to:to+k], other.kids.size[i:i+k])
	}
}

// resize sets the number of items and forgets those beyond it.
func (nd *node) resize(n int) {
	for i := n; i < nd.n; i++ {
		nd.items[i] = noItem
	}
	if nd.kids != nil && n < nd.n {
		clear(nd.kids.at[n:nd.n])
	}
	nd.n = n
}
