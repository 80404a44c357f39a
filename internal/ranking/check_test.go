package ranking

import (
	"errors"
	"fmt"
)

// check walks the whole index and tells which of its invariants do not hold.
func (x *Index) check() error {
	rankAt := func(id cellID) place {
		return x.rankPlace(x.dict.cells.count(id), string(x.dict.cells.tag(id)))
	}
	tagAt := func(id cellID) place { return x.tagPlace(string(x.dict.cells.tag(id))) }
	return errors.Join(
		checkTree("byRank", &x.byRank, rankAt),
		checkTree("byTag", &x.byTag, tagAt),
		x.checkTotals(),
	)
}

func (x *Index) checkTotals() error {
	if a, b := x.byRank.len(), x.byTag.len(); a != b {
		return fmt.Errorf("%d items by rank, %d by tag", a, b)
	}
	var sum int64
	for items := range x.byTag.from(nil, before) {
		for _, it := range items {
			sum += x.dict.cells.count(it.id)
		}
	}
	if sum != x.Sum() || x.byTag.len() != x.Len() {
		return fmt.Errorf("%d tags of sum %d, kept as %d of %d", x.byTag.len(), sum, x.Len(), x.Sum())
	}
	return nil
}

func checkTree(name string, t *tree, at func(cellID) place) error {
	if t.root == nil {
		return nil
	}
	if _, err := checkNode(t.root, true); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var last *place
	for items := range t.from(nil, before) {
		for i := range items {
			p := at(items[i].id)
			if p.item(items[i].id) != items[i] {
				return fmt.Errorf("%s: item %v of %q should be %v", name, items[i], p.tag, p.item(items[i].id))
			}
			if last != nil && last.compare(&items[i]) <= 0 {
				return fmt.Errorf("%s: %q stands behind %q", name, p.tag, last.tag)
			}
			last = &p
		}
	}
	return nil
}

// checkNode returns the depth below.
func checkNode(nd *node, root bool) (depth int, err error) {
	if nd.n > fanout || !root && nd.n < fewest || root && nd.kids != nil && nd.n < 2 || nd.n < 1 {
		return 0, fmt.Errorf("a node of %d items", nd.n)
	}
	for i, it := range nd.items {
		if (it == noItem) != (i >= nd.n) {
			return 0, fmt.Errorf("item %d of %d is %v", i, nd.n, it)
		}
	}
	if nd.kids == nil {
		return 0, nil
	}
	for i, kid := range nd.kids.at {
		if i >= nd.n {
			if kid != nil {
				return 0, fmt.Errorf("kid %d of %d is not forgotten", i, nd.n)
			}
			continue
		}
		if size := kid.size(); size != int64(nd.kids.size[i]) {
			return 0, fmt.Errorf("%d items below, counted as %d", size, nd.kids.size[i])
		}
		if kid.items[0] != nd.items[i] {
			return 0, fmt.Errorf("kid %d begins with %v, not %v", i, kid.items[0], nd.items[i])
		}
		d, err := checkNode(kid, false)
		if err != nil {
			return 0, err
		}
		if i > 0 && d+1 != depth {
			return 0, fmt.Errorf("kids of different depth")
		}
		depth = d + 1
	}
	return depth, nil
}
