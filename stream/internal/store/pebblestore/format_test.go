package pebblestore

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// TestFormatIsTheOneOnDisk pins the bytes that stores in the field have.
// Whoever changes them changes the format's version, too.
func TestFormatIsTheOneOnDisk(t *testing.T) {
	p := progress{
		checkpoint: store.Checkpoint{Next: 5026, Commit: 7, Time: time.Unix(1_600_000_000, 42).UTC(), Stream: 5},
		changes:    9,
	}
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"key of the format": {formatKey(), "000000"},
		"key in catalogue":  {catalogueKey(258), "0000010102"},
		"key of checkpoint": {appendPrefix(nil, 258, kindCheckpoint), "010200"},
		"key of count":      {appendPrefix(nil, 258, kindCount), "010201"},
		"key of entries":    {appendPrefix(nil, 258, kindEntry), "010202"},
		"checkpoint":        {p.append(nil), "00000000000013a20000000000000007000000005f5e10000000002a00000000000000050000000000000009"},
		"count":             {appendCount(nil, 9), "0000000000000009"},
		"format":            {[]byte(format), "33"},
		"merger":            {[]byte(counter.Name), hex.EncodeToString([]byte("tagtide.count.1"))},
		"row of the catalogue": {
			newRow(record.Partition{Topic: "t", Number: 3}, store.Identity{LogID: "l", TopicID: "i", Partitions: 4, Partitioner: "m"}).encode(),
			hex.EncodeToString([]byte(`{"topic":"t","partition":3,"log_id":"l","topic_id":"i","partitions":4,"partitioner":"m"}`)),
		},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestNoTimeStaysNoTime(t *testing.T) {
	p, err := decodeProgress(progress{}.append(nil))
	if err != nil || p != (progress{}) {
		t.Errorf("got %+v, %v", p, err)
	}
}

// FuzzDecode feeds all decoders, and encodes again what they took.
func FuzzDecode(f *testing.F) {
	f.Add(catalogueKey(1), newRow(record.Partition{Topic: "t"}, store.Identity{}).encode())
	f.Add([]byte{}, progress{changes: 1, checkpoint: store.Checkpoint{Time: time.Unix(1, 2)}}.append(nil))
	f.Add([]byte{}, appendCount(nil, 1))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if id, r, err := decodeCatalogue(key, value); err == nil {
			again, back, err := decodeCatalogue(catalogueKey(id), r.encode())
			if err != nil || again != id || back != r {
				t.Errorf("row %+v became %+v, %v", r, back, err)
			}
		}
		if p, err := decodeProgress(value); err == nil {
			if back, err := decodeProgress(p.append(nil)); err != nil || back != p {
				t.Errorf("progress %+v became %+v, %v", p, back, err)
			}
		}
		if n, err := decodeCount(value); err == nil && !bytes.Equal(appendCount(nil, n), value) {
			t.Errorf("count %d of %x", n, value)
		}
	})
}

// TestCountsAddUp merges in both directions, as Pebble does.
func TestCountsAddUp(t *testing.T) {
	m, err := counter.Merge(nil, appendCount(nil, 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []uint64{2, 3} {
		if err := m.MergeNewer(appendCount(nil, n)); err != nil {
			t.Fatal(err)
		}
		if err := m.MergeOlder(appendCount(nil, n)); err != nil {
			t.Fatal(err)
		}
	}
	value, _, err := m.Finish(true)
	if n, errDecode := decodeCount(value); err != nil || errDecode != nil || n != 11 {
		t.Errorf("got %d, %v, %v", n, err, errDecode)
	}
	if m.MergeNewer([]byte("short")) == nil {
		t.Error("merged what is no count")
	}
}
