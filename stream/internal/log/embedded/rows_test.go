package embedded

import (
	"bytes"
	"testing"
)

// Whatever lies where a row should, it is refused or it is a row: then the same
// bytes come back.
func FuzzRows(f *testing.F) {
	f.Add(extent{1, 9, 4, 300, 20}.encode())
	f.Add(indexRow{9, 1000, 300}.append(nil))
	f.Add(encodePosition(7))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		comesBack := func(what string, err error, again []byte) {
			if err == nil && !bytes.Equal(again, data) {
				t.Fatalf("%s %x comes back as %x", what, data, again)
			}
		}
		e, err := decodeExtent(data)
		comesBack("extent", err, e.encode())
		if err == nil && (e.start < 0 || e.start > e.next || e.clean > e.next) {
			t.Fatalf("impossible: %+v", e)
		}
		i, err := decodeIndex(data)
		comesBack("index row", err, i.append(nil))
		n, err := decodePosition(data)
		comesBack("position", err, encodePosition(n))
		if n < 0 {
			t.Fatalf("position %d", n)
		}
	})
}

// The rows that are JSON are refused, or say the same when they are written again.
func FuzzJSONRows(f *testing.F) {
	f.Add(encodeRow(counters{Topic: 3, Producer: 9}))
	f.Add(encodeRow(topicRow{Name: "t", Partitions: 4, Cleanup: 1, MinDirtyRatio: 0.5}))
	f.Add(encodeRow(groupRow{Generation: 4}))
	f.Add(encodeRow(producerRow{ID: 4, Epoch: 2}))
	f.Add(encodeRow(txnRow{Holes: 1, Group: "g", Spans: []spanRow{{1, 2, 3, 4, 5}}, Positions: []position{{1, 2, 3}}}))
	f.Add([]byte(`{"since":"9999-12-31T23:59:59.999999999+23:59","min_dirty_ratio":1e308}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		sameAgain[counters](t, data)
		sameAgain[topicRow](t, data)
		sameAgain[groupRow](t, data)
		sameAgain[producerRow](t, data)
		sameAgain[txnRow](t, data)
	})
}

func sameAgain[T any](t *testing.T, data []byte) {
	t.Helper()
	row, err := decodeRow[T](data)
	if err != nil {
		return
	}
	written := encodeRow(row)
	again, err := decodeRow[T](written)
	if err != nil || !bytes.Equal(encodeRow(again), written) {
		t.Fatalf("%s comes back as %s: %v", written, encodeRow(again), err)
	}
}
