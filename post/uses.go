package post

import (
	"bytes"
	"hash/maphash"
	"math/bits"

	"github.com/tagtide/tagtide/hashtag"
)

// Use is one hashtag of one post.
type Use struct {
	Key      []byte // the folded tag
	Spelling []byte // as the author spelled it where it came first, see hashtag.Trim
}

// Uses finds the distinct hashtags of posts. The zero value is ready; it keeps its scratch, so that in steady
// state nothing is allocated, and is for one goroutine.
type Uses struct {
	found []Use
	keys  []byte // what the keys in found are parts of
	// slots are a hash table of found, for a post with more than few tags: an index plus one, or 0 where there is
	// none. There are a power of two of them, at least twice as many as tags.
	slots []int32
	seed  maphash.Seed
}

// few is how many keys are compared one by one: hardly a post has more.
const few = 16

// Of returns the hashtags of p, each key once, in order of first appearance. Tags without a key (see
// hashtag.Fold) are left out. The result is valid until the next call and as long as p.
func (u *Uses) Of(p *Post) []Use {
	u.found, u.keys = u.found[:0], u.keys[:0]
	if u.slots = u.slots[:0]; len(p.Tags) > few {
		u.makeSlots(len(p.Tags))
	}
	for _, tag := range p.Tags {
		start := len(u.keys)
		u.keys = hashtag.Fold(u.keys, tag)
		key := u.keys[start:len(u.keys):len(u.keys)]
		if len(key) == 0 || u.has(key) {
			u.keys = u.keys[:start]
			continue
		}
		u.found = append(u.found, Use{key, hashtag.Trim(tag)})
	}
	return u.found
}

func (u *Uses) makeSlots(tags int) {
	if u.seed == (maphash.Seed{}) {
		u.seed = maphash.MakeSeed()
	}
	n := 2 << bits.Len(uint(tags))
	if cap(u.slots) < n {
		u.slots = make([]int32, n)
	}
	u.slots = u.slots[:n]
	clear(u.slots)
}

// has tells whether key was found before. If not, it takes a slot for the one that is found next.
func (u *Uses) has(key []byte) bool {
	if len(u.slots) == 0 {
		for i := range u.found {
			if bytes.Equal(u.found[i].Key, key) {
				return true
			}
		}
		return false
	}
	slot := u.slot(key)
	if *slot != 0 {
		return true
	}
	*slot = int32(len(u.found) + 1)
	return false
}

// slot is that of key, or the free one where it belongs.
func (u *Uses) slot(key []byte) *int32 {
	last := len(u.slots) - 1
	for i := int(maphash.Bytes(u.seed, key)); ; i++ {
		slot := &u.slots[i&last]
		if *slot == 0 || bytes.Equal(u.found[*slot-1].Key, key) {
			return slot
		}
	}
}
