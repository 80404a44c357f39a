package embedded

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// A reader reads partitions. It takes one Pebble iterator per partition and
// Poll, only where there is something to read.
type reader struct {
	log   *Log
	o     log.ReaderOptions
	ready chan struct{}

	// wants are what is read, in the order in which they take turns.
	wants  []*want
	closed bool
}

// A want is one partition that a reader reads.
type want struct {
	name record.Partition
	// at is the partition that was found under the name, once it was: a topic
	// created anew is another one.
	at   *partition
	next int64
}

// NewReader implements [log.Log].
func (l *Log) NewReader(o log.ReaderOptions) log.Reader {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 8 << 20
	}
	if o.MaxPartitionBytes <= 0 {
		o.MaxPartitionBytes = 1 << 20
	}
	r := &reader{log: l, o: o, ready: make(chan struct{}, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.readers[r] = struct{}{}
	return r
}

// Seek implements [log.Reader].
func (r *reader) Seek(name record.Partition, next int64) {
	r.Drop(name)
	w := &want{name: name, next: next}
	r.wants = append(r.wants, w)
	r.log.mu.Lock()
	r.find(w)
	r.log.mu.Unlock()
	wake([]chan struct{}{r.ready})
}

// find looks a partition up by its name. l.mu is held.
func (r *reader) find(w *want) {
	p, err := r.log.partition(w.name)
	if err != nil {
		return
	}
	w.at = p
	if p.readers == nil {
		p.readers = map[*reader]int64{}
	}
	p.readers[r] = w.next
}

// Drop implements [log.Reader].
func (r *reader) Drop(name record.Partition) {
	i := slices.IndexFunc(r.wants, func(w *want) bool { return w.name == name })
	if i < 0 {
		return
	}
	r.log.mu.Lock()
	if at := r.wants[i].at; at != nil {
		delete(at.readers, r)
	}
	r.log.mu.Unlock()
	r.wants = slices.Delete(r.wants, i, i+1)
}

// Close implements [log.Reader].
func (r *reader) Close() {
	for len(r.wants) > 0 {
		r.Drop(r.wants[0].name)
	}
	r.closed = true
	r.log.mu.Lock()
	delete(r.log.readers, r)
	r.log.mu.Unlock()
}

// Ready implements [log.Reader].
func (r *reader) Ready() <-chan struct{} { return r.ready }

// Poll implements [log.Reader].
func (r *reader) Poll() ([]log.Fetched, error) {
	if err := r.alive(); err != nil {
		return nil, fmt.Errorf("reader: %w", err)
	}
	var all []log.Fetched
	left := r.o.MaxBytes
	served := 0
	for i, w := range r.wants {
		f, found := r.look(w)
		if !found {
			continue
		}
		if f.Err == nil {
			left -= r.fill(w, &f, left)
		}
		if errors.Is(f.Err, log.ErrClosed) { // meanwhile
			return nil, fmt.Errorf("reader: %w", f.Err)
		}
		all = append(all, f)
		if served = i + 1; left <= 0 {
			break
		}
	}
	if left <= 0 {
		r.rotate(served)
		wake([]chan struct{}{r.ready}) // there may be more
	}
	return all, nil
}

func (r *reader) alive() error {
	if r.closed {
		return log.ErrClosed
	}
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	return r.log.alive()
}

// rotate lets those who were not served be the first next time.
func (r *reader) rotate(n int) {
	r.wants = append(r.wants[n:len(r.wants):len(r.wants)], r.wants[:n]...)
}

// look tells whether there is something to say of a partition.
func (r *reader) look(w *want) (f log.Fetched, found bool) {
	l := r.log
	l.mu.Lock()
	defer l.mu.Unlock()
	f = log.Fetched{Partition: w.name, From: w.next, Next: w.next}
	if w.at == nil {
		r.find(w)
	}
	if w.at == nil || l.byID[w.at.topic.id] == nil {
		f.Err = fmt.Errorf("%w: %s/%d", log.ErrUnknownTopic, w.name.Topic, w.name.Number)
		return f, true
	}
	f.Range = w.at.bounds()
	f.Err = inRange(w.name, w.next, f.Range)
	return f, f.Err != nil || w.next < f.Range.Stable
}

func inRange(p record.Partition, next int64, r log.Range) error {
	if next < r.Start || next > r.End {
		return fmt.Errorf("%w: %d of %s/%d, which has %d to %d", log.ErrOutOfRange, next, p.Topic, p.Number, r.Start, r.End)
	}
	return nil
}

// fill reads batches of one partition, and moves the want behind them. It
// returns how many bytes it read.
func (r *reader) fill(w *want, f *log.Fetched, left int) (bytes int) {
	batches, next, bytes, err := r.log.readBatches(w.at.place(), w.next, f.Range.Stable, min(left, r.o.MaxPartitionBytes))
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	// What was purged meanwhile may be missing from what was read.
	if err == nil {
		err = inRange(w.name, w.next, w.at.bounds())
	}
	if err != nil {
		f.Err = err
		return 0
	}
	f.Batches, f.Next = batches, next
	w.next = next
	w.at.readers[r] = next
	return bytes
}

// readBatches reads the batches with records in [from, stable), at least one,
// until there are limit bytes. It returns where it got to.
func (l *Log) readBatches(at place, from, stable int64, limit int) (batches []record.Batch, next int64, bytes int, err error) {
	it, done, err := l.iterator(offsetKey(nil, kindBatch, at, 0), offsetKey(nil, kindBatch, at, stable))
	if err != nil {
		return nil, 0, 0, err
	}
	defer func() { err = storageError(errors.Join(err, done())) }()
	ok := it.SeekLT(offsetKey(nil, kindBatch, at, from+1))
	if !ok {
		ok = it.First()
	}
	for ; ok; ok = it.Next() {
		b, err := readBatch(it)
		if err != nil {
			return nil, 0, 0, err
		}
		if b.Next() <= from {
			continue
		}
		batches = append(batches, b)
		if bytes += len(b.Bytes()); bytes >= limit {
			return batches, b.Next(), bytes, nil
		}
	}
	return batches, stable, bytes, it.Error()
}

// iterator returns an iterator over keys in [from, to), and what ends it. The log
// is not closed before that. l.mu is not held.
func (l *Log) iterator(from, to []byte) (it *pebble.Iterator, done func() error, err error) {
	l.mu.Lock()
	if err = l.alive(); err == nil {
		l.reading.Add(1)
	}
	l.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	if it, err = l.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to}); err != nil {
		l.reading.Done()
		return nil, nil, storageError(err)
	}
	return it, func() error {
		defer l.reading.Done()
		return it.Close()
	}, nil
}

// readBatch copies the batch an iterator stands on.
func readBatch(it *pebble.Iterator) (record.Batch, error) {
	value, err := it.ValueAndErr()
	if err != nil {
		return record.Batch{}, storageError(err)
	}
	return parseBatch(it.Key(), slices.Clone(value))
}

// parseBatch checks the batch under a key.
func parseBatch(key, value []byte) (record.Batch, error) {
	b, err := record.Parse(value)
	base := baseOf(key)
	if err == nil && b.Base() != base {
		err = fmt.Errorf("batch has base offset %d", b.Base())
	}
	if err != nil {
		return record.Batch{}, fmt.Errorf("%w: batch at %d: %w", log.ErrDamaged, base, err)
	}
	return b, nil
}
