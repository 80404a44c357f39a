package ranking

import (
	"iter"
	"strings"
)

// Len returns the number of tags, which is the rank of the last one.
func (x *Index) Len() int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return int64(len(x.naive.keys))
}

// Sum returns the sum of all counts.
func (x *Index) Sum() int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.naive.sum()
}

// CountPrefix returns how many tags begin with prefix, byte by byte.
func (x *Index) CountPrefix(prefix string) int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	rows, _ := x.naive.page(nil, int(^uint(0)>>1), prefix)
	return int64(len(rows))
}

// Get returns the row of one tag, and false if it has no count.
func (x *Index) Get(tag string) (Row, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.naive.get(tag)
}

// Top returns the first n rows, fewer if there are no more.
func (x *Index) Top(n int) []Row {
	rows, _ := x.Page(nil, n, "")
	return rows
}

// Page returns up to limit rows that stand strictly after a place in the
// order (from the top if after is nil) and whose tags begin with prefix, byte
// by byte; more tells whether another such row follows the last one. A row's
// rank is always its position among all tags, whatever the prefix.
//
// All rows of a page are of one moment. To read on, pass the Key of the last
// row: however the counts moved in between, no row whose own count stayed the
// same is repeated or skipped.
func (x *Index) Page(after *Key, limit int, prefix string) (rows []Row, more bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.naive.page(after, limit, prefix)
}

// All returns every row in order, read in pages: it holds no lock while the
// caller handles a row, so counts may move meanwhile, with the promise of Page.
func (x *Index) All() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		var after *Key
		for more := true; more; {
			var rows []Row
			rows, more = x.Page(after, exportPage, "")
			for _, r := range rows {
				if !yield(r) {
					return
				}
			}
			if more {
				after = new(rows[len(rows)-1].Key())
			}
		}
	}
}

// exportPage is the number of rows that All reads at a time.
const exportPage = 512

func begins(tag, prefix string) bool { return strings.HasPrefix(tag, prefix) }
