package table

import "github.com/cespare/xxhash/v2"

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
// It need not look for a key above all that were added, as new ones are where
// keys begin with what counts up.
type filter struct {
	parts []filterPart
	last  []byte // the largest key
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
	filterMarks = 6       // bits that are set for a key
)

// add adds a key that is set at a stream time.
func (f *filter) add(key string, now int64) {
	if key > str(f.last) {
		f.last = append(f.last[:0], key...)
	}
	n := len(f.parts)
	if n == 0 || f.parts[n-1].keys >= len(f.parts[n-1].blocks)*512/filterBits {
		f.grow()
		n = len(f.parts)
	}
	p := &f.parts[n-1]
	p.keys++
	p.last = now
	h := xxhash.Sum64String(key)
	b := &p.blocks[h%uint64(len(p.blocks))]
	for range filterMarks {
		h = next(h)
		b[h>>6&7] |= 1 << (h & 63)
	}
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

// may tells whether a key may have been added since a stream time.
func (f *filter) may(key string, since int64) bool {
	if key > str(f.last) {
		return false
	}
	if f.blind >= since && f.blind > 0 {
		return true
	}
	hash := xxhash.Sum64String(key)
	for i := len(f.parts) - 1; i >= 0 && f.parts[i].last >= since; i-- {
		if f.parts[i].has(hash) {
			return true
		}
	}
	return false
}

func (p *filterPart) has(h uint64) bool {
	b := &p.blocks[h%uint64(len(p.blocks))]
	for range filterMarks {
		h = next(h)
		if b[h>>6&7]&(1<<(h&63)) == 0 {
			return false
		}
	}
	return true
}

// forget drops the parts whose keys were all added before a stream time.
func (f *filter) forget(before int64) {
	for len(f.parts) > 1 && f.parts[0].last < before {
		f.parts = f.parts[1:]
	}
}

// next is a step of splitmix64 (Steele, Lea and Flood, 2014).
func next(h uint64) uint64 {
	h += 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
