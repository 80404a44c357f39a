package ranking

import (
	"math/rand/v2"
	"runtime"
	"testing"
)

// TestMemoryOfAMillionTags holds the promise of 100 bytes a tag, all in, also
// after the counts have moved and after half of the tags were replaced.
func TestMemoryOfAMillionTags(t *testing.T) {
	const most = 100
	tags, batches := words(), stream(10_000, 100)
	start := heap()
	x := full()
	report := func(when string) {
		perTag := float64(heap()-start) / float64(x.Len())
		t.Logf("%s: %.1f bytes a tag", when, perTag)
		if perTag > most {
			t.Errorf("%s: %.1f bytes a tag, want at most %d", when, perTag, most)
		}
	}
	report("filled")
	for _, batch := range batches {
		x.Apply(batch)
	}
	report("counted on")
	r := rand.New(rand.NewPCG(9, 10))
	for i := range 3 * million {
		tag := tags[r.IntN(million)]
		x.Set(tag+"x"[:i%2], 0)
		x.Set(tag+"x"[(i+1)%2:], 1+r.Int64N(4))
	}
	report("replaced")
	runtime.KeepAlive(batches)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
