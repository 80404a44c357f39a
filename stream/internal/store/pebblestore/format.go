package pebblestore

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// A tableID is the short name of a table, the beginning of its keys. 0 is the
// store's own.
type tableID uint16

const (
	storeID tableID = 0
	lastID  tableID = 0xfffe // the span of an id ends where the next one begins
)

// What stands behind the id in a key: of the store, of a table.
const (
	kindFormat    = 0
	kindCatalogue = 1

	kindCheckpoint = 0
	kindCount      = 1
	kindEntry      = 2
)

const (
	prefixLen   = 3 // of every key: id and kind
	progressLen = 8 + 8 + 8 + 4 + 8 + 8
)

// format is the version of everything in this file, and of what programs write
// into folded tables: a table with keys of an older form would not be found out
// otherwise.
const format = "3"

func appendPrefix(dst []byte, id tableID, kind byte) []byte {
	return append(dst, byte(id>>8), byte(id), kind)
}

func formatKey() []byte { return appendPrefix(nil, storeID, kindFormat) }

func catalogueKey(id tableID) []byte {
	return binary.BigEndian.AppendUint16(appendPrefix(nil, storeID, kindCatalogue), uint16(id))
}

// catalogueSpan returns the bounds of the catalogue's keys.
func catalogueSpan() (start, end []byte) {
	return appendPrefix(nil, storeID, kindCatalogue), appendPrefix(nil, storeID, kindCatalogue+1)
}

// span returns the bounds of all keys of a table.
func (id tableID) span() (start, end []byte) {
	return binary.BigEndian.AppendUint16(nil, uint16(id)), binary.BigEndian.AppendUint16(nil, uint16(id)+1)
}

// A row is a table's row in the catalogue. It is JSON, for people with a tool.
type row struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	LogID       string `json:"log_id"`
	TopicID     string `json:"topic_id"`
	Partitions  int32  `json:"partitions"`
	Partitioner string `json:"partitioner"`
}

func newRow(p record.Partition, id store.Identity) row {
	return row{p.Topic, p.Number, id.LogID, id.TopicID, id.Partitions, id.Partitioner}
}

func (r row) changelog() record.Partition {
	return record.Partition{Topic: r.Topic, Number: r.Partition}
}

func (r row) identity() store.Identity {
	return store.Identity{LogID: r.LogID, TopicID: r.TopicID, Partitions: r.Partitions, Partitioner: r.Partitioner}
}

func (r row) encode() []byte {
	data, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and integers always marshal
	}
	return data
}

// decodeCatalogue reads what stands under a key of the catalogue's span.
func decodeCatalogue(key, value []byte) (id tableID, r row, err error) {
	if len(key) != prefixLen+2 {
		return 0, row{}, fmt.Errorf("key of the catalogue of %d bytes, want %d", len(key), prefixLen+2)
	}
	id = tableID(binary.BigEndian.Uint16(key[prefixLen:]))
	if id == storeID || id > lastID {
		return 0, row{}, fmt.Errorf("the catalogue has a table with id %d", id)
	}
	if err := json.Unmarshal(value, &r); err != nil {
		return 0, row{}, fmt.Errorf("the catalogue's row of table %d: %w", id, err)
	}
	return id, r, nil
}

// progress is how far a table is: its checkpoint, and how many changes were
// applied since it was empty.
type progress struct {
	checkpoint store.Checkpoint
	changes    uint64
}

func (p progress) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.checkpoint.Next))
	dst = binary.BigEndian.AppendUint64(dst, p.checkpoint.Commit)
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.checkpoint.Time.Unix()))
	dst = binary.BigEndian.AppendUint32(dst, uint32(p.checkpoint.Time.Nanosecond()))
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.checkpoint.Stream))
	return binary.BigEndian.AppendUint64(dst, p.changes)
}

func decodeProgress(data []byte) (progress, error) {
	if len(data) != progressLen {
		return progress{}, fmt.Errorf("checkpoint of %d bytes, want %d", len(data), progressLen)
	}
	next, commit := binary.BigEndian.Uint64(data), binary.BigEndian.Uint64(data[8:])
	sec, nsec := binary.BigEndian.Uint64(data[16:]), binary.BigEndian.Uint32(data[24:])
	return progress{
		checkpoint: store.Checkpoint{
			Next: int64(next), Commit: commit, Time: time.Unix(int64(sec), int64(nsec)).UTC(),
			Stream: int64(binary.BigEndian.Uint64(data[28:])),
		},
		changes: binary.BigEndian.Uint64(data[36:]),
	}, nil
}
