// Package ranking keeps counts in order: every tag by (count descending, tag
// ascending by UTF-8 bytes), with rank, top-k and keyset paging in
// logarithmic time and without ever sorting everything.
//
// It is the noun that view (which fills it) and api (which reads it) share,
// so that neither has to import the other.
package ranking

// A Row is one tag with its count and its unique 1-based position in the order.
type Row struct {
	Rank    int64  `json:"rank"`
	Tag     string `json:"tag"`
	Count   int64  `json:"count"`
	Display string `json:"display"` // how it is shown; Tag unless something else was set
}

// A Key is a place in the order: rows are sorted by Count descending, then by
// Tag ascending in UTF-8 byte order. Paging goes on after a Key, whether or
// not a row still stands there, so a page neither repeats nor skips a row
// whose count did not change.
type Key struct {
	Count int64
	Tag   string
}

// Before tells whether k stands before o in the order.
func (k Key) Before(o Key) bool {
	if k.Count != o.Count {
		return k.Count > o.Count
	}
	return k.Tag < o.Tag
}

// Key returns the row's place in the order.
func (r Row) Key() Key { return Key{Count: r.Count, Tag: r.Tag} }
