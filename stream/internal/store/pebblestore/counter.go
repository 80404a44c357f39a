package pebblestore

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// counter merges counts by adding them. Pebble stores its name.
var counter = &pebble.Merger{
	Name: "tagtide.count.1",
	Merge: func(_, value []byte) (pebble.ValueMerger, error) {
		var s sum
		return &s, s.add(value)
	},
}

const countLen = 8

func appendCount(dst []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(dst, n) }

func decodeCount(data []byte) (uint64, error) {
	if len(data) != countLen {
		return 0, fmt.Errorf("count of %d bytes, want %d", len(data), countLen)
	}
	return binary.BigEndian.Uint64(data), nil
}

// sum is a merge under way. Addition has no order, so it does not matter from
// which side operands come.
type sum uint64

func (s *sum) add(value []byte) error {
	n, err := decodeCount(value)
	*s += sum(n)
	return err
}

func (s *sum) MergeNewer(value []byte) error { return s.add(value) }
func (s *sum) MergeOlder(value []byte) error { return s.add(value) }

func (s *sum) Finish(bool) ([]byte, io.Closer, error) {
	return appendCount(nil, uint64(*s)), nil, nil
}
