package embedded

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// counters are the last numbers given out.
type counters struct {
	Topic    uint32 `json:"topic"`
	Producer int64  `json:"producer"`
}

// topicRow is a topic as it was created, but for partitions that were added.
type topicRow struct {
	Name            string        `json:"name"`
	Partitions      int32         `json:"partitions"`
	Cleanup         log.Cleanup   `json:"cleanup"`
	Retention       time.Duration `json:"retention,omitempty"`
	MinDirtyRatio   float64       `json:"min_dirty_ratio,omitempty"`
	DeleteRetention time.Duration `json:"delete_retention,omitempty"`
}

// groupRow is what is kept of a group when nobody is in it.
type groupRow struct {
	Generation int32 `json:"generation"`
}

// producerRow is the last producer of a transactional id.
type producerRow struct {
	ID    int64 `json:"id"`
	Epoch int16 `json:"epoch"`
}

// txnRow is an open transaction.
type txnRow struct {
	Since     time.Time  `json:"since"`
	State     txnState   `json:"state"`
	Due       time.Time  `json:"due"` // when it ends by itself
	Holes     int64      `json:"holes,omitempty"`
	Spans     []spanRow  `json:"spans,omitempty"`
	Group     string     `json:"group,omitempty"`
	Positions []position `json:"positions,omitempty"`
}

// spanRow is what a transaction wrote to one partition.
type spanRow struct {
	Topic     uint32 `json:"topic"`
	Partition int32  `json:"partition"`
	Base      int64  `json:"base"`
	Next      int64  `json:"next"`
	Bytes     int64  `json:"bytes"`
}

func (s spanRow) place() place { return place{s.Topic, s.Partition} }

// position is one group position.
type position struct {
	Topic     uint32 `json:"topic"`
	Partition int32  `json:"partition"`
	Next      int64  `json:"next"`
}

func (p position) place() place { return place{p.Topic, p.Partition} }

// An extent is where a partition's records are, and how many bytes of batches.
type extent struct {
	start int64 // first position that still exists
	next  int64 // where the next record goes
	clean int64 // compaction has seen everything before
	bytes int64 // of batches
	dirty int64 // of these, from clean on
}

const extentLen = 5 * 8

func (e extent) encode() []byte {
	b := make([]byte, 0, extentLen)
	for _, v := range []int64{e.start, e.next, e.clean, e.bytes, e.dirty} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return b
}

func decodeExtent(b []byte) (extent, error) {
	if len(b) != extentLen {
		return extent{}, fmt.Errorf("extent of %d bytes", len(b))
	}
	at := func(i int) int64 { return int64(binary.BigEndian.Uint64(b[8*i:])) }
	e := extent{at(0), at(1), at(2), at(3), at(4)}
	if e.start < 0 || e.next < e.start || e.clean < 0 || e.clean > e.next {
		return extent{}, fmt.Errorf("impossible extent %+v", e)
	}
	return e, nil
}

// An indexRow is what searches need to know of a batch without reading it.
type indexRow struct {
	next    int64
	maxTime int64
	bytes   uint32
}

const indexLen = 8 + 8 + 4

func indexOf(b record.Batch) indexRow {
	return indexRow{next: b.Next(), maxTime: b.MaxTimestamp(), bytes: uint32(len(b.Bytes()))}
}

func (r indexRow) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(r.next))
	b = binary.BigEndian.AppendUint64(b, uint64(r.maxTime))
	return binary.BigEndian.AppendUint32(b, r.bytes)
}

func decodeIndex(b []byte) (indexRow, error) {
	if len(b) != indexLen {
		return indexRow{}, fmt.Errorf("index row of %d bytes", len(b))
	}
	return indexRow{
		next:    int64(binary.BigEndian.Uint64(b)),
		maxTime: int64(binary.BigEndian.Uint64(b[8:])),
		bytes:   binary.BigEndian.Uint32(b[16:]),
	}, nil
}

func encodePosition(next int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(next)) }

func decodePosition(b []byte) (int64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("position of %d bytes", len(b))
	}
	if n := binary.BigEndian.Uint64(b); n <= math.MaxInt64 {
		return int64(n), nil
	}
	return 0, errors.New("position below 0")
}

// encodeRow encodes the rows that are rare: readable beats small there.
func encodeRow(row any) []byte {
	b, err := json.Marshal(row)
	if err != nil {
		panic(err) // no row holds anything that JSON cannot
	}
	return b
}

func decodeRow[T any](b []byte) (row T, err error) {
	err = json.Unmarshal(b, &row)
	return row, err
}
