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

func (b *block) Len() int { return len(b.lines) }

// Decode implements [emitter.Block].
func (b *block) Decode(i int, d *post.Decoder, p *post.Post) (post.Result, error) {
	if l := &b.lines[i]; l.long > 0 {
		return post.Result{}, fmt.Errorf("the line has %d bytes; at most %d are decoded", l.long, maxLine)
	}
	return d.Decode(b.lines[i].data, p)
}

// Letter implements [emitter.Block].
func (b *block) Letter(i int) emitter.Letter {
	l := &b.lines[i]
	letter := emitter.Letter{Data: l.data, From: b.from.File, Line: l.number, Cut: l.long}
	if len(l.data) > maxLetter {
		letter.Data, letter.Cut = l.data[:cutLetter], int64(len(l.data))
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
		p = p.behind(&b.lines[n-1])
	}
	return p.name, p.value()
}

// lines sends the lines of r, which begins at a place, and returns the place
// behind the last of them. One goroutine reads and unpacks, this one hands
// over.
func (s *Source) lines(ctx context.Context, sink emitter.Sink, r io.Reader, at place) (place, error) {
	ctx, cancel := context.WithCancel(ctx)
	full, empty := make(chan *chunk, 2), make(chan *chunk, 4)
	var reading sync.WaitGroup
	reading.Go(func() {
		readChunks(ctx, &lineReader{limits: usual, r: r, offset: at.Offset, number: at.Line}, full, empty)
	})
	defer reading.Wait()
	defer cancel()
	for c := range full {
		if len(c.lines) > 0 {
			if err := sink.Send(ctx, &block{c, at}); err != nil {
				return at, &stopError{err}
			}
			at = at.behind(&c.lines[len(c.lines)-1])
		}
		if c.err == io.EOF {
			return at, nil
		}
		if c.err != nil && ctx.Err() == nil {
			return at, fmt.Errorf("read %s behind line %d (byte %d unpacked): %w", at.File, at.Line, at.Offset, c.err)
		}
		recycle(c, empty)
	}
	return at, &stopError{ctx.Err()}
}

// readChunks reads until a chunk has an error, or ctx ends.
func readChunks(ctx context.Context, l *lineReader, full chan<- *chunk, empty <-chan *chunk) {
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
