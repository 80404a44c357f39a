package table

import "strings"

// cache holds committed values by key, in two generations: what is read or
// written goes to the young one; when that is full, it becomes the old one and
// the old one goes. So it keeps what was used lately, in at most limit bytes,
// with no list to maintain.
type cache struct {
	young, old map[string][]byte
	bytes      int // of young
	limit      int // of both; 0: no cache
	// Invariant: while complete, every committed key is in the cache, so that
	// what is not in it is nowhere. That spares new keys, of which a stream of
	// words has no end, a look into the store.
	complete bool
}

// cacheOverhead is about what an entry costs beside its bytes.
const cacheOverhead = 90

func cost(key string, value []byte) int { return len(key) + len(value) + cacheOverhead }

func (c *cache) get(key string) ([]byte, bool) {
	if v, ok := c.young[key]; ok {
		return v, true
	}
	v, ok := c.old[key]
	if ok {
		c.put(strings.Clone(key), v)
	}
	return v, ok
}

// put adds a key that is not in the young generation. It keeps key and value
// themselves.
func (c *cache) put(key string, value []byte) {
	size := cost(key, value)
	if size > c.limit/2 {
		c.complete = false
		return
	}
	if c.bytes+size > c.limit/2 {
		c.complete = c.complete && len(c.old) == 0
		c.old, c.young, c.bytes = c.young, nil, 0
	}
	if c.young == nil {
		c.young = make(map[string][]byte, len(c.old))
	}
	c.young[key] = value
	c.bytes += size
}

// update takes over a committed write. It keeps key, and copies value.
func (c *cache) update(key string, value []byte) {
	if c.limit == 0 {
		return
	}
	if v, ok := c.young[key]; ok {
		rest := c.bytes - cost(key, v)
		if value != nil && rest+cost(key, value) <= c.limit/2 {
			c.young[key] = append(v[:0], value...)
			c.bytes = rest + cost(key, value)
			return
		}
		delete(c.young, key)
		c.bytes = rest
	}
	delete(c.old, key)
	if value != nil {
		c.put(key, append([]byte(nil), value...))
	}
}
