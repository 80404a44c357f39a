package ranking

import "hash/maphash"

// A dictionary finds the cell of a tag. It is a map from the tag's hash to the
// first of the cells with that hash: at nine bytes a slot and without pointers
// it takes a third of a map of strings. The seed keeps chains short whatever
// tags there are. The zero value is empty.
type dictionary struct {
	cells cells
	first map[uint32]cellID // nil as long as there is no seed
	seed  maphash.Seed
	// leave is how many bits of the hash are not used; tests make chains so.
	leave uint8
}

func (d *dictionary) find(tag string) (cellID, bool) {
	if d.first == nil {
		return noCell, false
	}
	id, ok := d.first[d.hash(tag)]
	for ok && string(d.cells.tag(id)) != tag {
		id = d.cells.next(id)
		ok = id != noCell
	}
	return id, ok
}

// add makes the cell of a tag that has none.
func (d *dictionary) add(tag string, count int64) cellID {
	if d.first == nil {
		d.first, d.seed = map[uint32]cellID{}, maphash.MakeSeed()
	}
	h := d.hash(tag)
	next, ok := d.first[h]
	if !ok {
		next = noCell
	}
	id := d.cells.add(tag, count, next)
	d.first[h] = id
	return id
}

// drop frees the cell of a tag.
func (d *dictionary) drop(id cellID, tag string) {
	h, next := d.hash(tag), d.cells.next(id)
	switch at := d.first[h]; {
	case at != id:
		for d.cells.next(at) != id {
			at = d.cells.next(at)
		}
		d.cells.setNext(at, next)
	case next != noCell:
		d.first[h] = next
	default:
		delete(d.first, h)
	}
	d.cells.drop(id)
}

func (d *dictionary) hash(tag string) uint32 { return uint32(maphash.String(d.seed, tag)) >> d.leave }
