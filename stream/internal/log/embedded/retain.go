package embedded

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// retain removes what is older than its topic keeps records. As a batch goes
// only with all before it, one record from the future keeps everything behind
// it; Kafka's retention does the same, by the segment. Unlike Kafka's, it spares
// what a group that reads the partition has not handled yet: here one process
// is all there is, so while that is stopped nobody can catch up.
func (l *Log) retain(ctx context.Context, now time.Time) error {
	for _, p := range l.retained() {
		start, err := l.expired(p, now)
		if err == nil && start > 0 {
			err = l.write(ctx, l.exclusive(func(b *pebble.Batch) (func(), error) { return l.planRetain(b, p, start) }))
		}
		if err != nil {
			return fmt.Errorf("retention of %s/%d: %w", p.topic.row.Name, p.number, err)
		}
	}
	return nil
}

// retained are the partitions that forget by age.
func (l *Log) retained() (all []*partition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.sortedTopics() {
		if t.row.Cleanup&log.Delete != 0 && t.row.Retention > 0 {
			all = append(all, t.partitions...)
		}
	}
	return all
}

// expired is where a partition should start, or 0 if it is not worth a write
// yet: it goes in strides of a sixteenth of the retention.
func (l *Log) expired(p *partition, now time.Time) (start int64, err error) {
	retention := p.topic.row.Retention
	oldest := now.Add(-retention).UnixMilli()
	first := now.Add(-retention - retention/16).UnixMilli()
	err = l.eachIndex(p.place(), 0, math.MaxInt64, func(_ int64, row indexRow) bool {
		if row.maxTime >= oldest || start == 0 && row.maxTime >= first {
			return false
		}
		start = row.next
		return true
	})
	return start, err
}

func (l *Log) planRetain(b *pebble.Batch, p *partition, start int64) (func(), error) {
	l.mu.Lock()
	gone := l.byID[p.topic.id] == nil
	start = min(start, p.stable(), l.handled(p))
	l.mu.Unlock()
	if gone {
		return func() {}, nil
	}
	return l.planTrim(b, p, start)
}

// handled is the least position that a group has in a partition. l.mu is held.
func (l *Log) handled(p *partition) int64 {
	least := int64(math.MaxInt64)
	for _, g := range l.groups {
		if at, ok := g.positions[p.place()]; ok {
			least = min(least, at)
		}
	}
	return least
}
