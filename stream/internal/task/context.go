package task

import (
	"fmt"
	"unsafe"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/table"
)

// A Context is what a step sees of its record and does to the world. It is
// valid during the step only.
type Context struct {
	task    *Task
	sink    *Sink
	source  *Source
	rec     *record.Record
	key     string
	time    int64
	scratch [256]byte
}

// Scratch is empty and has room for a value that is to be Set: one on the stack
// would be moved to the heap for the sake of its codec. It is the same each time.
func (c *Context) Scratch() []byte { return c.scratch[:0] }

func (c *Context) begin(s *Source, r *record.Record) {
	c.source, c.rec, c.time = s, r, r.Timestamp
	if s.Folded != nil {
		s.Folded.Reach(r.Timestamp)
	}
	c.key = unsafe.String(unsafe.SliceData(r.Key), len(r.Key))
	c.mark()
}

func (c *Context) visit(key string, timestamp int64) {
	c.source, c.rec, c.key, c.time = nil, nil, key, timestamp
	c.mark()
}

func (c *Context) mark() {
	for _, t := range c.task.Tables {
		if t != nil {
			t.Mark()
		}
	}
	c.sink.mark()
}

func (c *Context) rollback() {
	for _, t := range c.task.Tables {
		if t != nil {
			t.Rollback()
		}
	}
	c.sink.rollback()
}

// Key returns the record's key. It shares the memory of the fetched batch: who
// keeps it for long copies it.
func (c *Context) Key() string { return c.key }

// Value returns the record's value, nil for a delete and for a visit.
func (c *Context) Value() []byte {
	if c.rec == nil {
		return nil
	}
	return c.rec.Value
}

// Headers returns the record's headers.
func (c *Context) Headers() []record.Header {
	if c.rec == nil {
		return nil
	}
	return c.rec.Headers
}

// Timestamp is the record's, in Unix milliseconds. What the step writes
// carries it too.
func (c *Context) Timestamp() int64 { return c.time }

// Partition tells where the record lies; of a visit, the task's partition.
func (c *Context) Partition() record.Partition {
	if c.source == nil {
		return record.Partition{Number: c.task.ID.Partition}
	}
	return c.source.Partition
}

// Offset of the record; -1 for a visit.
func (c *Context) Offset() int64 {
	if c.rec == nil {
		return -1
	}
	return c.rec.Offset
}

// Get reads a table.
func (c *Context) Get(tab int, name, key string) ([]byte, bool, error) {
	t := c.table(tab)
	switch {
	case t == nil && c.task.refolds:
		return nil, false, nil
	case t == nil:
		return nil, false, c.undeclared(name)
	}
	value, ok, err := t.Get(key)
	if err != nil {
		return nil, false, &Fatal{err}
	}
	return value, ok, nil
}

// Set stages a write to a table, or with a nil value a delete. It copies both. A
// record over [MaxRecord] is an error.
func (c *Context) Set(tab int, name, key string, value []byte) error {
	t := c.table(tab)
	switch {
	case t == nil && c.task.refolds:
		return nil
	case t == nil:
		return c.undeclared(name)
	}
	if err := CheckSize(name, len(key)+len(value)); err != nil {
		return err
	}
	t.Set(key, value, c.time)
	return nil
}

// Prefix returns the keys of a table that begin with prefix, in order.
func (c *Context) Prefix(tab int, name, prefix string) ([]string, error) {
	t := c.table(tab)
	switch {
	case t == nil && c.task.refolds:
		return nil, nil
	case t == nil:
		return nil, c.undeclared(name)
	}
	keys, err := t.Prefix(prefix)
	if err != nil {
		return nil, &Fatal{err}
	}
	return keys, nil
}

// Refolds tells that a record is only folded into its table once more, so that
// what else the step writes goes nowhere.
func (c *Context) Refolds() bool { return c.task.refolds }

// table is one that the task has, or nil.
func (c *Context) table(tab int) *table.Table {
	if tab >= len(c.task.Tables) {
		return nil
	}
	return c.task.Tables[tab]
}

// Lookup reads another group's table, whole.
func (c *Context) Lookup(index int, key string) ([]byte, bool, error) {
	if c.task.refolds {
		return nil, false, nil
	}
	value, ok, err := c.task.Lookups[index](key)
	if err != nil {
		return nil, false, &Fatal{err}
	}
	return value, ok, nil
}

func (c *Context) undeclared(table string) error {
	topic := "this visit"
	if c.source != nil {
		topic = c.source.Partition.Topic
	}
	return &Fatal{fmt.Errorf("the step of %s uses table %s without having named it: pass the table where the edge is made", topic, table)}
}

// Sink is where the step's emissions go.
func (c *Context) Sink() *Sink { return c.sink }
