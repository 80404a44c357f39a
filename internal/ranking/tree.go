package ranking

import "iter"

// fanout is the most items of a node. With the allocator's own header a node
// of 62 items fills its size class of 1 KiB.
const fanout = 62

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
// kids.size[i] the number of items in the leaves below it; kids.at[n:] is nil.
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

// first returns the first item at p or behind it.
func (t *tree) first(p *place) (item, bool) {
	for items := range t.from(p, before) {
		return items[0], true
	}
	return item{}, false
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
		t.root = new(node)
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

func parentOf(kid *node) *node {
	nd := &node{n: 1, kids: new(kids)}
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
	lo, hi := 0, nd.n
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if p.compare(&nd.items[mid]) < int(s) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
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
		right := new(node)
		if nd.kids.at[i].kids != nil {
			right.kids = new(kids)
		}
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

// resize sets the number of items and forgets kids beyond it.
func (nd *node) resize(n int) {
	if nd.kids != nil && n < nd.n {
		clear(nd.kids.at[n:nd.n])
	}
	nd.n = n
}
