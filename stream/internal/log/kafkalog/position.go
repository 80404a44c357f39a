package kafkalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// PositionAt implements [log.Log]. Brokers count records of aborted
// transactions too; so what they say is where the search begins, and the first
// committed record is found by reading.
func (l *Log) PositionAt(ctx context.Context, unixMilli int64, partitions ...record.Partition) (map[record.Partition]int64, error) {
	ends, err := l.Ends(ctx, partitions...)
	if err != nil {
		return nil, fmt.Errorf("positions at a time: %w", err)
	}
	found := make(map[record.Partition]int64, len(partitions))
	for _, p := range partitions {
		at, err := l.cluster.positionAt(ctx, p, unixMilli, ends[p])
		if err != nil {
			return nil, fmt.Errorf("position at a time in %s/%d: %w", p.Topic, p.Number, err)
		}
		found[p] = at
	}
	return found, nil
}

func (c *cluster) positionAt(ctx context.Context, p record.Partition, unixMilli int64, r log.Range) (int64, error) {
	next, found := r.Start, false
	asked := unixMilli < 0 // negative times have other meanings in Kafka
	err := c.eachLeader(ctx, []record.Partition{p}, func(b *sarama.Broker, ps []record.Partition) error {
		if !asked {
			at, err := c.listOffsets(b, ps, unixMilli, sarama.ReadCommitted)
			if err != nil {
				return err
			}
			asked = true
			if next = at[p]; next < 0 {
				next = r.End // no record is as young
			}
		}
		var d decoder
		for !found && next < r.Stable {
			before := next
			var err error
			if next, found, err = c.search(ctx, &d, b, p, next, unixMilli); err != nil {
				return err
			}
			if next == before && !found {
				return classify(sarama.ErrOffsetNotAvailable) // the leader is behind
			}
		}
		return nil
	})
	if errors.Is(err, log.ErrOutOfRange) {
		// It was purged meanwhile: what is left begins later.
		ends, err := c.endsOf(ctx, p)
		if err != nil {
			return 0, err
		}
		return c.positionAt(ctx, p, unixMilli, ends)
	}
	if !found {
		next = r.End
	}
	return next, err
}

// search reads once from a position on, and looks for a committed record that
// is as young. Without one it returns where to go on.
func (c *cluster) search(ctx context.Context, d *decoder, b *sarama.Broker, p record.Partition, from, unixMilli int64) (next int64, found bool, err error) {
	const some = 1 << 20
	req := &sarama.FetchRequest{Version: 12, MinBytes: 1, MaxBytes: some, Isolation: sarama.ReadCommitted, SessionEpoch: -1}
	req.AddBlock(p.Topic, p.Number, from, some, -1)
	res, err := b.Fetch(req)
	if err != nil {
		return from, false, err
	}
	block := res.GetBlock(p.Topic, p.Number)
	if block == nil {
		return from, false, classify(sarama.ErrUnknownTopicOrPartition)
	}
	if err := classify(block.Err); err != nil {
		return from, false, err
	}
	batches, next := d.block(block, from)
	for _, batch := range batches {
		for r := batch.Reader(); r.Next(); {
			if r.Record().Timestamp >= unixMilli {
				return r.Record().Offset, true, nil
			}
		}
	}
	return next, false, nil
}

// endsOf is Ends for one partition.
func (c *cluster) endsOf(ctx context.Context, p record.Partition) (r log.Range, err error) {
	err = c.eachLeader(ctx, []record.Partition{p}, func(b *sarama.Broker, ps []record.Partition) error {
		ranges, err := c.ranges(b, ps)
		r = ranges[p]
		return err
	})
	return r, err
}
