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

// Purge implements [log.Log].
func (l *Log) Purge(ctx context.Context, before map[record.Partition]int64) error {
	err := l.write(ctx, l.exclusive(func(b *pebble.Batch) (func(), error) { return l.planPurge(b, before) }))
	if err != nil {
		return fmt.Errorf("purge: %w", err)
	}
	return nil
}

func (l *Log) planPurge(b *pebble.Batch, before map[record.Partition]int64) (func(), error) {
	var publish []func()
	for _, name := range slices.SortedFunc(maps.Keys(before), comparePartitions) {
		l.mu.Lock()
		p, err := l.partition(name)
		if err == nil && before[name] > p.stable() {
			err = fmt.Errorf("%w: %d of %s/%d, readable to %d", log.ErrOutOfRange, before[name], name.Topic, name.Number, p.stable())
		}
		l.mu.Unlock()
		if err != nil {
			return nil, err
		}
		step, err := l.planTrim(b, p, before[name])
		if err != nil {
			return nil, err
		}
		publish = append(publish, step)
	}
	return func() {
		for _, step := range publish {
			step()
		}
	}, nil
}

// planTrim moves the start of a partition, and takes out the batches that end
// before it. The memory knows of the new start before the rows go, so that a
// reader that misses them finds out why.
func (l *Log) planTrim(b *pebble.Batch, p *partition, start int64) (func(), error) {
	if start <= p.start {
		return func() {}, nil
	}
	cut, bytes, dirty, err := l.measure(p, start)
	if err != nil {
		return nil, err
	}
	for _, kind := range []byte{kindBatch, kindIndex} {
		delRange(b, offsetKey(nil, kind, p.place(), 0), offsetKey(nil, kind, p.place(), cut))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p.start, p.cut = start, cut
	p.clean = max(p.clean, cut)
	p.bytes -= bytes
	p.dirty -= dirty
	set(b, placeKey(kindExtent, p.place()), p.encode())
	return func() {}, nil
}

// measure finds what of a partition ends at or before start: all batches with
// a base below cut, with so many bytes, and so many of them not compacted yet.
func (l *Log) measure(p *partition, start int64) (cut, bytes, dirty int64, err error) {
	cut = start
	err = l.eachIndex(p.place(), 0, start, func(base int64, row indexRow) bool {
		if row.next > start {
			cut = base
			return false
		}
		bytes += int64(row.bytes)
		if base >= p.clean {
			dirty += int64(row.bytes)
		}
		return true
	})
	return cut, bytes, dirty, err
}

// eachIndex calls f for the batches with a base in [from, to), in order, until
// f returns false.
func (l *Log) eachIndex(at place, from, to int64, f func(base int64, row indexRow) bool) (err error) {
	it, done, err := l.iterator(offsetKey(nil, kindIndex, at, from), offsetKey(nil, kindIndex, at, to))
	if err != nil {
		return err
	}
	defer func() { err = storageError(errors.Join(err, done())) }()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		row, err := decodeIndex(value)
		if err != nil {
			return fmt.Errorf("%w: index of batch at %d: %w", log.ErrDamaged, baseOf(it.Key()), err)
		}
		if !f(baseOf(it.Key()), row) {
			break
		}
	}
	return it.Error()
}

// PositionAt implements [log.Log]. It walks the index, and reads the batches
// that may have what it looks for: one, nearly always.
func (l *Log) PositionAt(ctx context.Context, unixMilli int64, partitions ...record.Partition) (map[record.Partition]int64, error) {
	positions := make(map[record.Partition]int64, len(partitions))
	for _, name := range partitions {
		l.mu.Lock()
		err := l.alive()
		var p *partition
		if err == nil {
			p, err = l.partition(name)
		}
		var bounds log.Range
		if err == nil {
			bounds = p.bounds()
		}
		l.mu.Unlock()
		if err == nil {
			positions[name], err = l.positionAt(ctx, p.place(), bounds, unixMilli)
		}
		if err != nil {
			return nil, fmt.Errorf("position at %d: %w", unixMilli, err)
		}
	}
	return positions, nil
}

func (l *Log) positionAt(ctx context.Context, at place, bounds log.Range, unixMilli int64) (int64, error) {
	found := bounds.End
	var inner error
	err := l.eachIndex(at, 0, bounds.Stable, func(base int64, row indexRow) bool {
		if inner = ctx.Err(); inner != nil {
			return false
		}
		if row.next <= bounds.Start || row.maxTime < unixMilli {
			return true
		}
		var offset int64
		if offset, inner = l.firstAt(at, base, bounds.Start, unixMilli); inner == nil && offset >= 0 {
			found = offset
		}
		return inner == nil && offset < 0
	})
	return found, errors.Join(err, inner)
}

// firstAt is the first offset in a batch, from start on, with a timestamp of
// at least unixMilli, or -1.
func (l *Log) firstAt(at place, base, start, unixMilli int64) (int64, error) {
	batches, _, _, err := l.readBatches(at, base, base+1, 1)
	if err != nil {
		return 0, err
	}
	for _, b := range batches {
		r := b.Reader()
		for r.Next() {
			if rec := r.Record(); rec.Offset >= start && rec.Timestamp >= unixMilli {
				return rec.Offset, nil
			}
		}
		if err := r.Err(); err != nil {
			return 0, fmt.Errorf("%w: %w", log.ErrDamaged, err)
		}
	}
	return -1, nil
}
