package table

import (
	"fmt"
	"math/rand/v2"
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
			young += cost(k, v)
		}
		for k, v := range c.old {
			old += cost(k, v)
		}
		if young != c.bytes || young > limit/2 || old > limit/2 {
			t.Fatalf("young costs %d, accounted %d, old %d; the limit is %d", young, c.bytes, old, limit)
		}
	}
}

// A key may be written over as soon as Set returned, as the bytes of a fetched
// batch are once nobody points into it.
func TestStageCopiesKeys(t *testing.T) {
	s := newStage()
	key := []byte("one")
	s.set(str(key), []byte("1"), 0)
	copy(key, "two")
	if s.find("one") == nil || s.find("two") != nil || s.entries[0].Key != "one" {
		t.Errorf("the stage has %q", s.entries[0].Key)
	}
}

// A stage that had large values once does not keep their memory.
func TestResetDropsLargeBuffers(t *testing.T) {
	s := newStage()
	s.set("large", make([]byte, keepBuffer+1), 0)
	s.set("small", []byte("v"), 0)
	s.reset()
	for _, e := range s.entries[:2] {
		if cap(e.buf) > keepBuffer {
			t.Errorf("a buffer of %d bytes was kept", cap(e.buf))
		}
	}
}
