package kafkalog

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// How long a broker may hold a fetch while there is nothing: longer and longer
// while nothing comes, so that whoever seeks a partition soon after something
// happened does not have to wait behind it.
const (
	shortWait = 20 * time.Millisecond
	longWait  = 250 * time.Millisecond
)

// A fetcher reads the partitions that one broker leads, over a connection of
// its own. All but hungry belongs to its goroutine.
type fetcher struct {
	reader *reader
	broker int32
	hungry chan struct{} // there is room, or another partition

	conn  *conn
	dec   decoder
	idle  time.Duration
	pause backoff
	// suspects are read one by one, because an answer for all of them could
	// not be decoded.
	suspects []*want
	// served are those that got something since everybody's turn began. They
	// count while there is not room for all.
	served map[*want]bool
}

// A plan is what one fetch asks for.
type plan struct {
	items []item
	bytes int // of the whole answer
	// rest: partitions were left out because what was read of them was not taken yet.
	rest bool
	// turns: partitions were left out because it is the turn of others.
	turns bool
}

// An item is one partition of a plan, as it was when the plan was made.
type item struct {
	w     *want
	from  int64
	epoch int32
	bytes int
}

// run fetches until nothing of the broker is read any more, or the reader's end.
func (f *fetcher) run() {
	defer f.disconnect()
	for f.reader.life.Err() == nil {
		p, done := f.plan()
		switch {
		case done:
			return
		case len(p.items) == 0:
			f.sleep(time.Hour)
			continue
		}
		began := time.Now()
		err := f.connect()
		if err == nil {
			err = f.fetch(p)
		}
		f.settle(p, began, err)
	}
}

// settle deals with the outcome of a fetch that was begun at a time.
func (f *fetcher) settle(p plan, began time.Time, err error) {
	if f.reader.life.Err() != nil {
		return
	}
	if !isLost(err) {
		if err != nil {
			f.disconnect()
			f.suspect(p, err)
		}
		err = nil
	}
	r := f.reader
	r.log.report(f.broker, began, err, "broker is lost: reading goes on when it, or another leader, is there",
		"broker is back", "broker", f.broker)
	if err == nil {
		f.pause = backoff{}
		if p.rest {
			f.sleep(shortWait)
		}
		return
	}
	f.disconnect()
	for _, i := range p.items {
		r.misplaced(i.w)
	}
	wake(r.moved)
	_ = f.pause.wait(r.life)
}

// misplaced takes a want from its fetcher: another broker leads it, or none.
func (r *reader) misplaced(w *want) {
	r.log.cluster.moved(w.p)
	r.mu.Lock()
	defer r.mu.Unlock()
	w.broker = none
}

// sleep waits until there is room, or something to do.
func (f *fetcher) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-f.hungry:
	case <-t.C:
	case <-f.reader.life.Done():
	}
}

func (f *fetcher) connect() error {
	if f.conn != nil {
		return nil
	}
	c, err := f.reader.log.cluster.connect(f.reader.life, f.broker)
	if err != nil {
		return &lostError{err}
	}
	f.conn = c
	return nil
}

func (f *fetcher) disconnect() {
	if f.conn != nil {
		_ = f.conn.Close()
		f.conn = nil
	}
}

// plan chooses what to ask for next. done says that the fetcher has nothing to
// do any more and is forgotten.
func (f *fetcher) plan() (p plan, done bool) {
	r := f.reader
	r.mu.Lock()
	defer r.mu.Unlock()
	queued, mine := 0, 0
	for _, w := range r.wants {
		if w.broker != f.broker {
			continue
		}
		mine++
		queued += w.queued
		if len(w.queue) > 0 && w.queued*2 >= r.o.MaxPartitionBytes || len(w.queue) >= maxChunks {
			p.rest = true
			continue
		}
		p.items = append(p.items, item{w, w.ahead, w.epoch, r.o.MaxPartitionBytes << min(w.short, maxShort)})
	}
	if mine == 0 {
		delete(r.fetchers, f.broker)
		return p, true
	}
	p.bytes = r.o.MaxBytes/len(r.fetchers) - queued
	if p.bytes <= 0 && queued > 0 {
		return plan{}, false
	}
	p.bytes = max(p.bytes, 1)
	return f.alone(f.turns(p)), false
}

// turns leaves out who was served, if there is not room for everybody: brokers
// fill an answer from its beginning, and others might never get anything.
func (f *fetcher) turns(p plan) plan {
	need := 0
	var due []item
	for _, i := range p.items {
		need += i.bytes
		if !f.served[i.w] {
			due = append(due, i)
		}
	}
	switch {
	case need <= p.bytes || len(due) == 0:
		clear(f.served)
	case len(due) < len(p.items):
		p.items, p.turns = due, true
	}
	return p
}

// maxChunks bounds a queue of chunks that are small.
const maxChunks = 256

// maxShort is how often the bytes for a partition are doubled before a batch
// that still does not fit is taken for damaged.
const maxShort = 6

// patience is how long the broker may wait for records.
func (f *fetcher) patience(p plan) time.Duration {
	if p.rest || p.turns {
		return 0
	}
	return f.idle
}

// alone reduces a plan to one suspect, if there are any.
func (f *fetcher) alone(p plan) plan {
	for len(f.suspects) > 0 {
		s := f.suspects[0]
		f.suspects = f.suspects[1:]
		for _, i := range p.items {
			if i.w == s {
				p.items, p.rest, p.turns = []item{i}, false, true
				return p
			}
		}
	}
	return p
}

// suspect isolates the partition whose bytes do not decode.
func (f *fetcher) suspect(p plan, err error) {
	if len(p.items) == 1 {
		w := p.items[0].w
		f.reader.fail(w, fmt.Errorf("%w: at position %d: %w", log.ErrDamaged, p.items[0].from, err), true)
		return
	}
	f.suspects = nil
	for _, i := range p.items {
		f.suspects = append(f.suspects, i.w)
	}
}

// fetch asks for a plan and delivers the answer.
func (f *fetcher) fetch(p plan) error {
	req := &sarama.FetchRequest{
		Version: 12, MinBytes: 1, MaxBytes: int32(min(p.bytes, 1<<30)), MaxWaitTime: int32(f.patience(p).Milliseconds()),
		Isolation: sarama.ReadCommitted, SessionEpoch: -1, // no session
	}
	for _, i := range p.items {
		req.AddBlock(i.w.p.Topic, i.w.p.Number, i.from, int32(min(i.bytes, 1<<30)), i.epoch)
	}
	defer f.conn.during(f.reader.life)()
	res, err := f.conn.Fetch(req)
	if err != nil {
		return err
	}
	moved := false
	for _, i := range p.items {
		b := res.GetBlock(i.w.p.Topic, i.w.p.Number)
		if b == nil {
			continue
		}
		if b.Err != sarama.ErrNoError {
			f.refused(i, b.Err)
			continue
		}
		if f.deliver(i, b) {
			moved = true
			f.serve(i.w)
		}
	}
	switch {
	case moved:
		f.idle = shortWait
		wake(f.reader.ready)
	case p.turns:
		clear(f.served) // whose turn it is has nothing
	default:
		f.idle = min(longWait, max(shortWait, f.idle*2))
	}
	return nil
}

// serve remembers who got something.
func (f *fetcher) serve(w *want) {
	if f.served == nil {
		f.served = map[*want]bool{}
	}
	f.served[w] = true
}

// deliver decodes a block and queues it, if it is still wanted. It tells
// whether the position moved.
func (f *fetcher) deliver(i item, b *sarama.FetchResponseBlock) bool {
	r := f.reader
	f.dec.out.MaxBatchBytes = min(r.o.MaxPartitionBytes, record.DefaultBatchBytes)
	batches, next := f.dec.block(b, i.from)
	r.mu.Lock()
	defer r.mu.Unlock()
	w := i.w
	if !r.current(w) || w.ahead != i.from {
		return false // not wanted any more, or another leader was faster
	}
	w.err = nil
	w.extent = log.Range{Start: b.LogStartOffset, Stable: b.LastStableOffset, End: b.HighWaterMarkOffset}
	if next == i.from {
		if b.Partial || len(b.RecordsSet) > 0 {
			w.short++
		}
		if w.short > maxShort {
			w.err, w.final, w.broker = fmt.Errorf("%w: %s/%d has no whole batch at position %d", log.ErrDamaged, w.p.Topic, w.p.Number, next), true, none
			return true
		}
		return false
	}
	w.short = 0
	for n, batch := range batches {
		c := chunk{batch, batch.Next()}
		if n == len(batches)-1 {
			c.next = next
		}
		w.queue = append(w.queue, c)
		w.queued += len(batch.Bytes())
	}
	if len(batches) == 0 {
		w.queue = append(w.queue, chunk{next: next})
	}
	w.ahead = next
	return true
}

// refused deals with a partition that the broker did not read.
func (f *fetcher) refused(i item, code sarama.KError) {
	r := f.reader
	err := classify(code)
	switch {
	case code == sarama.ErrOffsetOutOfRange:
		f.outOfRange(i)
	case code == sarama.ErrUnknownTopicOrPartition || retriable(err):
		r.misplaced(i.w)
		wake(r.moved)
	default:
		r.fail(i.w, err, errors.Is(err, log.ErrDamaged))
		wake(r.moved)
	}
}

// outOfRange says where the partition begins and ends, if the position is
// outside indeed. If it is not, the broker is behind, and is asked again.
func (f *fetcher) outOfRange(i item) {
	r := f.reader
	ranges, err := r.log.cluster.ranges(f.conn.Broker, []record.Partition{i.w.p})
	if x := ranges[i.w.p]; err != nil || x.Start <= i.from && i.from <= x.End {
		r.misplaced(i.w)
		wake(r.moved)
		return
	}
	x := ranges[i.w.p]
	r.mu.Lock()
	i.w.extent = x
	r.mu.Unlock()
	r.fail(i.w, fmt.Errorf("%w: position %d, the partition has %d to %d", log.ErrOutOfRange, i.from, x.Start, x.End), true)
}

// A lostError: there is no connection.
type lostError struct{ err error }

// Error implements error.
func (e *lostError) Error() string { return e.err.Error() }

// Unwrap returns what went wrong.
func (e *lostError) Unwrap() error { return e.err }

// isLost tells whether an error is of the connection, not of what came over it.
func isLost(err error) bool {
	var l *lostError
	return errors.As(err, &l) || lostErr(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, sarama.ErrNotConnected) || retriable(err)
}
