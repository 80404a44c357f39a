package ranking

import "iter"

// exportPage is how many rows All reads at a time.
const exportPage = holdRows - 1

// mostRows is how many rows a page has at most, so that sums of it are ints.
const mostRows = 1 << 28

// Len returns the number of tags, which is the rank of the last one. It never
// waits.
func (x *Index) Len() int64 { return x.tags.Load() }

// Sum returns the sum of all counts. It never waits.
func (x *Index) Sum() int64 { return x.sum.Load() }

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
	if !ok || x.dict.cells.count(id) == 0 {
		return Row{}, false
	}
	count := x.dict.cells.count(id)
	p := x.rankPlace(count, tag)
	return Row{Rank: x.byRank.rank(&p, behind), Tag: tag, Count: count, Display: x.display(id, tag)}, true
}

// display is what the tag of a cell is shown as: tag itself, or a copy.
func (x *Index) display(id cellID, tag string) string {
	if shown, _ := x.dict.cells.display(id); shown == asTag {
		return tag
	}
	return string(x.dict.cells.appendDisplay(nil, id))
}

// Top returns the first n rows, fewer if there are no more. Up to a hundred can
// be had without waiting for a writer; while Apply is at work they are those
// from before.
func (x *Index) Top(n int) []Row {
	if n <= headRows {
		return x.top(max(n, 0))
	}
	rows, _ := x.Page(nil, n, "")
	return rows
}

// Page returns up to limit rows that stand strictly after a place in the
// order (from the top if after is nil) and whose tags begin with prefix, byte
// by byte; more tells whether another such row follows the last one. A row's
// rank is always its position among all tags, whatever the prefix.
//
// To read on, pass the Key of the last row: however the counts move in between,
// no row whose own count stays the same is repeated or skipped. Nor is it
// within a page, but the rows of a page are of one moment only if it has no
// prefix and no more than 255 rows: the lock is never held for long.
func (x *Index) Page(after *Key, limit int, prefix string) (rows []Row, more bool) {
	limit = min(max(limit, 0), mostRows)
	// One row more than asked for tells whether there is more.
	rows = x.page(after, limit+1, prefix)
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
