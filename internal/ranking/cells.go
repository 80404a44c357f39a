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
//	┌──────────────┬───────────────────────────┬─────┬─────────┐
//	│ count, int64 │ 4·length + shown, varint  │ tag │ display │
//	└──────────────┴───────────────────────────┴─────┴─────────┘
//	shown 0  as the tag       nothing
//	      1  with capitals    a bit for each byte of the tag, set for those that are capitals
//	      2  otherwise        length, varint, and the bytes
//
// A cell with a count of 0 is only there for its display. A free cell begins with the id of the next free one of its size. A cell
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

// How a tag is shown.
const (
	asTag = iota
	withCapitals
	otherwise
)

// add makes a cell. A display of "" is the tag.
func (c *cells) add(tag, display string, count int64) cellID {
	shown := shownAs(tag, display)
	id := c.take(cellWords(len(tag), shown, len(display)))
	c.setCount(id, count)
	c.write(id, tag, display, shown)
	return id
}

func shownAs(tag, display string) int {
	switch {
	case display == "" || display == tag:
		return asTag
	case len(tag) != len(display):
		return otherwise
	}
	for i := range len(tag) {
		if tag[i] != display[i] && !isCapital(tag[i], display[i]) {
			return otherwise
		}
	}
	return withCapitals
}

// isCapital tells whether b is the capital of the small letter a.
func isCapital(a, b byte) bool { return 'a' <= a && a <= 'z' && b == a-('a'-'A') }

// write writes all of a cell but its count.
func (c *cells) write(id cellID, tag, display string, shown int) {
	b := c.from(id)[cellHead:]
	b = b[binary.PutUvarint(b, uint64(len(tag)<<2|shown)):]
	b = b[copy(b, tag):]
	switch shown {
	case withCapitals:
		clear(b[:(len(tag)+7)/8])
		for i := range len(tag) {
			if tag[i] != display[i] {
				b[i/8] |= 1 << (i % 8)
			}
		}
	case otherwise:
		n := binary.PutUvarint(b, uint64(len(display)))
		copy(b[n:], display)
	}
}

// setDisplay changes how a tag is shown, if the cell has the size for it.
func (c *cells) setDisplay(id cellID, tag, display string) bool {
	shown := shownAs(tag, display)
	if cellWords(len(tag), shown, len(display)) != c.words(id) {
		return false
	}
	c.write(id, tag, display, shown)
	return true
}

// drop frees a cell; its tag must not be used any more.
func (c *cells) drop(id cellID) {
	words := c.words(id)
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
		return b[1 : 1+n>>2]
	}
	n, at := binary.Uvarint(b)
	return b[at : at+int(n>>2)]
}

// display returns how the tag is shown, and its bytes in place.
func (c *cells) display(id cellID) (shown int, data []byte) {
	b := c.from(id)[cellHead:]
	n, at := binary.Uvarint(b)
	shown, b = int(n&3), b[at+int(n>>2):]
	switch shown {
	case withCapitals:
		return shown, b[:(n>>2+7)/8]
	case otherwise:
		n, at := binary.Uvarint(b)
		return shown, b[at : at+int(n)]
	}
	return asTag, nil
}

// appendDisplay appends what the tag is shown as.
func (c *cells) appendDisplay(dst []byte, id cellID) []byte {
	shown, data := c.display(id)
	if shown == otherwise {
		return append(dst, data...)
	}
	start := len(dst)
	dst = append(dst, c.tag(id)...)
	if shown == withCapitals {
		for i := range dst[start:] {
			if data[i/8]&(1<<(i%8)) != 0 {
				dst[start+i] -= 'a' - 'A'
			}
		}
	}
	return dst
}

// displaySize is how long that is, 0 if it is the tag itself.
func (c *cells) displaySize(id cellID) int {
	switch shown, data := c.display(id); shown {
	case withCapitals:
		return len(c.tag(id))
	case otherwise:
		return len(data)
	}
	return 0
}

// words is the size of a cell.
func (c *cells) words(id cellID) int {
	shown, data := c.display(id)
	return cellWords(len(c.tag(id)), shown, len(data))
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

// cellWords is the size of a cell for a tag of n bytes with a display of so many.
func cellWords(n, shown, display int) int {
	size := cellHead + varintSize(n<<2) + n
	switch shown {
	case withCapitals:
		size += (n + 7) / 8
	case otherwise:
		size += varintSize(display) + display
	}
	return (size + wordSize - 1) / wordSize
}

func varintSize(n int) int {
	var varint [binary.MaxVarintLen64]byte
	return binary.PutUvarint(varint[:], uint64(n))
}
