package ranking

import "math"

// A place is a point in a tree's order, whether or not an item stands there.
type place struct {
	hi    uint32
	lo    uint64
	tag   string
	cells *cells
}

// compare tells where an item stands: before p (< 0), at it or behind (> 0).
func (p *place) compare(it *item) int {
	switch {
	case it.hi < p.hi:
		return -1
	case it.hi > p.hi:
		return 1
	case it.lo < p.lo:
		return -1
	case it.lo > p.lo:
		return 1
	}
	return p.cells.compareTag(it.id, p.tag)
}

// item returns the item of the cell that stands at p.
func (p *place) item(id cellID) item { return item{hi: p.hi, id: id, lo: p.lo} }

// tagPlace is where a tag stands in byTag: hi and lo are its first twelve
// bytes.
func (x *Index) tagPlace(tag string) place {
	p := place{hi: uint32(lead(tag) >> 32), tag: tag, cells: &x.dict.cells}
	if len(tag) > 4 {
		p.lo = lead(tag[4:])
	}
	return p
}

// rankPlace is where a tag with a count stands in byRank.
//
//	count < 2³²-1   hi = 2³²-1 - count   lo = the tag's first eight bytes
//	beyond          hi = 0               lo = 2⁶⁴-1 - count
func (x *Index) rankPlace(count int64, tag string) place {
	p := place{tag: tag, cells: &x.dict.cells}
	if count = max(count, 0); count < math.MaxUint32 {
		p.hi, p.lo = uint32(math.MaxUint32-count), lead(tag)
	} else {
		p.lo = math.MaxUint64 - uint64(count)
	}
	return p
}

// lead returns the first eight bytes of a tag as a number that sorts as they
// do. A shorter tag is filled up with zeros, which keeps the order but makes
// equals of "a" and "a\x00".
func lead(tag string) (n uint64) {
	if len(tag) >= 8 {
		return uint64(tag[7]) | uint64(tag[6])<<8 | uint64(tag[5])<<16 | uint64(tag[4])<<24 |
			uint64(tag[3])<<32 | uint64(tag[2])<<40 | uint64(tag[1])<<48 | uint64(tag[0])<<56
	}
	for i := range len(tag) {
		n |= uint64(tag[i]) << (56 - 8*i)
	}
	return n
}
