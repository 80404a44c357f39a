package live

import (
	"context"
	"sync"
)

// An Inbox is between the goroutine that reads a connection and the one that
// sends on: it hands over as many messages at once as have come. M is what the
// source knows of each besides its bytes.
type Inbox[M any] struct {
	limit int           // bytes that may wait, and one message more
	came  chan struct{} // a message came, or the inbox was closed
	taken chan struct{} // there is room

	mu     sync.Mutex
	fill   *Batch[M] // what waits
	spare  *Batch[M] // what was taken last
	closed bool
	err    error // why there will be nothing more
}

// NewInbox returns an inbox in which so many bytes may wait.
func NewInbox[M any](limit int) *Inbox[M] {
	return &Inbox[M]{
		limit: limit, came: make(chan struct{}, 1), taken: make(chan struct{}, 1),
		fill: &Batch[M]{}, spare: &Batch[M]{},
	}
}

// A Batch is a run of messages in the order in which they came.
type Batch[M any] struct {
	data  []byte
	items []item[M]
}

type item[M any] struct {
	end  int // in data
	meta M
}

// Len is the number of messages.
func (b *Batch[M]) Len() int { return len(b.items) }

// At returns message i. Its bytes may be overwritten when the batch may be.
func (b *Batch[M]) At(i int) ([]byte, M) {
	start, it := 0, &b.items[i]
	if i > 0 {
		start = b.items[i-1].end
	}
	return b.data[start:it.end:it.end], it.meta
}

func (b *Batch[M]) add(data []byte, meta M) {
	b.data = append(b.data, data...)
	b.items = append(b.items, item[M]{len(b.data), meta})
}

func (b *Batch[M]) reset() {
	clear(b.items) // M may hold memory
	b.data, b.items = b.data[:0], b.items[:0]
}

// Add puts a copy of a message into the inbox, and waits while it is full. It
// is for one goroutine, and fails only when ctx ends.
func (in *Inbox[M]) Add(ctx context.Context, data []byte, meta M) error {
	for !in.tryAdd(data, meta) {
		select {
		case <-in.taken:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	signal(in.came)
	return nil
}

func (in *Inbox[M]) tryAdd(data []byte, meta M) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.fill.Len() > 0 && len(in.fill.data)+len(data) > in.limit {
		return false
	}
	in.fill.add(data, meta)
	return true
}

// Close tells that nothing more will be added, and why, which is not nil:
// [Inbox.Take] will say so when it has handed over everything. The caller of
// Add calls it once.
func (in *Inbox[M]) Close(err error) {
	in.mu.Lock()
	in.closed, in.err = true, err
	in.mu.Unlock()
	signal(in.came)
}

// Take returns all messages that have come, at least one, and waits for it.
// They are valid until the next call. It is for one goroutine. An error is that
// of Close, or why ctx ended.
func (in *Inbox[M]) Take(ctx context.Context) (*Batch[M], error) {
	for {
		if b, err := in.tryTake(); b != nil || err != nil {
			signal(in.taken)
			return b, err
		}
		select {
		case <-in.came:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// tryTake returns nothing if there is nothing yet.
func (in *Inbox[M]) tryTake() (*Batch[M], error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.fill.Len() == 0 {
		if in.closed {
			return nil, in.err
		}
		return nil, nil
	}
	in.spare.reset()
	in.fill, in.spare = in.spare, in.fill
	return in.spare, nil
}

// signal wakes the one that waits, or the one that will.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
