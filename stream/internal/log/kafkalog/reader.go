package kafkalog

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// A reader reads ahead: what Poll returns is there already.
//
//	         ┌ watcher ──── who leads what? is the topic the same?
//	Seek ──▶ wants ◀─────── one fetcher a leading broker, own connection
//	Poll ◀── queues ◀────── decoded batches, bounded
//
// The goroutines are started by the first Seek and end with the reader, which
// waits for them.
type reader struct {
	log   *Log
	o     log.ReaderOptions
	ready chan struct{}
	// moved asks the watcher to look who leads what.
	moved chan struct{}
	life  context.Context
	end   context.CancelFunc
	work  sync.WaitGroup

	mu sync.Mutex
	// wants are what is read, in the order in which they take turns.
	wants    []*want
	fetchers map[int32]*fetcher
	watched  bool // the watcher was started
	closed   bool
}

// A want is one partition that a reader reads. A Seek makes a new one, so that
// what was fetched for the old one finds nobody. The reader's mu guards it.
type want struct {
	p    record.Partition
	next int64 // where the next Poll goes on
	// Invariant: queue holds what was read of [next, ahead), in order.
	queue  []chunk
	queued int // bytes in queue
	ahead  int64
	extent log.Range

	err   error // why it cannot be read now
	final bool  // and never will be, until it is sought again
	// unknown counts the answers in a row that there is no such partition.
	unknown int
	topicID string
	broker  int32 // who is asked for it; none: nobody
	epoch   int32 // of the leader
	// short counts the fetches in a row that did not hold one whole batch.
	short int
}

// none is no broker.
const none = -1

// A chunk is one batch, or none where only the position moved.
type chunk struct {
	batch record.Batch
	next  int64 // the position behind it
}

// NewReader implements [log.Log].
func (l *Log) NewReader(o log.ReaderOptions) log.Reader {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 8 << 20
	}
	if o.MaxPartitionBytes <= 0 {
		o.MaxPartitionBytes = 1 << 20
	}
	r := &reader{
		log: l, o: o, ready: make(chan struct{}, 1), moved: make(chan struct{}, 1), fetchers: map[int32]*fetcher{},
	}
	r.life, r.end = context.WithCancel(l.life)
	return r
}

// Seek implements [log.Reader].
func (r *reader) Seek(p record.Partition, next int64) {
	r.mu.Lock()
	r.forget(p)
	r.wants = append(r.wants, &want{p: p, next: next, ahead: next, broker: none})
	start := !r.watched && !r.closed
	r.watched = r.watched || start
	r.mu.Unlock()
	if start {
		r.start(r.watch)
	}
	wake(r.moved)
}

// start runs f in a goroutine that both the reader and the log wait for.
func (r *reader) start(f func()) {
	r.work.Add(1)
	r.log.start(f, r.work.Done)
}

// Drop implements [log.Reader].
func (r *reader) Drop(p record.Partition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(p)
}

// forget removes a want. r.mu is held.
func (r *reader) forget(p record.Partition) {
	r.wants = slices.DeleteFunc(r.wants, func(w *want) bool { return w.p == p })
}

// Ready implements [log.Reader].
func (r *reader) Ready() <-chan struct{} { return r.ready }

// Close implements [log.Reader].
func (r *reader) Close() {
	r.mu.Lock()
	r.closed = true
	r.wants = nil
	r.mu.Unlock()
	r.end()
	r.work.Wait()
}

// Poll implements [log.Reader].
func (r *reader) Poll() ([]log.Fetched, error) {
	all, hungry, more, err := r.take()
	for _, f := range hungry {
		wake(f.hungry)
	}
	if more {
		wake(r.ready)
	}
	if err != nil {
		return nil, fmt.Errorf("reader: %w", err)
	}
	return all, nil
}

// take takes what is there off the queues. It returns the fetchers that have
// room now, and whether there may be more.
func (r *reader) take() (all []log.Fetched, hungry []*fetcher, more bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.log.alive() != nil {
		return nil, nil, false, log.ErrClosed
	}
	left, served := r.o.MaxBytes, 0
	for i, w := range r.wants {
		f, bytes, found := w.take(min(left, r.o.MaxPartitionBytes))
		if !found {
			continue
		}
		all = append(all, f)
		if x := r.fetchers[w.broker]; x != nil && !slices.Contains(hungry, x) {
			hungry = append(hungry, x)
		}
		served = i + 1
		if left -= bytes; left <= 0 {
			break
		}
	}
	if left <= 0 {
		// Those who were not served are the first next time.
		r.wants = slices.Concat(r.wants[served:], r.wants[:served])
		more = true
	}
	return all, hungry, more, nil
}

// take takes chunks off the queue, one at least, until there are limit bytes.
func (w *want) take(limit int) (f log.Fetched, bytes int, found bool) {
	f = log.Fetched{Partition: w.p, From: w.next, Next: w.next, Range: w.extent}
	for len(w.queue) > 0 && (!found || bytes < limit) {
		c := w.queue[0]
		w.queue[0] = chunk{}
		w.queue = w.queue[1:]
		found = true
		if n := len(c.batch.Bytes()); n > 0 {
			f.Batches = append(f.Batches, c.batch)
			bytes += n
		}
		f.Next = c.next
	}
	w.next, w.queued = f.Next, w.queued-bytes
	if !found && w.err != nil {
		f.Err, found = w.err, true
	}
	return f, bytes, found
}

// current tells whether a want is still wanted. r.mu is held.
func (r *reader) current(w *want) bool { return slices.Contains(r.wants, w) }

// fail sets why a partition cannot be read, and tells the caller. Nobody
// fetches it until the watcher finds that it can be.
func (r *reader) fail(w *want, err error, final bool) {
	r.mu.Lock()
	if r.current(w) {
		w.err, w.final, w.broker = fmt.Errorf("%s/%d: %w", w.p.Topic, w.p.Number, err), final, none
	}
	r.mu.Unlock()
	wake(r.ready)
}

// wake leaves a word in a channel that holds one.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
