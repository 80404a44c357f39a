package ranking

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const million = 1_000_000

// words are a million different tags of about twelve bytes, some of them in
// Cyrillic, in no order.
var words = sync.OnceValue(func() []string {
	r := rand.New(rand.NewPCG(3, 4))
	var syllables []string
	for _, c := range "bcdfghjklmnpqrstvwxzдкн" {
		for _, v := range "aeiou" {
			syllables = append(syllables, string(c)+string(v))
		}
	}
	seen := make(map[string]bool, million)
	tags := make([]string, 0, million)
	for len(tags) < million {
		tag := ""
		for range 4 + r.IntN(4) {
			tag += syllables[r.IntN(len(syllables))]
		}
		if !seen[tag] {
			seen[tag] = true
			tags = append(tags, tag)
		}
	}
	return tags
})

// zipfCount is the count of the i-th of a million tags.
func zipfCount(i int) int64 { return 1 + int64(2*million/(i+1)) }

// full returns an index of a million tags.
func full() *Index {
	x := new(Index)
	batch := make([]Update, 0, million)
	for i, tag := range words() {
		batch = append(batch, Update{tag, zipfCount(i)})
	}
	x.Apply(batch)
	return x
}

var fullOnce = sync.OnceValue(full)

// stream returns batches of updates as a view sees them: Zipf-distributed uses,
// summed up per batch of so many, the last count of each tag.
func stream(uses int, batches int) [][]Update {
	r := rand.New(rand.NewPCG(5, 6))
	z := rand.NewZipf(r, 1.05, 1, million-1)
	counts := map[uint64]int64{}
	var out [][]Update
	for range batches {
		var order []uint64
		in := map[uint64]bool{}
		for range uses {
			i := z.Uint64()
			if counts[i] == 0 {
				counts[i] = zipfCount(int(i))
			}
			counts[i]++
			if !in[i] {
				in[i] = true
				order = append(order, i)
			}
		}
		batch := make([]Update, len(order))
		for j, i := range order {
			batch[j] = Update{strings.Clone(words()[i]), counts[i]} // one behind the other, as decoded
		}
		out = append(out, batch)
	}
	return out
}

// BenchmarkApply counts on at a million tags; an op is one update. It has two
// million of them.
func BenchmarkApply(b *testing.B) {
	x := full()
	batches := stream(10_000, 500)
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; batches = batches[1:] {
		x.Apply(batches[0][:min(len(batches[0]), b.N-n)])
		n += len(batches[0])
	}
}

// BenchmarkApplyEvenly counts on tags drawn evenly, which misses every cache.
func BenchmarkApplyEvenly(b *testing.B) {
	x := full()
	r := rand.New(rand.NewPCG(7, 8))
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		at := r.IntN(million)
		x.Set(words()[at], zipfCount(at)+int64(i%8))
	}
}

// BenchmarkLoad fills an index with a million tags in no order; an op is one tag.
func BenchmarkLoad(b *testing.B) {
	words()
	b.ResetTimer()
	for n := 0; n < b.N; n += million {
		full()
	}
}

func BenchmarkTop10(b *testing.B) {
	x := fullOnce()
	b.ReportAllocs()
	for b.Loop() {
		x.Top(10)
	}
}

func BenchmarkGet(b *testing.B) {
	x := fullOnce()
	r := rand.New(rand.NewPCG(7, 8))
	b.ReportAllocs()
	for b.Loop() {
		x.Get(words()[r.IntN(million)])
	}
}

func BenchmarkPage(b *testing.B) {
	x := fullOnce()
	r := rand.New(rand.NewPCG(7, 8))
	b.ReportAllocs()
	for b.Loop() {
		at := r.IntN(million)
		x.Page(&Key{zipfCount(at), words()[at]}, 50, "")
	}
}

func BenchmarkPageOfPrefix(b *testing.B) {
	x := fullOnce()
	for _, bm := range []struct{ name, prefix string }{
		{"broad", "co"},
		{"middle", "covi"},
		{"narrow", "covide"},
		{"one", words()[777_777]},
		{"none", "nosuch"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x.Page(nil, 50, bm.prefix)
			}
			b.ReportMetric(float64(x.CountPrefix(bm.prefix)), "matching")
		})
	}
}

// BenchmarkTop10WhileCounting reads with a writer that never rests.
func BenchmarkTop10WhileCounting(b *testing.B) {
	x := full()
	batches := stream(10_000, 100)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				x.Apply(batches[i%len(batches)])
			}
		}
	}()
	took := make([]time.Duration, b.N)
	b.ResetTimer()
	for i := range took {
		start := time.Now()
		x.Top(10)
		took[i] = time.Since(start)
	}
	b.StopTimer()
	close(stop)
	<-done
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
}
