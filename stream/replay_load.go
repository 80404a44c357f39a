package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// A replayLoad is what one transaction sends.
type replayLoad struct {
	first   Place // of its letters
	parts   map[record.Partition]*record.Builder
	touched map[int32]bool // partitions of letters
	behind  Place          // the letter read last
	records int64
	bytes   int
}

// What one transaction has, about.
const (
	replayBytes   = 1 << 20
	replayRecords = 4096
)

func newReplayLoad() *replayLoad {
	return &replayLoad{parts: map[record.Partition]*record.Builder{}, touched: map[int32]bool{}}
}

// load adds a letter and its mark, unless it is not to be sent, or not again.
//
// The mark begins right behind the letter before: no record is or will be in
// between, and marks of letters that were written one by one become one range.
func (r *Replay) load(l *replayLoad, d *DeadLetter) bool {
	from := int64(0)
	if l.behind.Partition == d.Letter.Partition {
		from = l.behind.Offset
	}
	l.behind = Place{d.Letter.Partition, d.Letter.Offset + 1}
	marks := r.marks.of(d.Letter.Partition)
	if marks.has(d.Letter.Offset) || !r.opts.Choose(*d) || r.hopeless(d) != "" {
		return false
	}
	if l.records == 0 {
		l.first = d.Letter
	}
	marks.add(max(from, r.dead.extents[d.Letter.Partition].Start), d.Letter.Offset+1)
	l.touched[d.Letter.Partition] = true
	t := r.topics[d.Topic]
	p := record.Partition{Topic: d.Topic, Number: t.partition(d)}
	b := l.parts[p]
	if b == nil {
		b = &record.Builder{}
		l.parts[p] = b
	}
	var headers []record.Header
	for _, h := range d.Headers {
		headers = append(headers, record.Header(h))
	}
	at := d.Timestamp
	if t.Retention > 0 {
		at = r.opts.Now()
	}
	b.Append(at.UnixMilli(), d.Key, d.Value, headers...)
	l.records++
	l.bytes += d.Size()
	return true
}

// partition is where a copy goes.
func (t *replayTopic) partition(d *DeadLetter) int32 {
	switch {
	case !t.loop && d.Partition < t.Partitions:
		return d.Partition
	case d.Key == nil:
		return d.Partition % t.Partitions
	}
	return t.partitioner.Of(d.Key, t.Partitions)
}

// commit sends a load, with the marks as they are then.
func (r *Replay) commit(ctx context.Context, p log.Producer, l *replayLoad) error {
	txn := &log.Txn{}
	for _, to := range slices.SortedFunc(maps.Keys(l.parts), comparePartitions) {
		txn.Writes = append(txn.Writes, log.Write{Partition: to, Records: l.parts[to]})
	}
	marks := &record.Builder{}
	for _, n := range slices.Sorted(maps.Keys(l.touched)) {
		r.marks.record(marks, r.dead.group, n, r.opts.Now().UnixMilli())
	}
	txn.Writes = append(txn.Writes, log.Write{Partition: record.Partition{Topic: cursorsTopic(r.dead.group)}, Records: marks})
	_, err := p.Commit(ctx, txn)
	switch {
	case err == nil:
		r.sent += l.records
	case errors.Is(err, log.ErrInDoubt):
		r.doubt = l
	}
	if err != nil {
		return fmt.Errorf("send back %d records: %w", l.records, err)
	}
	return nil
}

func comparePartitions(a, b record.Partition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Number, b.Number))
}
