package ranking

import "encoding/binary"

// A cellID names a cell for as long as it lives; cells never move.
//
//	31                      14 13                          0
//	┌─────────────────────────┬────────────────────────────┐
//	│ slab                    │ place in the slab, in words│
//	└─────────────────────────┴────────────────────────────┘
type cellID uint32

const (
	wordSize  = 4
	slabBits  = 14
	slabWords = 1 << slabBits // 64 KiB
	maxSlabs  = 1 << (32 - slabBits)

	cellHead = 8 // the count

	noCell = ^cellID(0)
)

// cells is the memory of all tags and counts: one cell for each tag, packed
// into slabs that the garbage collector need not look into. 16 GiB at most,
// which is some 700 million tags.
//
// A cell, padded to a whole number of words:
//
//	┌──────────────┬────────────────┬─────┐
//	│ count, int64 │ length, varint │ tag │
//	└──────────────┴────────────────┴─────┘
//
// A free cell begins with the id of the next free one of its size. A cell
// longer than a slab has a slab of its own, which freeing it gives back.
type cells struct {
	slabs [][]byte
	// Invariant: slabs[open] is cut into cells up to the word used; nothing is
	// open while used is 0.
	open, used int
	// free[n] is the first free cell of n words, or noCell.
	free []cellID
	// holes are the slabs that were given back.
	holes []int
}

// add makes a cell.
func (c *cells) add(tag string, count int64) cellID {
	id := c.take(cellWords(len(tag)))
	c.setCount(id, count)
	b := c.from(id)[cellHead:]
	n := binary.PutUvarint(b, uint64(len(tag)))
	copy(b[n:], tag)
	return id
}

// drop frees a cell; its tag must not be used any more.
func (c *cells) drop(id cellID) {
	words := cellWords(len(c.tag(id)))
	if words > slabWords {
		slab := int(id >> slabBits)
		c.slabs[slab] = nil
		c.holes = append(c.holes, slab)
		return
	}
	for len(c.free) <= words {
		c.free = append(c.free, noCell)
	}
	binary.LittleEndian.PutUint32(c.from(id), uint32(c.free[words]))
	c.free[words] = id
}

func (c *cells) count(id cellID) int64 {
	return int64(binary.LittleEndian.Uint64(c.from(id)))
}

func (c *cells) setCount(id cellID, count int64) {
	binary.LittleEndian.PutUint64(c.from(id), uint64(count))
}

// tag returns the tag in place: it is good until the cell is dropped.
func (c *cells) tag(id cellID) []byte {
	b := c.from(id)[cellHead:]
	if n := int(b[0]); n < 0x80 {
		return b[1 : 1+n]
	}
	n, at := binary.Uvarint(b)
	return b[at : at+int(n)]
}

// compareTag compares the cell's tag with another, by bytes.
func (c *cells) compareTag(id cellID, tag string) int {
	switch own := c.tag(id); { // conversions for a comparison do not allocate
	case string(own) < tag:
		return -1
	case string(own) > tag:
		return 1
	}
	return 0
}

func (c *cells) from(id cellID) []byte {
	return c.slabs[id>>slabBits][int(id%slabWords)*wordSize:]
}

// take finds room for a cell.
func (c *cells) take(words int) cellID {
	switch {
	case words > slabWords:
		return cellID(c.addSlab(words)) << slabBits
	case words < len(c.free) && c.free[words] != noCell:
		id := c.free[words]
		c.free[words] = cellID(binary.LittleEndian.Uint32(c.from(id)))
		return id
	case c.used == 0 || c.used+words > slabWords:
		c.open, c.used = c.addSlab(slabWords), 0
	}
	id := cellID(c.open)<<slabBits | cellID(c.used)
	c.used += words
	return id
}

func (c *cells) addSlab(words int) int {
	slab := make([]byte, words*wordSize)
	if last := len(c.holes) - 1; last >= 0 {
		i := c.holes[last]
		c.holes = c.holes[:last]
		c.slabs[i] = slab
		return i
	}
	if len(c.slabs) == maxSlabs {
		panic("ranking: more than 16 GiB of tags")
	}
	c.slabs = append(c.slabs, slab)
	return len(c.slabs) - 1
}

// cellWords is the size of a cell for a tag of n bytes.
func cellWords(n int) int {
	var varint [binary.MaxVarintLen64]byte
	return (cellHead + binary.PutUvarint(varint[:], uint64(n)) + n + wordSize - 1) / wordSize
}
