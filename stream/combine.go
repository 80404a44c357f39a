package stream

import (
	"fmt"
	"strings"

	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/internal/task"
)

// combined holds what was sent to the keys of a loop within one transaction,
// folded to one value each. It is a task.Combiner.
type combined[V any] struct {
	topic   string
	codec   codec.Codec[V]
	combine func(a, b V) V
	index   map[string]int32
	entries []combinedEntry[V]
	undo    []combinedUndo[V]
	bytes   int
	scratch []byte
}

type combinedEntry[V any] struct {
	key       string
	value     V
	size      int // encoded
	timestamp int64
}

type combinedUndo[V any] struct {
	entry int32 // -1: it was new, and is the last one
	was   combinedEntry[V]
}

// combinedOverhead is about what an entry costs beside its key and value.
const combinedOverhead = 100

// add folds a value into its key's. An error, or a panic of the codec or of
// combine, leaves everything as it was.
func (c *combined[V]) add(key string, value V, timestamp int64) error {
	i, ok := c.index[key]
	if ok {
		value = c.combine(c.entries[i].value, value)
	}
	data, err := c.codec.Append(c.scratch[:0], value)
	if err != nil {
		return fmt.Errorf("encode for %s: %w", c.topic, err)
	}
	c.scratch = data
	if err := task.CheckSize(c.topic, len(key)+len(data)); err != nil {
		return err
	}
	if !ok {
		key = strings.Clone(key)
		c.undo = append(c.undo, combinedUndo[V]{entry: -1})
		c.index[key] = int32(len(c.entries))
		c.entries = append(c.entries, combinedEntry[V]{key, value, len(data), timestamp})
		c.bytes += len(key) + len(data) + combinedOverhead
		return nil
	}
	e := &c.entries[i]
	c.undo = append(c.undo, combinedUndo[V]{entry: i, was: *e})
	c.bytes += len(data) - e.size
	e.value, e.size, e.timestamp = value, len(data), max(e.timestamp, timestamp)
	return nil
}

func (c *combined[V]) Mark() { c.undo = c.undo[:0] }

func (c *combined[V]) Rollback() {
	for n := len(c.undo) - 1; n >= 0; n-- {
		u := c.undo[n]
		if u.entry >= 0 {
			c.bytes += u.was.size - c.entries[u.entry].size
			c.entries[u.entry] = u.was
			continue
		}
		last := len(c.entries) - 1
		e := &c.entries[last]
		c.bytes -= len(e.key) + e.size + combinedOverhead
		delete(c.index, e.key)
		c.entries = c.entries[:last]
	}
	c.Mark()
}

func (c *combined[V]) Flush(emit func(key string, value []byte, timestamp int64) error) error {
	for i := range c.entries {
		e := &c.entries[i]
		data, err := c.codec.Append(c.scratch[:0], e.value)
		if err != nil { // not the first time that it is encoded: add has tried
			return fmt.Errorf("key %.100q: %w", e.key, err)
		}
		if err := emit(e.key, data, e.timestamp); err != nil {
			return err
		}
		c.scratch = data
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
