package stream

import (
	"fmt"
	"strings"

	"github.com/tagtide/tagtide/stream/codec"
)

// combined holds what was sent to the keys of a loop within one transaction,
// folded to one value each. It is a task.Combiner.
type combined[V any] struct {
	codec   codec.Codec[V]
	combine func(a, b V) V
	index   map[string]int32
	entries []combinedEntry[V]
	undo    []combinedUndo[V]
	bytes   int
}

type combinedEntry[V any] struct {
	key       string
	value     V
	timestamp int64
}

type combinedUndo[V any] struct {
	entry int32 // -1: it was new, and is the last one
	was   combinedEntry[V]
}

// combinedOverhead is about what an entry costs beside its key.
const combinedOverhead = 100

func (c *combined[V]) add(key string, value V, timestamp int64) {
	i, ok := c.index[key]
	if !ok {
		key = strings.Clone(key)
		c.undo = append(c.undo, combinedUndo[V]{entry: -1})
		c.index[key] = int32(len(c.entries))
		c.entries = append(c.entries, combinedEntry[V]{key, value, timestamp})
		c.bytes += len(key) + combinedOverhead
		return
	}
	e := &c.entries[i]
	c.undo = append(c.undo, combinedUndo[V]{entry: i, was: *e})
	e.value = c.combine(e.value, value)
	e.timestamp = max(e.timestamp, timestamp)
}

func (c *combined[V]) Mark() { c.undo = c.undo[:0] }

func (c *combined[V]) Rollback() {
	for n := len(c.undo) - 1; n >= 0; n-- {
		u := c.undo[n]
		if u.entry >= 0 {
			c.entries[u.entry] = u.was
			continue
		}
		last := len(c.entries) - 1
		c.bytes -= len(c.entries[last].key) + combinedOverhead
		delete(c.index, c.entries[last].key)
		c.entries = c.entries[:last]
	}
	c.Mark()
}

func (c *combined[V]) Flush(emit func(key string, value []byte, timestamp int64) error) error {
	var scratch []byte
	for i := range c.entries {
		e := &c.entries[i]
		data, err := c.codec.Append(scratch[:0], e.value)
		if err != nil {
			return fmt.Errorf("key %.100q: %w", e.key, err)
		}
		if err := emit(e.key, data, e.timestamp); err != nil {
			return err
		}
		scratch = data
	}
	c.Reset()
	return nil
}

func (c *combined[V]) Bytes() int { return c.bytes }

func (c *combined[V]) Reset() {
	clear(c.index)
	clear(c.entries)
	c.entries, c.bytes = c.entries[:0], 0
	c.Mark()
}
