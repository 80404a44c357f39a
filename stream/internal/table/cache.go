package table

import "strings"

// cache holds committed values by key, in two generations: what is read or
// written goes to the young one; when that is full, it becomes the old one and
// the old one goes. So it keeps what was used lately, in at most limit bytes,
// with no list to maintain.
type cache struct {
	young, old map[string]*cached
	bytes      int // of young
	limit      int // of both; 0: no cache
	// Invariant: while complete, every committed key is in the cache, so that
	// what is not in it is nowhere. That spares new keys, of which a stream of
	// words has no end, a look into the store.
	complete bool
}

// A cached value can be replaced without an assignment to the map, which would
// take over the key it is given: one that will not be there for long.
type cached struct{ value []byte }

// cacheOverhead is about what an entry costs beside its bytes.
const cacheOverhead = 110

func cost(key string, value []byte) int { return len(key) + len(value) + cacheOverhead }

func (c *cache) get(key string) ([]byte, bool) {
	if v, ok := c.young[key]; ok {
		return v.value, true
	}
	v, ok := c.old[key]
	if !ok {
		return nil, false
	}
	delete(c.old, key) // each has one generation, to whose cost it adds
	c.put(key, v)
	return v.value, true
}

// put adds a key that is not in the young generation. It copies key and keeps v.
func (c *cache) put(key string, v *cached) {
	size := cost(key, v.value)
	if size > c.limit/2 {
		c.complete = false
		return
	}
	if c.bytes+size > c.limit/2 {
		c.complete = c.complete && len(c.old) == 0
		c.old, c.young, c.bytes = c.young, nil, 0
	}
	if c.young == nil {
		c.young = make(map[string]*cached, len(c.old))
	}
	c.young[strings.Clone(key)] = v
	c.bytes += size
}

// update takes over a committed write. It copies key and value. There is a limit.
func (c *cache) update(key string, value []byte) {
	if v, ok := c.young[key]; ok {
		rest := c.bytes - cost(key, v.value)
		if value != nil && rest+cost(key, value) <= c.limit/2 {
			v.value = append(v.value[:0], value...)
			c.bytes = rest + cost(key, value)
			return
		}
		delete(c.young, key)
		c.bytes = rest
	}
	delete(c.old, key)
	if value != nil {
		c.put(key, &cached{append([]byte(nil), value...)})
	}
}
