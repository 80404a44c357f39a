package table

import "math/bits"

// A filter tells of most keys that are not in a table that they are not, so that
// nobody has to look: nearly every key of a table that remembers what was seen
// is new. It is a row of Bloom filters, each for the keys that were set in some
// time; when all of that time's rows have ended, the filter goes with them.
//
//	├── 64 Ki keys ──┼──── 128 Ki ────┼─ … 1 Mi ─┤   16 bits a key
//	 oldest                               newest
//
// A Bloom filter's bits for a key lie in one cache line (Putze, Sanders and
// Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007): about one
// of 500 keys that are not there is taken for one that is.
//
// It need not look for a key above all that were written, as new ones are where
// keys begin with what counts up.
//
// A block is hardly ever in the processor's caches. So keys are added when it has
// to look, or when they are many: then the processor waits for many blocks at once.
type filter struct {
	parts []filterPart
	last  []byte // the largest key that was written
	fresh []hash // of keys that are not in the parts yet
	near  uint64 // nothing: blocks are read into it, and a variable that nobody sees would be compiled away
	now   int64  // stream time when the last of them was set
	// blind is the stream time up to which it knows nothing: there was no memory
	// for parts of that time.
	blind int64
}

type filterPart struct {
	blocks []filterBlock
	keys   int
	last   int64 // stream time when the last key was added
}

type filterBlock [8]uint64

const (
	filterLeast = 1 << 16 // keys of the first part
	filterMost  = 1 << 20 // keys of a part
	filterParts = 40      // at most: 80 MiB
	filterBits  = 16      // for a key
	filterMarks = 6       // bits that are set for a key, each said by 9 of its hash
	filterFresh = 1 << 8  // keys that are added at once
)

// above tells whether a key is above all that were raised to.
func (f *filter) above(key string) bool { return key > str(f.last) }

// raise tells the same, and is told of a key that is to be written. Those that are
// set are added, too.
func (f *filter) raise(key string) bool {
	above := f.above(key)
	if above {
		f.last = append(f.last[:0], key...)
	}
	return above
}

// add adds a key that is set at a stream time.
func (f *filter) add(h hash, now int64) {
	if f.fresh, f.now = append(f.fresh, h), now; len(f.fresh) == filterFresh {
		f.settle()
	}
}

// settle adds the fresh keys to the parts, all as of when the last one was set: a
// part may live longer for it, never less.
func (f *filter) settle() {
	n := len(f.parts)
	if n == 0 || f.parts[n-1].keys >= len(f.parts[n-1].blocks)*512/filterBits {
		f.grow()
		n = len(f.parts)
	}
	p := &f.parts[n-1]
	p.keys += len(f.fresh)
	p.last = f.now
	for _, h := range f.fresh { // the processor does not wait for one before it asks for the next
		f.near |= p.block(h)[0]
	}
	for _, h := range f.fresh {
		b, marks := p.block(h), mixed(h)
		for range filterMarks {
			b[marks>>6&7] |= 1 << (marks & 63)
			marks >>= 9
		}
	}
	f.fresh = f.fresh[:0]
}

// grow adds a part, twice as large as the one before it, and drops the oldest
// one if there are too many.
func (f *filter) grow() {
	keys := filterLeast
	if n := len(f.parts); n > 0 {
		keys = min(filterMost, 2*len(f.parts[n-1].blocks)*512/filterBits)
	}
	if len(f.parts) == filterParts {
		f.blind = f.parts[0].last
		f.parts = append(f.parts[:0:0], f.parts[1:]...)
	}
	f.parts = append(f.parts, filterPart{blocks: make([]filterBlock, keys*filterBits/512)})
}

// may tells whether a key may have been added since a stream time, if it is not
// above all.
func (f *filter) may(h hash, since int64) bool {
	if f.blind >= since && f.blind > 0 {
		return true
	}
	if len(f.fresh) > 0 {
		f.settle()
	}
	for i := len(f.parts) - 1; i >= 0 && f.parts[i].last >= since; i-- {
		if f.parts[i].has(h) {
			return true
		}
	}
	return false
}

func (p *filterPart) has(h hash) bool {
	b, marks := p.block(h), mixed(h)
	for range filterMarks {
		if b[marks>>6&7]&(1<<(marks&63)) == 0 {
			return false
		}
		marks >>= 9
	}
	return true
}

// block is where the bits of a key lie: at the place in the row of blocks that its
// hash has in the row of all hashes.
func (p *filterPart) block(h hash) *filterBlock {
	at, _ := bits.Mul64(uint64(h), uint64(len(p.blocks)))
	return &p.blocks[at]
}

// forget drops the parts whose keys were all added before a stream time.
func (f *filter) forget(before int64) {
	for len(f.parts) > 1 && f.parts[0].last < before {
		f.parts = f.parts[1:]
	}
}

// mixed is a step of splitmix64 (Steele, Lea and Flood, 2014), so that where a
// key's marks are says nothing of which block they are in.
func mixed(h hash) hash {
	h += 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
