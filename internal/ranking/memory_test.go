package ranking

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The promise is 100 bytes a tag, all in, also after counts have moved and
// after half of the tags were replaced by others, and all were shown otherwise.
func TestMemoryOfAMillionTags(t *testing.T) {
	const most = 100
	tags := words()
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
	r := rand.New(rand.NewPCG(9, 10))
	for range million / 4 {
		at := r.IntN(million)
		x.Set(tags[at], zipfCount(at)+1)
	}
	report("moved")
	for _, at := range r.Perm(million)[:million/2] {
		x.Set(tags[at], 0)
		x.Set(tags[at]+"x", 1+r.Int64N(4))
	}
	report("replaced")
	for some := range slices.Chunk(tags, 4096) {
		var displays []Display
		for _, tag := range some {
			if _, ok := x.Get(tag); !ok {
				tag += "x"
			}
			displays = append(displays, Display{tag, mixed(tag)})
		}
		x.ApplyDisplays(displays)
	}
	report("shown with capitals")
	runtime.KeepAlive(x)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestTagsThatLeaveMakeRoomForOthers(t *testing.T) {
	var x Index
	round := func(set func(tag string)) {
		for i := range 10_000 {
			set("tag" + strconv.Itoa(10_000+i))
		}
		set(strings.Repeat("long", slabWords))
	}
	var slabs int
	for i := range 5 {
		round(func(tag string) { x.Set(tag+strconv.Itoa(i), 1) })
		if i == 0 {
			slabs = len(x.dict.cells.slabs)
		}
		round(func(tag string) { x.Set(tag+strconv.Itoa(i), 0) })
	}
	if got := len(x.dict.cells.slabs); got != slabs {
		t.Errorf("%d slabs, want %d as in the first round", got, slabs)
	}
	if len(x.dict.first) != 0 || x.byRank.root != nil || x.byTag.root != nil {
		t.Errorf("an empty index keeps hashes or nodes")
	}
}
