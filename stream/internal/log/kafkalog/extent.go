package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/IBM/sarama"
	"golang.org/x/sync/errgroup"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// eachLeader makes an idempotent call to every broker that leads one of the
// partitions, with those it leads; again, until all went well at once or an
// error is final. Calls run at the same time.
func (c *cluster) eachLeader(ctx context.Context, ps []record.Partition, call func(*sarama.Broker, []record.Partition) error) error {
	return c.retry(ctx, func(ctx context.Context) error {
		led := map[int32][]record.Partition{}
		for _, p := range ps {
			id, err := c.leader(ctx, p)
			if err != nil {
				return err
			}
			led[id] = append(led[id], p)
		}
		var calls errgroup.Group
		for id, some := range led {
			calls.Go(func() error {
				err := c.on(ctx, id, func(b *sarama.Broker) error { return call(b, some) })
				return c.blame(err, some)
			})
		}
		return calls.Wait()
	})
}

// blame forgets who leads partitions after a call for them failed. A leader
// that does not know its partition is no leader: metadata must tell.
func (c *cluster) blame(err error, ps []record.Partition) error {
	if err == nil {
		return nil
	}
	unknown := errors.Is(err, log.ErrUnknownTopic)
	if unknown || retriable(err) {
		for _, p := range ps {
			c.moved(p)
		}
	}
	if unknown {
		return fmt.Errorf("%w: %s", log.ErrUnavailable, err.Error())
	}
	return err
}

// Special timestamps of ListOffsets.
const (
	latest   = sarama.OffsetNewest
	earliest = sarama.OffsetOldest
)

// listOffsets asks a leader for one offset of each partition: -1 is none.
func (c *cluster) listOffsets(b *sarama.Broker, ps []record.Partition, at int64, isolation sarama.IsolationLevel) (map[record.Partition]int64, error) {
	req := sarama.NewOffsetRequest(c.conf.Version)
	req.IsolationLevel = isolation
	for _, p := range ps {
		req.AddBlock(p.Topic, p.Number, at, 1)
	}
	res, err := b.GetAvailableOffsets(req)
	if err != nil {
		return nil, err
	}
	offsets := make(map[record.Partition]int64, len(ps))
	for _, p := range ps {
		block := res.GetBlock(p.Topic, p.Number)
		if block == nil {
			return nil, fmt.Errorf("%s/%d: %w", p.Topic, p.Number, classify(sarama.ErrUnknownTopicOrPartition))
		}
		if err := classify(block.Err); err != nil {
			return nil, fmt.Errorf("%s/%d: %w", p.Topic, p.Number, err)
		}
		offsets[p] = block.Offset
	}
	return offsets, nil
}

// Ends implements [log.Log].
func (l *Log) Ends(ctx context.Context, partitions ...record.Partition) (map[record.Partition]log.Range, error) {
	var mu sync.Mutex
	ends := make(map[record.Partition]log.Range, len(partitions))
	err := l.cluster.eachLeader(ctx, partitions, func(b *sarama.Broker, ps []record.Partition) error {
		some, err := l.cluster.ranges(b, ps)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for p, r := range some {
			ends[p] = r
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("ends: %w", err)
	}
	return ends, nil
}

// ranges asks a leader where partitions begin and end: the start first, the
// end last, so that they are in order though all of them move.
func (c *cluster) ranges(b *sarama.Broker, ps []record.Partition) (map[record.Partition]log.Range, error) {
	start, err := c.listOffsets(b, ps, earliest, sarama.ReadUncommitted)
	if err != nil {
		return nil, err
	}
	stable, err := c.listOffsets(b, ps, latest, sarama.ReadCommitted)
	if err != nil {
		return nil, err
	}
	end, err := c.listOffsets(b, ps, latest, sarama.ReadUncommitted)
	if err != nil {
		return nil, err
	}
	ranges := make(map[record.Partition]log.Range, len(ps))
	for _, p := range ps {
		ranges[p] = log.Range{Start: start[p], Stable: stable[p], End: end[p]}
	}
	return ranges, nil
}

// Purge implements [log.Log]. All positions are checked before the first is
// purged, because Kafka would purge the others of a call it refuses in part.
func (l *Log) Purge(ctx context.Context, before map[record.Partition]int64) error {
	ps := make([]record.Partition, 0, len(before))
	for p := range before {
		ps = append(ps, p)
	}
	ends, err := l.Ends(ctx, ps...)
	if err != nil {
		return fmt.Errorf("purge: %w", err)
	}
	due := ps[:0]
	for _, p := range ps {
		r, at := ends[p], before[p]
		if at > r.Stable {
			return fmt.Errorf("purge of %s/%d before %d: %w: it is readable to %d", p.Topic, p.Number, at, log.ErrOutOfRange, r.Stable)
		}
		if at > r.Start {
			due = append(due, p)
		}
	}
	err = l.cluster.eachLeader(ctx, due, func(b *sarama.Broker, ps []record.Partition) error {
		return l.cluster.deleteRecords(b, ps, before)
	})
	if err != nil {
		return fmt.Errorf("purge: %w", err)
	}
	return nil
}

// deleteRecords makes the call to a leader.
func (c *cluster) deleteRecords(b *sarama.Broker, ps []record.Partition, before map[record.Partition]int64) error {
	req := &sarama.DeleteRecordsRequest{Version: 2, Timeout: c.o.Timeout, Topics: map[string]*sarama.DeleteRecordsRequestTopic{}}
	for _, p := range ps {
		t := req.Topics[p.Topic]
		if t == nil {
			t = &sarama.DeleteRecordsRequestTopic{PartitionOffsets: map[int32]int64{}}
			req.Topics[p.Topic] = t
		}
		t.PartitionOffsets[p.Number] = before[p]
	}
	res, err := b.DeleteRecords(req)
	if err != nil {
		return err
	}
	for _, p := range ps {
		code := sarama.ErrUnknownTopicOrPartition
		if t := res.Topics[p.Topic]; t != nil && t.Partitions[p.Number] != nil {
			code = t.Partitions[p.Number].Err
		}
		if err := classify(code); err != nil {
			return fmt.Errorf("%s/%d: %w", p.Topic, p.Number, err)
		}
	}
	return nil
}
