package stream

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// A set of offsets is what a set of numbers is, and its text says it all.
func TestOffsetsAgreeWithADumbSet(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		set, dumb := &offsetSet{}, map[int64]bool{}
		for range 1 + r.IntN(40) {
			from := r.Int64N(100)
			to := from + r.Int64N(8)
			set.add(from, to)
			for o := from; o < to; o++ {
				dumb[o] = true
			}
		}
		again, err := parseOffsets(set.String())
		if err != nil {
			t.Fatal(err)
		}
		for o := int64(-1); o < 120; o++ {
			if set.has(o) != dumb[o] || again.has(o) != dumb[o] {
				t.Fatalf("seed %d: %d is in %q: %v, read again %v, want %v", seed, o, set, set.has(o), again.has(o), dumb[o])
			}
		}
		wantOrdered(t, set)
	}
}

// wantOrdered checks that no range touches another, so that there are few.
func wantOrdered(t *testing.T, s *offsetSet) {
	t.Helper()
	for i, x := range s.spans {
		if x.from >= x.to || i > 0 && s.spans[i-1].to >= x.from {
			t.Fatalf("ranges %v", s.spans)
		}
	}
}

// FuzzParseOffsets reads ranges that anybody may have written.
func FuzzParseOffsets(f *testing.F) {
	for _, text := range []string{"", "0-41 43-43", "5-4", "1", "-1-2", "0-4611686018427387903", "3-9 1-4 2-2", strings.Repeat("1-1 ", 9)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseOffsets(text)
		if err != nil {
			return
		}
		wantOrdered(t, s)
		again, err := parseOffsets(s.String())
		if err != nil || again.String() != s.String() {
			t.Fatalf("%q became %q, and that %q, %v", text, s, again, err)
		}
	})
}

// FuzzDeadLetter takes apart what anybody may have written among dead letters.
func FuzzDeadLetter(f *testing.F) {
	f.Add("topic", "in", "partition", "1", "offset", "2", "error", "no", "dropped", "value", "timestamp", "3")
	f.Add("topic", "in", "partition", "1", "offset", "2", "error", "no", "timestamp", "-3", "topic", "own")
	f.Add("topic", "in", "partition", "x", "offset", "2", "error", "no", "timestamp", "3", "topic", "own")
	f.Add("own", "", "", "", "", "", "", "", "", "", "", "")
	f.Fuzz(func(t *testing.T, a, b, c, d, e, g, h, i, j, k, l, m string) {
		texts := []string{a, b, c, d, e, g, h, i, j, k, l, m}
		var headers []Header
		for n := 0; n < len(texts); n += 2 {
			headers = append(headers, Header{texts[n], []byte(texts[n+1])})
		}
		got := deadLetter(&Record{Headers: headers})
		if got.Topic == "" && got.Error == "" {
			t.Error("neither a dead letter nor a reason why not")
		}
		if got.Topic != "" && len(got.Headers)+5+len(got.Dropped) != len(headers) {
			t.Errorf("%d headers are the record's own, of %d", len(got.Headers), len(headers))
		}
		if got.Partition < 0 || got.Offset < 0 {
			t.Errorf("from partition %d offset %d", got.Partition, got.Offset)
		}
	})
}
