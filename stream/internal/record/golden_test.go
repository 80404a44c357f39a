package record

import (
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"testing"
)

// golden returns the batches that another implementation encoded, by name.
func golden(t testing.TB) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		name, digits, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || name == "#" {
			continue
		}
		if all[name], err = hex.DecodeString(digits); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return all
}

func TestBuilderWritesTheBytesOfAnotherImplementation(t *testing.T) {
	var plain, transactional Builder
	plain.Append(1600000000000, []byte("covid19"), []byte("1"))
	plain.Append(1600000000123, []byte{}, nil)
	plain.Append(1599999999900, nil, []byte{})
	plain.Append(1600000000007, []byte("k"), []byte("v"), Header{"topic", []byte("tweets")}, Header{"", nil})
	transactional.Append(-1, []byte("a"), make([]byte, 300))

	want := golden(t)
	check := func(name string, got []Batch) {
		if len(got) != 1 || !bytes.Equal(got[0].Bytes(), want[name]) {
			t.Errorf("%s:\n got %x\nwant %x", name, got, want[name])
		}
	}
	check("plain", plain.Seal(4711, NoProducer))
	check("transactional", transactional.Seal(0, ProducerInfo{1 << 40, 7, 2147483647, true}))
}

func TestReaderReadsTheBytesOfAnotherImplementation(t *testing.T) {
	want := map[string][]Record{
		"plain": {
			{4711, 1600000000000, []byte("covid19"), []byte("1"), nil},
			{4712, 1600000000123, []byte{}, nil, nil},
			{4713, 1599999999900, nil, []byte{}, nil},
			{4714, 1600000000007, []byte("k"), []byte("v"), []Header{{"topic", []byte("tweets")}, {"", nil}}},
		},
		"transactional": {{0, -1, []byte("a"), make([]byte, 300), nil}},
		"control":       {{9, 5, []byte{0, 0, 0, 1}, make([]byte, 6), nil}},
		"compacted":     {{103, 1010, []byte("x"), nil, nil}, {109, 500, []byte("y"), []byte("z"), nil}},
		"appendtime":    {{100, 7777, []byte("x"), nil, nil}, {101, 7777, []byte("y"), []byte("z"), nil}},
		"empty":         nil,
	}
	for name, data := range golden(t) {
		b, err := Parse(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := records(b); err != nil || !reflect.DeepEqual(got, want[name]) {
			t.Errorf("%s: %v\n got %v\nwant %v", name, err, got, want[name])
		}
	}
}

func TestBatchKnowsItsExtent(t *testing.T) {
	all := golden(t)
	for _, c := range []struct {
		name             string
		base, next       int64
		count            int
		max              int64
		control, horizon bool
		producer         ProducerInfo
	}{
		{"plain", 4711, 4715, 4, 1600000000123, false, false, NoProducer},
		{"transactional", 0, 1, 1, -1, false, false, ProducerInfo{1 << 40, 7, 2147483647, true}},
		{"control", 9, 10, 1, 5, true, false, ProducerInfo{3, 1, -1, true}},
		{"compacted", 100, 110, 2, 1010, false, true, NoProducer},
		{"empty", 100, 110, 0, -1, false, false, ProducerInfo{5, 0, 0, false}},
	} {
		b, err := Parse(all[c.name])
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		_, horizon := b.Horizon()
		if b.Base() != c.base || b.Next() != c.next || b.Count() != c.count || b.MaxTimestamp() != c.max ||
			b.Control() != c.control || horizon != c.horizon || b.Producer() != c.producer {
			t.Errorf("%s: base %d, next %d, count %d, max %d, control %v, horizon %v, producer %+v",
				c.name, b.Base(), b.Next(), b.Count(), b.MaxTimestamp(), b.Control(), horizon, b.Producer())
		}
	}
}

// records walks a batch and copies what it finds.
func records(b Batch) ([]Record, error) {
	var all []Record
	r := b.Reader()
	for r.Next() {
		all = append(all, *r.Record())
	}
	return all, r.Err()
}
