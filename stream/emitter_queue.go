package stream

import (
	"cmp"
	"context"
	"sync"
)

// An emitQueue stands between those who hand loads over and the machine that
// commits them. It is bounded in bytes, those under way included.
type emitQueue struct {
	max  int
	wake chan struct{} // receives after the machine may have got something to do

	mu       sync.Mutex
	waiting  []*emitLoad   // guarded by mu; not taken by the machine yet, in order
	fill     int           // guarded by mu; bytes of waiting
	bytes    int           // guarded by mu; bytes of waiting and of what the machine took
	blocked  int           // guarded by mu; senders that wait for room
	sent     uint64        // guarded by mu; loads handed over
	taken    uint64        // guarded by mu; loads that the machine took
	done     uint64        // guarded by mu; loads committed
	hurry    uint64        // guarded by mu; loads that somebody waits for: take them at once
	closed   bool          // guarded by mu; nothing is taken over any more
	ended    error         // guarded by mu; and nothing will be committed any more
	moved    chan struct{} // guarded by mu; closed and replaced when any of the above changes for the better
	free     []*emitLoad   // guarded by mu; empty ones
	freeSize int           // guarded by mu; bytes that free has held
}

func newEmitQueue(maxBytes int) *emitQueue {
	return &emitQueue{max: maxBytes, wake: make(chan struct{}, 1), moved: make(chan struct{})}
}

// put hands over a load and returns an empty one for the next.
func (q *emitQueue) put(ctx context.Context, load *emitLoad) (fresh *emitLoad, err error) {
	if err := q.lockRoom(ctx, load.bytes); err != nil {
		return nil, err
	}
	q.append(load)
	fresh = q.fresh()
	q.mu.Unlock()
	q.notify()
	return fresh, nil
}

// putRecord hands over one record: together with those before it, as long as
// they wait, lest each becomes a record batch of its own.
func (q *emitQueue) putRecord(ctx context.Context, timestamp int64, partition int32, key, value []byte) error {
	const enough = 256 << 10 // bytes of a shared load
	if err := q.lockRoom(ctx, len(key)+len(value)); err != nil {
		return err
	}
	if n := len(q.waiting); n == 0 || !q.waiting[n-1].shared || q.waiting[n-1].bytes > enough {
		load := q.fresh()
		load.shared = true
		q.append(load)
	}
	last := q.waiting[len(q.waiting)-1]
	before := last.bytes
	last.add(timestamp, partition, key, value, nil)
	q.fill += last.bytes - before
	q.bytes += last.bytes - before
	q.mu.Unlock()
	q.notify()
	return nil
}

// append adds a load to those that wait. The caller holds mu.
func (q *emitQueue) append(load *emitLoad) {
	q.waiting = append(q.waiting, load)
	q.sent++
	q.fill += load.bytes
	q.bytes += load.bytes
}

// fresh returns an empty load. The caller holds mu.
func (q *emitQueue) fresh() *emitLoad {
	n := len(q.free)
	if n == 0 {
		return &emitLoad{}
	}
	load := q.free[n-1]
	q.free[n-1], q.free = nil, q.free[:n-1]
	q.freeSize -= load.size
	return load
}

// lockRoom waits until there is room for n more bytes, or nothing that has to
// go first, and returns with mu locked. On an error it is not.
func (q *emitQueue) lockRoom(ctx context.Context, n int) error {
	for {
		q.mu.Lock()
		if q.closed {
			err := cmp.Or(q.ended, errStopped)
			q.mu.Unlock()
			return err
		}
		if q.bytes == 0 || q.bytes+n <= q.max {
			return nil
		}
		q.blocked++
		moved := q.moved
		q.mu.Unlock()
		q.notify()
		err := waitFor(ctx, moved)
		q.mu.Lock()
		q.blocked--
		q.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// flush returns when everything that has been handed over is committed.
func (q *emitQueue) flush(ctx context.Context) error {
	q.mu.Lock()
	want := q.sent
	q.hurry = max(q.hurry, want)
	q.mu.Unlock()
	q.notify()
	for {
		q.mu.Lock()
		done, ended, moved := q.done >= want, q.ended, q.moved
		q.mu.Unlock()
		if done || ended != nil {
			if done {
				ended = nil
			}
			return ended
		}
		if err := waitFor(ctx, moved); err != nil {
			return err
		}
	}
}

func waitFor(ctx context.Context, moved <-chan struct{}) error {
	select {
	case <-moved:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (q *emitQueue) notify() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// due tells whether something waits, and whether it should go without waiting
// for the interval.
func (q *emitQueue) due() (waiting, now bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting = len(q.waiting) > 0
	return waiting, waiting && (q.fill >= q.max/2 || q.blocked > 0 || q.hurry > q.taken || q.closed)
}

// size is how many bytes were handed over and are not committed.
func (q *emitQueue) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}

// take gives the machine everything that waits.
func (q *emitQueue) take() []*emitLoad {
	q.mu.Lock()
	defer q.mu.Unlock()
	loads := q.waiting
	q.waiting, q.fill = nil, 0
	q.taken += uint64(len(loads))
	return loads
}

// commit tells that loads are committed. Their memory is reused if nobody else
// can hold it.
func (q *emitQueue) commit(loads []*emitLoad, reuse bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, load := range loads {
		q.bytes -= load.bytes
		q.recycle(load, reuse)
	}
	q.done += uint64(len(loads))
	q.broadcast()
}

// recycle keeps a load for reuse, unless enough memory is kept already. The
// caller holds mu.
func (q *emitQueue) recycle(load *emitLoad, reuse bool) {
	load.size = max(load.size, load.bytes)
	if !reuse || q.freeSize+load.size > q.max/2 {
		return
	}
	load.reset()
	q.free = append(q.free, load)
	q.freeSize += load.size
}

// close refuses whatever comes from now on.
func (q *emitQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		q.broadcast()
	}
}

// end tells everybody who waits that nothing will be committed any more.
func (q *emitQueue) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.ended = true, err
	q.waiting, q.free = nil, nil
	q.broadcast()
}

func (q *emitQueue) broadcast() {
	close(q.moved)
	q.moved = make(chan struct{})
}
