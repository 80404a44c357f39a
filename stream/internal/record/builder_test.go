package record

import (
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func drawBytes(t *rapid.T, label string) []byte {
	if rapid.Bool().Draw(t, label+" is null") {
		return nil
	}
	return append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, label)...)
}

func drawRecord(t *rapid.T) Record {
	r := Record{
		Timestamp: rapid.Int64().Draw(t, "timestamp"),
		Key:       drawBytes(t, "key"),
		Value:     drawBytes(t, "value"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "headers") {
		r.Headers = append(r.Headers, Header{rapid.String().Draw(t, "header"), drawBytes(t, "header value")})
	}
	return r
}

// The model of a builder is a slice of records.
func TestBuilderKeepsRecordsAsASliceWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Builder{MaxBatchBytes: rapid.IntRange(0, 1000).Draw(t, "batch bytes")}
		var model []Record
		var mark Mark
		marked := 0
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				r := drawRecord(t)
				b.Append(r.Timestamp, r.Key, r.Value, r.Headers...)
				model = append(model, r)
			},
			"mark":     func(*rapid.T) { mark, marked = b.Mark(), len(model) },
			"rollback": func(*rapid.T) { b.Rollback(mark); model = model[:marked] },
			"reset":    func(*rapid.T) { b.Reset(); model, mark, marked = nil, Mark{}, 0 },
			"": func(t *rapid.T) {
				checkSealed(t, &b, model, rapid.Int64Range(0, 1<<40).Draw(t, "base"))
			},
		})
	})
}

func checkSealed(t *rapid.T, b *Builder, model []Record, base int64) {
	batches := b.Seal(base, ProducerInfo{ID: 7, Sequence: 3})
	next, size := base, 0
	var got []Record
	for _, batch := range batches {
		parsed, err := Parse(batch.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if s := parsed.Producer().Sequence; parsed.Base() != next || s != int32(next-base)+3 {
			t.Fatalf("batch begins at %d with sequence %d, want %d from %d", parsed.Base(), s, next, base)
		}
		rs, err := records(parsed)
		if err != nil {
			t.Fatal(err)
		}
		got, next, size = append(got, rs...), parsed.Next(), size+len(parsed.Bytes())
	}
	for i := range model {
		model[i].Offset = base + int64(i)
	}
	if len(got) != len(model) || len(got) > 0 && !reflect.DeepEqual(got, model) {
		t.Fatalf("got %v\nwant %v", got, model)
	}
	if b.Count() != len(model) || b.Bytes() != size {
		t.Fatalf("builder counts %d records and %d bytes, there are %d and %d", b.Count(), b.Bytes(), len(model), size)
	}
}

func TestSealedBatchesDoNotChangeWithTheBuilder(t *testing.T) {
	var b Builder
	b.Append(1, []byte("key"), []byte("old"))
	sealed := b.Seal(0, NoProducer)[0]
	b.Reset()
	b.Append(1, []byte("key"), []byte("new"))
	rs, err := records(sealed)
	if err != nil || string(rs[0].Value) != "old" {
		t.Fatalf("sealed batch reads %v, %v", rs, err)
	}
}

func TestBuilderBeginsABatchWhenOneIsFull(t *testing.T) {
	b := Builder{MaxBatchBytes: 200}
	for i := range 10 {
		b.Append(int64(i), []byte("k"), make([]byte, 50))
	}
	b.Append(10, nil, make([]byte, 500)) // larger than a batch: one of its own
	batches := b.Seal(0, NoProducer)
	if len(batches) != 6 {
		t.Fatalf("%d batches, want 5 of two records and 1 of one", len(batches))
	}
	for _, batch := range batches[:5] {
		if len(batch.Bytes()) > 200 || batch.Count() != 2 {
			t.Errorf("batch of %d records in %d bytes", batch.Count(), len(batch.Bytes()))
		}
	}
}

func TestAppendDoesNotAllocateInSteadyState(t *testing.T) {
	var b Builder
	key, value := []byte("covid19"), []byte("5026")
	fill := func() {
		b.Reset()
		for i := range 1000 {
			b.Append(int64(i), key, value, Header{"topic", value})
		}
	}
	fill()
	if n := testing.AllocsPerRun(10, fill); n != 0 {
		t.Errorf("%v allocations per 1000 records", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{8, 350} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var builder Builder
			key, value := []byte("covid19"), make([]byte, size)
			b.SetBytes(int64(len(key) + len(value)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%10000 == 0 {
					builder.Reset()
				}
				builder.Append(int64(i), key, value)
			}
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	var builder Builder
	for i := range 10000 {
		builder.Append(int64(i), []byte("covid19"), make([]byte, 350))
	}
	b.SetBytes(int64(builder.Bytes()))
	for b.Loop() {
		builder.Seal(0, NoProducer)
	}
}
