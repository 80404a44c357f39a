package table

import "hash/maphash"

// A hash is that of a key, in this process.
type hash uint64

var seed = maphash.MakeSeed()

func hashOf(key string) hash { return hash(maphash.String(seed, key)) }

// An index finds entries by their keys: slots of eight bytes, with linear probing
// (Knuth, The Art of Computer Programming, volume 3, 6.4, algorithm L). At most half
// of them are taken, so that the first one mostly is the right one, and a processor
// guesses that and goes on while it waits for the memory. Half of the hash stands in
// the slot, so that other keys are hardly ever looked at. The zero value is empty.
//
// It is for stages: a map of the language would hold each key's header once more,
// and stages of many tables do not fit into a processor's caches as it is.
type index struct {
	slots []slot // a power of two, or none
	taken int
}

type slot struct {
	tag   uint32 // of the hash; where probing begins is its end
	entry int32  // plus one; 0: the slot is free
}

const leastSlots = 64

// find returns the number of the entry with key, -1 if there is none.
func (x *index) find(h hash, key string, entries []Staged) int {
	if len(x.slots) == 0 {
		return -1
	}
	mask := uint32(len(x.slots) - 1)
	for at := uint32(h) & mask; x.slots[at].entry != 0; at = (at + 1) & mask {
		if s := x.slots[at]; s.tag == uint32(h) && entries[s.entry-1].Key == key {
			return int(s.entry - 1)
		}
	}
	return -1
}

// add adds an entry whose key is not there, with a number above all others.
func (x *index) add(h hash, entry int) {
	if x.taken++; 2*x.taken > len(x.slots) {
		x.grow()
	}
	x.place(slot{tag: uint32(h), entry: int32(entry) + 1})
}

func (x *index) place(s slot) {
	mask := uint32(len(x.slots) - 1)
	at := s.tag & mask
	for x.slots[at].entry != 0 {
		at = (at + 1) & mask
	}
	x.slots[at] = s
}

// grow doubles the slots. Entries take their new ones in the order in which they
// came, on which dropLast depends.
func (x *index) grow() {
	old := x.slots
	x.slots = make([]slot, max(leastSlots, 2*len(old)))
	sorted := make([]slot, x.taken)
	for _, s := range old {
		if s.entry != 0 {
			sorted[s.entry-1] = s
		}
	}
	for _, s := range sorted {
		if s.entry != 0 {
			x.place(s)
		}
	}
}

// dropLast takes out the entry that was added last. No probe goes past its slot,
// because it was free when the others took theirs.
func (x *index) dropLast(h hash, entry int) {
	mask := uint32(len(x.slots) - 1)
	at := uint32(h) & mask
	for x.slots[at].entry != int32(entry)+1 {
		at = (at + 1) & mask
	}
	x.slots[at] = slot{}
	x.taken--
}

// reset empties the index, and keeps its memory unless most of it was not needed.
func (x *index) reset() {
	if 16*x.taken < len(x.slots) {
		x.slots = nil
	}
	clear(x.slots)
	x.taken = 0
}
