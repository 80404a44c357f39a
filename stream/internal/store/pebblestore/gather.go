package pebblestore

import (
	"bytes"
	"iter"
	"slices"
	"sort"
	"unsafe"

	"github.com/tagtide/tagtide/stream/internal/store"
)

// A gather is what lazy changes did to a table that Pebble does not have yet:
// sorted runs in memory, of which a later one outranks those before it.
//
//	older                                newer
//	├──── 40,000 rows ────┼── 12,000 ──┼─ 5,000 ─┤
//
// Rows that all come behind a run continue it; else they begin another one, and
// a run is merged with the one before it unless that is more than twice as long:
// so there are few, and no row is merged more often than they double.
//
// A gather is never changed. One that is made of another shares its memory, and
// so of each only one may be made.
type gather struct {
	epoch uint64 // how many of the table's gathers ended before this one began
	runs  []run
}

// A run has rows in the order of their keys, each key once.
type run struct {
	data []byte // key and value of each row, one row behind the other
	rows []place
}

// A place is that of a row in its run's data.
type place struct {
	start int
	key   uint32 // length
	value int32  // length; -1: the row is deleted
}

// rowBytes is what a row takes in memory beside its bytes.
const rowBytes = int(unsafe.Sizeof(place{}))

// with returns the gather with entries on top.
func (g *gather) with(entries []store.Entry) *gather {
	if len(entries) == 0 {
		return g
	}
	runs := slices.Clone(g.runs)
	if n := len(runs); n > 0 && bytes.Compare(runs[n-1].last(), entries[0].Key) < 0 {
		runs[n-1] = runs[n-1].with(entries)
	} else {
		runs = append(runs, emptyRun().with(entries))
	}
	for n := len(runs); n > 1 && len(runs[n-2].rows) <= 2*len(runs[n-1].rows); n-- {
		runs = append(runs[:n-2], merged(runs[n-2:]))
	}
	return &gather{epoch: g.epoch, runs: runs}
}

// ended returns the gather that begins when this one has ended.
func (g *gather) ended() *gather { return &gather{epoch: g.epoch + 1} }

// bytes is how much memory the gather takes, but for a little.
func (g *gather) bytes() (n int) {
	for _, r := range g.runs {
		n += cap(r.data) + rowBytes*cap(r.rows)
	}
	return n
}

// get looks a key up. value is nil if the row is deleted, and valid for good.
func (g *gather) get(key []byte) (value []byte, there bool) {
	for _, r := range slices.Backward(g.runs) {
		if i := r.find(key); i < len(r.rows) && bytes.Equal(r.key(i), key) {
			return r.value(i), true
		}
	}
	return nil, false
}

// all yields the rows at and after from in the order of their keys, with the
// values that stand on top; nil ones of rows that are deleted.
func (g *gather) all(from []byte) iter.Seq2[[]byte, []byte] { return mergedRows(g.runs, from) }

// merged merges runs into one.
func merged(runs []run) run {
	m := emptyRun()
	for _, r := range runs {
		m.data, m.rows = slices.Grow(m.data, len(r.data)), slices.Grow(m.rows, len(r.rows))
	}
	for key, value := range mergedRows(runs, nil) {
		m = m.and(key, value)
	}
	return m
}

// emptyRun has data that is not nil, so that no part of it is.
func emptyRun() run { return run{data: []byte{}} }

func mergedRows(runs []run, from []byte) iter.Seq2[[]byte, []byte] {
	if len(runs) == 1 { // as it is where keys come in their order
		return runs[0].all(from)
	}
	return func(yield func(key, value []byte) bool) {
		at := make([]int, len(runs)) // the next row of each run
		for i, r := range runs {
			at[i] = r.find(from)
		}
		for {
			top := first(runs, at)
			if top < 0 {
				return
			}
			key, value := runs[top].key(at[top]), runs[top].value(at[top])
			for i, r := range runs[:top] {
				if at[i] < len(r.rows) && bytes.Equal(r.key(at[i]), key) {
					at[i]++
				}
			}
			at[top]++
			if !yield(key, value) {
				return
			}
		}
	}
}

// first is the run whose next row comes first, the last one of those; -1 if all
// have ended.
func first(runs []run, at []int) int {
	least := -1
	for i, r := range runs {
		if at[i] < len(r.rows) && (least < 0 || bytes.Compare(r.key(at[i]), runs[least].key(at[least])) <= 0) {
			least = i
		}
	}
	return least
}

// with returns the run with entries behind its rows.
func (r run) with(entries []store.Entry) run {
	size := 0
	for _, e := range entries {
		size += len(e.Key) + len(e.Value)
	}
	r.data, r.rows = doubled(r.data, size), doubled(r.rows, len(entries))
	for _, e := range entries {
		r = r.and(e.Key, e.Value)
	}
	return r
}

// doubled returns s with room for n more: in all, each row is copied once for it.
func doubled[T any](s []T, n int) []T {
	if cap(s)-len(s) >= n {
		return s
	}
	return slices.Grow(s, max(n, len(s)))
}

// and returns the run with a row behind the others.
func (r run) and(key, value []byte) run {
	p := place{start: len(r.data), key: uint32(len(key)), value: int32(len(value))}
	if value == nil {
		p.value = -1
	}
	r.data = append(append(r.data, key...), value...)
	r.rows = append(r.rows, p)
	return r
}

func (r *run) all(from []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for i := r.find(from); i < len(r.rows) && yield(r.key(i), r.value(i)); i++ {
		}
	}
}

// find is the first row at or after key.
func (r *run) find(key []byte) int {
	return sort.Search(len(r.rows), func(i int) bool { return bytes.Compare(r.key(i), key) >= 0 })
}

func (r *run) last() []byte { return r.key(len(r.rows) - 1) }

func (r *run) key(i int) []byte {
	p := r.rows[i]
	end := p.start + int(p.key)
	return r.data[p.start:end:end]
}

// value is nil if the row is deleted.
func (r *run) value(i int) []byte {
	p := r.rows[i]
	if p.value < 0 {
		return nil
	}
	start := p.start + int(p.key)
	end := start + int(p.value)
	return r.data[start:end:end]
}
