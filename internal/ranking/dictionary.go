package ranking

import (
	"hash/maphash"
	"slices"
)

// A dictionary finds the cell of a tag. It is a map from the tag's hash to its
// cell: at nine bytes a slot and without pointers that takes a third of a map
// of strings. The few tags that have the hash of another are kept aside; the
// seed sees to it that they are few, whatever tags there are. The zero value is
// empty.
type dictionary struct {
	cells cells
	first map[uint32]cellID // nil as long as there is no seed
	// Invariant: a hash is here only if it is in first, and never without cells.
	others map[uint32][]cellID
	seed   maphash.Seed
	// leave is how many bits of the hash are not used; tests make it small so.
	leave uint8
}

func (d *dictionary) find(tag string) (cellID, bool) {
	if d.first == nil {
		return noCell, false
	}
	h := d.hash(tag)
	id, ok := d.first[h]
	if !ok || string(d.cells.tag(id)) == tag {
		return id, ok
	}
	for _, id := range d.others[h] {
		if string(d.cells.tag(id)) == tag {
			return id, true
		}
	}
	return noCell, false
}

// add makes the cell of a tag that has none.
func (d *dictionary) add(tag, display string, count int64) cellID {
	if d.first == nil {
		d.first, d.others, d.seed = map[uint32]cellID{}, map[uint32][]cellID{}, maphash.MakeSeed()
	}
	h, id := d.hash(tag), d.cells.add(tag, display, count)
	if _, taken := d.first[h]; taken {
		d.others[h] = append(d.others[h], id)
	} else {
		d.first[h] = id
	}
	return id
}

// drop frees the cell of a tag.
func (d *dictionary) drop(id cellID, tag string) {
	h := d.hash(tag)
	others := d.others[h]
	switch {
	case len(others) == 0:
		delete(d.first, h)
	case d.first[h] == id:
		d.first[h] = others[0]
		others = others[1:]
	default:
		others = slices.DeleteFunc(others, func(other cellID) bool { return other == id })
	}
	if len(others) > 0 {
		d.others[h] = others
	} else {
		delete(d.others, h)
	}
	d.cells.drop(id)
}

func (d *dictionary) hash(tag string) uint32 { return uint32(maphash.String(d.seed, tag)) >> d.leave }
