package pebblestore

import (
	"bytes"
	"slices"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// An apart keeps the rows of tables that gather in files of their own: what is
// above them all then lies between no two keys of any file, and can go to the
// bottom, see [Store.ingest]. The zero value is ready; add has one caller at a
// time for each table.
type apart struct {
	ids atomic.Pointer[[]tableID] // in order
}

func (a *apart) add(id tableID) {
	for {
		old := a.ids.Load()
		var ids []tableID
		if old != nil {
			ids = *old
		}
		at, known := slices.BinarySearch(ids, id)
		if known {
			return
		}
		added := slices.Insert(slices.Clone(ids), at, id)
		if a.ids.CompareAndSwap(old, &added) {
			return
		}
	}
}

// policy tells Pebble where the file that begins with a key has to end: before
// the next rows of a table that gathers, or behind them.
func (a *apart) policy(key []byte) (p pebble.SpanPolicy, end []byte, err error) {
	ids := a.ids.Load()
	if ids == nil {
		return p, nil, nil
	}
	for _, id := range *ids {
		_, behind := id.span()
		for _, bound := range [][]byte{appendPrefix(nil, id, kindEntry), behind} {
			if bytes.Compare(key, bound) < 0 {
				return p, bound, nil
			}
		}
	}
	return p, nil, nil
}
