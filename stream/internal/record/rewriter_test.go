package record

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestRewriterKeepsRecordsWhereTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := Rewriter{MaxBatchBytes: rapid.IntRange(0, 500).Draw(t, "batch bytes")}
		var want []Record
		horizons := map[int64]int64{} // of deletes, by offset
		at := rapid.Int64Range(0, 1<<40).Draw(t, "first offset")
		for range rapid.IntRange(0, 30).Draw(t, "records") {
			r := drawRecord(t)
			r.Offset = at
			horizon := rapid.Int64Range(1000, 1003).Draw(t, "horizon")
			if r.Value == nil {
				horizons[at] = horizon
			}
			w.Append(&r, horizon)
			want = append(want, r)
			at += rapid.Int64Range(1, 1<<31).Draw(t, "gap")
		}
		size := w.Bytes()
		var got []Record
		for _, b := range w.Seal() {
			parsed, err := Parse(b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			rs, err := records(parsed)
			if err != nil {
				t.Fatal(err)
			}
			checkHorizon(t, parsed, rs, horizons)
			if parsed.Base() != rs[0].Offset || parsed.Next() != rs[len(rs)-1].Offset+1 {
				t.Fatalf("batch spans %d to %d, its records %d to %d", parsed.Base(), parsed.Next(), rs[0].Offset, rs[len(rs)-1].Offset+1)
			}
			size -= len(b.Bytes())
			got = append(got, rs...)
		}
		if len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("got %v\nwant %v", got, want)
		}
		if size != 0 || w.Bytes() != 0 {
			t.Fatalf("sizes differ by %d, %d are left", size, w.Bytes())
		}
	})
}

func checkHorizon(t *rapid.T, b Batch, rs []Record, horizons map[int64]int64) {
	horizon, has := b.Horizon()
	deletes := false
	for _, r := range rs {
		if r.Value == nil {
			deletes = true
			if horizons[r.Offset] != horizon {
				t.Fatalf("delete at %d has horizon %d, want %d", r.Offset, horizon, horizons[r.Offset])
			}
		}
	}
	if has != deletes {
		t.Fatalf("batch has a horizon: %v; deletes: %v", has, deletes)
	}
}
