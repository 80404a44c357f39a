package mastodon

import (
	"context"
	"sync/atomic"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/emitter/live"
)

// A progress hands over what was read, and knows how far that is. It belongs to
// one goroutine.
type progress struct {
	sink emitter.Sink
	// cursor is the newest id up to which everything was handed over; empty at
	// the very beginning, and then the stream gives nothing yet.
	// Invariant: it does not follow the stream while there is a gap before it.
	cursor string
	ahead  string // the newest id that the stream gave
	gap    bool   // there may be statuses between the cursor and the stream
	recent recent
	block  block
	done   *atomic.Int64 // messages handed over
}

// page hands over a page, which begins where the last one ended, or earlier.
// What was handed over before is left out.
func (p *progress) page(ctx context.Context, page []message) error {
	b := p.begin()
	for _, m := range page {
		p.cursor = newest(p.cursor, m.id)
		if p.recent.add(m.meta) {
			p.add(m)
		}
	}
	if len(b.messages) == 0 && p.cursor == b.before {
		return nil
	}
	return p.send(ctx)
}

// beginAt commits a first cursor without anything before it.
func (p *progress) beginAt(ctx context.Context, id string) error {
	p.cursor = id
	p.begin()
	return p.send(ctx)
}

// closeGap tells that the pages have reached the stream.
func (p *progress) closeGap() {
	p.gap = false
	p.cursor = newest(p.cursor, p.ahead)
}

// events hands over what the stream gave.
func (p *progress) events(ctx context.Context, events *live.Batch[meta]) error {
	p.begin()
	for i := range events.Len() {
		data, m := events.At(i)
		if m.kind != kindDelete {
			p.recent.add(m)
		}
		if m.kind == kindStatus {
			p.ahead = newest(p.ahead, m.id)
		}
		if !p.gap {
			p.cursor = newest(p.cursor, p.ahead)
		}
		p.add(message{data, m})
	}
	return p.send(ctx)
}

func (p *progress) begin() *block {
	b := &p.block
	b.before, b.messages, b.cursors = p.cursor, b.messages[:0], b.cursors[:0]
	return b
}

func (p *progress) add(m message) {
	p.block.messages = append(p.block.messages, m)
	p.block.cursors = append(p.block.cursors, p.cursor)
}

func (p *progress) send(ctx context.Context) error {
	if len(p.block.messages) == 0 {
		p.block.before = p.cursor
	}
	if err := p.sink.Send(ctx, &p.block); err != nil {
		return &sinkError{err}
	}
	p.done.Add(int64(len(p.block.messages)))
	clear(p.block.messages) // they hold memory
	return nil
}

// A sinkError says that what was read cannot be handed over.
type sinkError struct{ error }

// Unwrap returns what the sink said.
func (e *sinkError) Unwrap() error { return e.error }

// maxRecent is how many statuses are remembered: those of some minutes, also of
// the largest servers.
const maxRecent = 16 << 10

// recent remembers the statuses that were handed over last, so that pages that
// overlap do not fill the topic with repeats. It need not know all: each post
// counts once by the processor's word, not by ours.
type recent struct {
	edited map[string]string // by id, when the version that was handed over was edited
	ids    []string          // a ring, the oldest at next
	next   int
}

// add remembers a status, and tells whether this version of it is new.
func (r *recent) add(m meta) bool {
	if m.id == "" {
		return true
	}
	edited, known := r.edited[m.id]
	if r.edited == nil {
		r.edited = make(map[string]string)
	}
	r.edited[m.id] = m.edited
	if known {
		return edited != m.edited
	}
	if len(r.ids) < maxRecent {
		r.ids = append(r.ids, m.id)
		return true
	}
	delete(r.edited, r.ids[r.next])
	r.ids[r.next] = m.id
	r.next = (r.next + 1) % maxRecent
	return true
}
