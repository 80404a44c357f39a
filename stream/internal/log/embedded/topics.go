package embedded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// Topics implements [log.Log].
func (l *Log) Topics(_ context.Context, names ...string) ([]log.Topic, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.alive(); err != nil {
		return nil, err
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(l.topics))
	}
	var all []log.Topic
	for _, name := range names {
		if t := l.topics[name]; t != nil {
			all = append(all, t.describe())
		}
	}
	return all, nil
}

// maxPartitions of a topic: more is a typing error in a log of one process.
const maxPartitions = 10_000

// CreateTopic implements [log.Log].
func (l *Log) CreateTopic(ctx context.Context, t log.Topic) error {
	row := topicRow{
		Name: t.Name, Partitions: t.Partitions, Cleanup: t.Cleanup, Retention: t.Retention,
		MinDirtyRatio: t.MinDirtyRatio, DeleteRetention: t.DeleteRetention,
	}
	err := row.complete()
	if err == nil {
		err = l.write(ctx, l.exclusive(func(b *pebble.Batch) (func(), error) { return l.planCreate(b, row) }))
	}
	if err != nil {
		return fmt.Errorf("create topic %q: %w", t.Name, err)
	}
	return nil
}

// complete checks a new topic and fills in the defaults.
func (r *topicRow) complete() error {
	switch {
	case r.Name == "" || len(r.Name) > 249:
		return errors.New("the name is empty or longer than 249 bytes")
	case r.Partitions < 0 || r.Partitions > maxPartitions:
		return fmt.Errorf("%d partitions: at most %d", r.Partitions, maxPartitions)
	case r.MinDirtyRatio < 0 || r.MinDirtyRatio > 1:
		return fmt.Errorf("minimal dirty ratio %v is not between 0 and 1", r.MinDirtyRatio)
	}
	r.Partitions = max(r.Partitions, 1)
	if r.Cleanup == 0 {
		r.Cleanup = log.Delete
	}
	if r.MinDirtyRatio == 0 {
		r.MinDirtyRatio = defaultDirtyRatio
	}
	if r.DeleteRetention == 0 {
		r.DeleteRetention = defaultDeleteRetention
	}
	return nil
}

// Partitions implements [log.Log].
func (l *Log) Partitions(_ context.Context, names ...string) (map[string]int32, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.alive(); err != nil {
		return nil, err
	}
	counts := make(map[string]int32, len(names))
	for _, name := range names {
		if t := l.topics[name]; t != nil {
			counts[name] = t.row.Partitions
		}
	}
	return counts, nil
}

// AddPartitions implements [log.Log].
func (l *Log) AddPartitions(ctx context.Context, name string, n int32) error {
	err := l.write(ctx, l.exclusive(func(b *pebble.Batch) (func(), error) { return l.planGrowth(b, name, n) }))
	if err != nil {
		return fmt.Errorf("add partitions to topic %q, so that it has %d: %w", name, n, err)
	}
	return nil
}

func (l *Log) planGrowth(b *pebble.Batch, name string, n int32) (func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.topics[name]
	switch {
	case t == nil:
		return nil, log.ErrUnknownTopic
	case n > maxPartitions:
		return nil, fmt.Errorf("at most %d", maxPartitions)
	case n <= t.row.Partitions:
		return func() {}, nil
	}
	row := t.row
	row.Partitions = n
	set(b, topicKey(kindTopic, t.id), encodeRow(row))
	added := t.upTo(n)
	for _, p := range added {
		set(b, placeKey(kindExtent, p.place()), p.encode())
	}
	return func() {
		t.row, t.partitions = row, append(t.partitions, added...)
		l.wakeReaders()
	}, nil
}

// wakeReaders wakes all: they may have asked for what was not there. l.mu is held.
func (l *Log) wakeReaders() {
	for r := range l.readers {
		l.moved = append(l.moved, r.ready)
	}
}

func (l *Log) planCreate(b *pebble.Batch, row topicRow) (func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.topics[row.Name] != nil {
		return nil, log.ErrTopicExists
	}
	next := l.counters
	next.Topic++
	t := newTopic(next.Topic, row)
	set(b, []byte{kindCounters}, encodeRow(next))
	set(b, topicKey(kindTopic, t.id), encodeRow(row))
	for _, p := range t.partitions {
		set(b, placeKey(kindExtent, p.place()), p.encode())
	}
	return func() {
		l.counters = next
		l.topics[row.Name], l.byID[t.id] = t, t
		l.wakeReaders()
	}, nil
}

// set puts a row into a batch: that cannot fail but for size, and rows are small.
func set(b *pebble.Batch, key, value []byte) {
	if err := b.Set(key, value, nil); err != nil {
		panic(err)
	}
}

// del and delRange take rows out; like set they cannot fail.
func del(b *pebble.Batch, key []byte) {
	if err := b.Delete(key, nil); err != nil {
		panic(err)
	}
}

func delRange(b *pebble.Batch, from, to []byte) {
	if err := b.DeleteRange(from, to, nil); err != nil {
		panic(err)
	}
}

// DeleteTopic implements [log.Log]. Transactions that are open keep what they
// wrote elsewhere, and lose what they wrote to the topic.
func (l *Log) DeleteTopic(ctx context.Context, name string) error {
	err := l.write(ctx, l.exclusive(func(b *pebble.Batch) (func(), error) { return l.planDelete(b, name) }))
	if err != nil {
		return fmt.Errorf("delete topic %q: %w", name, err)
	}
	return nil
}

func (l *Log) planDelete(b *pebble.Batch, name string) (func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.topics[name]
	if t == nil {
		return nil, log.ErrUnknownTopic
	}
	del(b, topicKey(kindTopic, t.id))
	for _, kind := range []byte{kindExtent, kindIndex, kindBatch, kindPosition} {
		prefix := topicKey(kind, t.id)
		delRange(b, prefix, after(prefix))
	}
	var cut []*txn
	for _, id := range slices.Sorted(maps.Keys(l.undecided)) {
		if rest, changed := l.undecided[id].without(t.id); changed {
			set(b, textKey(kindOpen, id), encodeRow(rest.txnRow))
			cut = append(cut, rest)
		}
	}
	return func() {
		l.dropTopic(t)
		for _, rest := range cut {
			l.undecided[rest.id] = rest
		}
	}, nil
}

// dropTopic forgets a topic and all that groups know of it. l.mu is held.
func (l *Log) dropTopic(t *topic) {
	delete(l.topics, t.row.Name)
	delete(l.byID, t.id)
	for _, p := range t.partitions {
		l.moved = append(l.moved, p.watchers()...)
		for _, g := range l.groups {
			delete(g.positions, p.place())
			delete(g.unstable, p.place())
		}
	}
}

// Ends implements [log.Log].
func (l *Log) Ends(_ context.Context, partitions ...record.Partition) (map[record.Partition]log.Range, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.alive(); err != nil {
		return nil, err
	}
	ends := make(map[record.Partition]log.Range, len(partitions))
	for _, name := range partitions {
		p, err := l.partition(name)
		if err != nil {
			return nil, fmt.Errorf("ends: %w", err)
		}
		ends[name] = p.bounds()
	}
	return ends, nil
}
