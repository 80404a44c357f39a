package table

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// What is cached agrees with a plain map, and its cost is what is accounted
// and never above the limit, whatever sizes values grow to.
func TestCacheStaysWithinItsLimit(t *testing.T) {
	const limit = 4000
	c := cache{limit: limit, complete: true}
	model := map[string]string{}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		key := fmt.Sprintf("k%d", random.IntN(40))
		switch random.IntN(4) {
		case 0:
			c.update(key, nil)
			delete(model, key)
		case 1, 2:
			value := strings.Repeat("x", random.IntN(300))
			if random.IntN(50) == 0 {
				value = strings.Repeat("y", limit)
			}
			c.update(key, []byte(value))
			model[key] = value
		}
		v, ok := c.get(key)
		want, there := model[key]
		if ok && (!there || string(v) != want) || !ok && there && c.complete {
			t.Fatalf("%s is %q, %v; want %q, %v", key, v, ok, want, there)
		}
		young, old := 0, 0
		for k, v := range c.young {
			young += cost(k, v.value)
		}
		for k, v := range c.old {
			old += cost(k, v.value)
		}
		if young != c.bytes || young > limit/2 || old > limit/2 {
			t.Fatalf("young costs %d, accounted %d, old %d; the limit is %d", young, c.bytes, old, limit)
		}
	}
}

// Whatever is in the cache is its own: keys may be written over as soon as a call
// returned, also those of updates of what is there.
func TestCacheCopiesKeys(t *testing.T) {
	c := cache{limit: 4000}
	for _, value := range []string{"1", "2", "3"} {
		key := []byte("one")
		c.update(str(key), []byte(value))
		copy(key, "two")
		if v, ok := c.get("one"); !ok || string(v) != value {
			t.Errorf("one is %q, %t; want %s", v, ok, value)
		}
		if _, ok := c.get("two"); ok {
			t.Error("two is there")
		}
	}
}

// A key may be written over as soon as Set returned, as the bytes of a fetched
// batch are once nobody points into it.
func TestStageCopiesKeys(t *testing.T) {
	s := newStage()
	key := []byte("one")
	s.set(hashOf("one"), str(key), []byte("1"), 0)
	copy(key, "two")
	if s.find(hashOf("one"), "one") == nil || s.find(hashOf("two"), "two") != nil || s.entries[0].Key != "one" {
		t.Errorf("the stage has %q", s.entries[0].Key)
	}
}

// What an arena hands out is nobody else's and stays where it is, and after a
// reset it has no more memory than was used before that.
func TestArenaHandsOutEachByteOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var a arena
	for round := range 20 {
		var pieces [][]byte
		used, most := 0, random.IntN(300_000)
		for i := 0; used < most; i++ {
			n := random.IntN(200)
			if random.IntN(50) == 0 {
				n = random.IntN(chunkBytes)
			}
			piece := a.take(n)
			if piece == nil || len(piece) != n || cap(piece) != n {
				t.Fatalf("asked for %d bytes, got %d of %d", n, len(piece), cap(piece))
			}
			for j := range piece {
				piece[j] = byte(i)
			}
			pieces, used = append(pieces, piece), used+n
		}
		for i, piece := range pieces {
			for _, b := range piece {
				if b != byte(i) {
					t.Fatalf("round %d: piece %d was written over", round, i)
				}
			}
		}
		if a.used != used {
			t.Errorf("%d bytes are used, %d were handed out", a.used, used)
		}
		a.reset()
		if kept := len(a.chunks) * chunkBytes; kept > 2*used+chunkBytes || a.used != 0 {
			t.Errorf("%d bytes were used, and %d are kept", used, kept)
		}
	}
}

// A stage that had much once does not keep its memory, whatever sizes it came in.
func TestResetGivesMemoryBack(t *testing.T) {
	for _, size := range []int{100, chunkBytes / 5, chunkBytes / 2} {
		s := newStage()
		before := heap()
		for i := range 40 << 20 / size {
			key := fmt.Sprint("key ", i)
			s.set(hashOf(key), key, make([]byte, size), 0)
		}
		s.reset()
		s.set(hashOf("k"), "k", []byte("v"), 0)
		s.reset()
		entries := int64(cap(s.entries)) * 48
		if kept := heap() - before - entries; kept > 4<<20 {
			t.Errorf("of 40 MiB in values of %d bytes %d are kept", size, kept)
		}
		runtime.KeepAlive(s)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Steps that fail leave no bytes behind, however many there are.
func TestRollbackGivesBytesBack(t *testing.T) {
	s := newStage()
	s.set(hashOf("there"), "there", []byte("value"), 0)
	was := s.Bytes()
	for i := range 1000 {
		s.mark()
		s.set(hashOf("there"), "there", make([]byte, 1+i), 0)
		s.set(hashOf("new"), "new", make([]byte, 1000), 0)
		s.rollback()
	}
	if s.Bytes() != was || len(s.arena.chunks) > 2 {
		t.Errorf("%d bytes in %d chunks, want %d", s.Bytes(), len(s.arena.chunks), was)
	}
	if e := s.find(hashOf("there"), "there"); e == nil || string(e.Value) != "value" {
		t.Errorf("rolled back to %+v", e)
	}
}

// A stage is a map that can be rolled back to where the step began, however its
// keys collide, and its values grow and shrink.
func TestStageIsAMap(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	s, model, before := newStage(), map[string]string{}, map[string]string{}
	for round := range 60_000 {
		switch key := fmt.Sprint("key ", random.IntN(1+random.IntN(3000))); random.IntN(12) {
		case 0:
			s.mark()
			before = maps.Clone(model)
		case 1:
			s.rollback()
			model = maps.Clone(before)
		case 2:
			s.set(hashOf(key), key, nil, 1)
			model[key] = "deleted"
		default:
			value := strings.Repeat("v", random.IntN(60)) + fmt.Sprint(round)
			s.set(hashOf(key), key, []byte(value), 1)
			model[key] = value
		}
		if random.IntN(3000) == 0 {
			s.reset()
			clear(model)
			clear(before)
		}
		if random.IntN(300) == 0 {
			compare(t, s, model)
		}
	}
}

func compare(t *testing.T, s *Stage, model map[string]string) {
	t.Helper()
	if s.Len() != len(model) {
		t.Fatalf("%d keys, want %d", s.Len(), len(model))
	}
	for key, want := range model {
		e := s.find(hashOf(key), key)
		if e == nil || e.Key != key || e.Value == nil != (want == "deleted") || e.Value != nil && string(e.Value) != want {
			t.Fatalf("%s is %+v, want %s", key, e, want)
		}
		if s.find(hashOf(key+"x"), key+"x") != nil {
			t.Fatalf("%sx is there", key)
		}
	}
}

// An index finds its way also where hashes are the same, or were dropped again.
func TestHashesMayCollide(t *testing.T) {
	var x index
	var entries []Staged
	for round := range 3 {
		for i := range 200 {
			h := hash(i % 5 << 32 >> round) // the half that counts is the lower one
			entries = append(entries, Staged{Key: fmt.Sprint(i)})
			x.add(h, i)
			if i%3 == 0 {
				x.dropLast(h, i)
				x.add(h, i)
			}
		}
		for i := range 400 {
			want := i
			if i >= 200 {
				want = -1
			}
			if at := x.find(hash(i%5<<32>>round), fmt.Sprint(i), entries); at != want {
				t.Errorf("round %d: key %d is at %d", round, i, at)
			}
		}
		x.reset()
		entries = entries[:0]
	}
}
