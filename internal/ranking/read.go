package ranking

import "iter"

// exportPage is how many rows All reads under one hold of the lock.
const exportPage = 512

// Len returns the number of tags, which is the rank of the last one.
func (x *Index) Len() int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.byRank.len()
}

// Sum returns the sum of all counts.
func (x *Index) Sum() int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.sum
}

// CountPrefix returns how many tags begin with prefix, byte by byte.
func (x *Index) CountPrefix(prefix string) int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.countPrefix(prefix)
}

// Get returns the row of one tag, and false if it has no count.
func (x *Index) Get(tag string) (Row, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	id, ok := x.dict.find(tag)
	if !ok {
		return Row{}, false
	}
	count := x.dict.cells.count(id)
	p := x.rankPlace(count, tag)
	return Row{Rank: x.byRank.rank(&p, behind), Tag: tag, Count: count}, true
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
	limit = int(min(int64(max(limit, 0)), x.byRank.len()))
	var from *place
	if after != nil {
		from = new(x.rankPlace(after.Count, after.Tag))
	}
	// One row more than asked for tells whether there is more.
	rows = x.page(from, limit+1, prefix)
	if len(rows) > limit {
		return rows[:limit], true
	}
	return rows, false
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
