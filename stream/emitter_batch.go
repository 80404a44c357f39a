package stream

import (
	"fmt"
	"time"

	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// A Batch gathers records and cursors that shall be committed together. It is
// made by [Emitter.NewBatch] and belongs to one goroutine.
type Batch[V any] struct {
	codec   codec.Codec[V]
	emitter *emitter
	load    *emitLoad
	// partitions of the topic when the first record was added: the batch keeps
	// to them, so that what has one key lies in one partition.
	partitions int32
	turn       int32           // partition of records without key
	buf        []byte          // scratch: a value's encoding
	headers    []record.Header // scratch
}

// Add adds a record, stamped with the emitter's clock. A nil key lets the
// emitter choose the partition: one for all such records of the batch, another
// one for the next batch. Everything is copied. On an error nothing was added.
func (b *Batch[V]) Add(key []byte, v V, headers ...Header) error {
	return b.AddAt(b.emitter.o.Now(), key, v, headers...)
}

// AddAt is Add with a timestamp, of which milliseconds are kept.
func (b *Batch[V]) AddAt(timestamp time.Time, key []byte, v V, headers ...Header) error {
	if err := b.encode(key, v, headers); err != nil {
		return err
	}
	partition := b.turn
	if key != nil {
		partition = b.emitter.o.Partitioner.Of(key, b.partitions)
	}
	b.load.add(timestamp.UnixMilli(), partition, key, b.buf, b.headers)
	return nil
}

// AddAll is AddAt to every partition that the emitter knew of when the batch was
// begun: for what concerns records in all of them, whatever their keys.
func (b *Batch[V]) AddAll(timestamp time.Time, key []byte, v V, headers ...Header) error {
	if err := b.encode(key, v, headers); err != nil {
		return err
	}
	for partition := range b.partitions {
		b.load.add(timestamp.UnixMilli(), partition, key, b.buf, b.headers)
	}
	return nil
}

// encode leaves the value and the headers in the batch's scratch, and begins
// the batch with its first record.
func (b *Batch[V]) encode(key []byte, v V, headers []Header) (err error) {
	if b.buf, err = b.codec.Append(b.buf[:0], v); err != nil {
		return fmt.Errorf("emitter %s: encode the value of key %q: %w", b.emitter.o.ID, key, err)
	}
	b.headers = b.headers[:0]
	for _, h := range headers {
		b.headers = append(b.headers, record.Header(h))
	}
	if b.load.count == 0 {
		b.partitions = b.emitter.partitions()
		b.turn = int32(b.emitter.turns.Add(1) % uint32(b.partitions))
	}
	return nil
}

// Cursor makes value the cursor of that name, once the batch is committed. The
// last call for a name wins. The bytes are copied.
func (b *Batch[V]) Cursor(name string, value []byte) {
	b.load.setCursor(name, value)
}

// Count is the number of records in the batch.
func (b *Batch[V]) Count() int { return b.load.count }

// Bytes is about how many bytes the batch holds.
func (b *Batch[V]) Bytes() int { return b.load.bytes }

// An emitLoad is what is handed over and committed in one piece.
type emitLoad struct {
	parts   []*record.Builder // by partition, up to the last one used; nil where nothing was ever added
	cursors []emitCursor      // each name once
	count   int               // of records
	bytes   int
	size    int // the most bytes it ever had: about what its memory takes
	// shared: made by Emit, and open to more of them for as long as it waits.
	shared bool
}

type emitCursor struct {
	name  string
	value []byte
}

func (l *emitLoad) empty() bool { return l.count == 0 && len(l.cursors) == 0 }

func (l *emitLoad) add(timestamp int64, partition int32, key, value []byte, headers []record.Header) {
	if missing := int(partition) + 1 - len(l.parts); missing > 0 {
		l.parts = append(l.parts, make([]*record.Builder, missing)...)
	}
	part := l.parts[partition]
	if part == nil {
		part = &record.Builder{}
		l.parts[partition] = part
	}
	before := part.Bytes()
	part.Append(timestamp, key, value, headers...)
	l.bytes += part.Bytes() - before
	l.count++
}

func (l *emitLoad) setCursor(name string, value []byte) {
	for i := range l.cursors {
		if c := &l.cursors[i]; c.name == name {
			l.bytes += len(value) - len(c.value)
			c.value = append(c.value[:0], value...)
			return
		}
	}
	l.cursors = append(l.cursors, emitCursor{name, append([]byte{}, value...)})
	l.bytes += len(name) + len(value)
}

// reset empties the load and keeps the memory of its builders, of which nobody
// else may hold any.
func (l *emitLoad) reset() {
	for _, part := range l.parts {
		if part != nil {
			part.Reset()
		}
	}
	clear(l.cursors)
	l.cursors = l.cursors[:0]
	l.count, l.bytes, l.shared = 0, 0, false
}
