package archive

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/post"
)

// maxLetter is the longest line that becomes a dead letter whole: what the log
// takes in one record.
const maxLetter = 512 << 10

// A block is a chunk on its way to the sink.
type block struct {
	*chunk
	from place // before the chunk
}

func (b *block) Len() int { return len(b.values) }

// Decode implements [emitter.Block].
func (b *block) Decode(i int, d *post.Decoder, p *post.Post) (post.Result, error) {
	v := &b.values[i]
	switch {
	case v.long > 0:
		return post.Result{}, fmt.Errorf("it has %d bytes; at most %d are decoded", v.long, maxLine)
	case isField(v.data):
		return decodeEvent(v.data, d, p)
	}
	return d.Decode(v.data, p)
}

// Letter implements [emitter.Block].
func (b *block) Letter(i int) emitter.Letter {
	v := &b.values[i]
	letter := emitter.Letter{Data: v.data, From: b.from.where(), Line: v.number, Cut: v.long}
	if len(v.data) > maxLetter {
		letter.Data, letter.Cut = v.data[:cutLetter], int64(len(v.data))
	}
	return letter
}

// Cursor implements [emitter.Block].
func (b *block) Cursor(n int) (string, []byte) {
	if b.from.name == "" {
		return "", nil
	}
	p := b.from
	if n > 0 {
		p = p.behind(b.chunk, n)
	}
	return p.name, p.value()
}

// values sends the values of r, which begins at a place, and returns the place
// behind the last of them. One goroutine reads and unpacks, this one hands
// over.
func (s *Source) values(ctx context.Context, sink emitter.Sink, r io.Reader, at place) (place, error) {
	ctx, cancel := context.WithCancel(ctx)
	full, empty := make(chan *chunk, 2), make(chan *chunk, 4)
	var reading sync.WaitGroup
	reading.Go(func() {
		readChunks(ctx, &valueReader{limits: usual, r: r, offset: at.Offset, number: at.Line, begun: at.Offset > 0, array: at.Array}, full, empty)
	})
	defer reading.Wait()
	defer cancel()
	for c := range full {
		if len(c.values) > 0 {
			if err := sink.Send(ctx, &block{c, at}); err != nil {
				return at, &stopError{err}
			}
			at = at.behind(c, len(c.values))
		}
		if c.err == io.EOF {
			return at, nil
		}
		if c.err != nil && ctx.Err() == nil {
			return at, fmt.Errorf("read %s behind line %d (byte %d unpacked): %w", at.where(), at.Line, at.Offset, c.err)
		}
		recycle(c, empty)
	}
	return at, &stopError{ctx.Err()}
}

// readChunks reads until a chunk has an error, or ctx ends.
func readChunks(ctx context.Context, l *valueReader, full chan<- *chunk, empty <-chan *chunk) {
	defer close(full)
	for more := true; more && ctx.Err() == nil; {
		c := &chunk{}
		select {
		case c = <-empty:
		default:
		}
		l.next(c)
		more = c.err == nil
		select {
		case full <- c:
		case <-ctx.Done():
		}
	}
}

// recycle keeps a chunk's memory, unless it is unusually much.
func recycle(c *chunk, empty chan<- *chunk) {
	if cap(c.buf) > 4*chunkSize {
		return
	}
	select {
	case empty <- c:
	default:
	}
}
