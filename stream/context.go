package stream

import (
	"time"

	"github.com/tagtide/tagtide/stream/internal/task"
)

// A Context is what a step knows of the record it handles. It is valid during
// the step only, and all that is done through it is undone if the step returns
// an error.
type Context struct {
	c     *task.Context
	graph *GroupGraph // that runs; edges of another are refused
}

// A Header of a record.
type Header struct {
	Key   string
	Value []byte
}

// Key of the record. It points into the fetched batch: copy it to keep it
// beyond the step (tables and loops hold or copy it as they need).
func (c Context) Key() string { return c.c.Key() }

// Timestamp of the record; what the step writes carries it as well.
func (c Context) Timestamp() time.Time { return time.UnixMilli(c.c.Timestamp()) }

// Headers of the record.
func (c Context) Headers() []Header {
	var headers []Header
	for _, h := range c.c.Headers() {
		headers = append(headers, Header(h))
	}
	return headers
}

// Topic the record was read from, "" in a visit.
func (c Context) Topic() string { return c.c.Partition().Topic }

// Partition the record was read from, or the visited one.
func (c Context) Partition() int32 { return c.c.Partition().Number }

// Offset of the record; -1 in a visit.
func (c Context) Offset() int64 { return c.c.Offset() }
