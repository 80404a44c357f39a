package kafkalog

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"golang.org/x/sync/errgroup"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// onCoordinator makes an idempotent call to a coordinator, and to the next one
// when it has moved.
func (c *cluster) onCoordinator(ctx context.Context, kind sarama.CoordinatorType, key string, call func(*sarama.Broker) error) error {
	return c.retry(ctx, func(ctx context.Context) error {
		id, err := c.coordinator(ctx, kind, key)
		if err != nil {
			return err
		}
		err = c.on(ctx, id, call)
		if retriable(err) {
			c.coordinatorMoved(kind, key)
		}
		return err
	})
}

// Positions implements [log.Log].
func (l *Log) Positions(ctx context.Context, group string, partitions ...record.Partition) (map[record.Partition]int64, error) {
	if len(partitions) == 0 {
		return map[record.Partition]int64{}, l.alive()
	}
	asked := map[string][]int32{}
	for _, p := range partitions {
		asked[p.Topic] = append(asked[p.Topic], p.Number)
	}
	var found map[record.Partition]int64
	err := l.cluster.onCoordinator(ctx, groupCoordinator, group, func(b *sarama.Broker) (err error) {
		found, err = l.cluster.fetchOffsets(b, group, asked)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("positions of group %q: %w", group, err)
	}
	return found, nil
}

// fetchOffsets makes the call to the coordinator; asked nil asks for all there are.
func (c *cluster) fetchOffsets(b *sarama.Broker, group string, asked map[string][]int32) (map[record.Partition]int64, error) {
	req := sarama.NewOffsetFetchRequest(c.conf.Version, group, asked)
	req.RequireStable = true
	res, err := b.FetchOffset(req)
	if err != nil {
		return nil, err
	}
	if code := res.GroupError(); code != sarama.ErrGroupIDNotFound {
		if err := classify(code); err != nil {
			return nil, err
		}
	}
	blocks := res.Blocks
	if len(res.Groups) > 0 {
		blocks = res.Groups[0].Blocks
	}
	found := map[record.Partition]int64{}
	for topic, parts := range blocks {
		for n, block := range parts {
			if block.Err == sarama.ErrUnknownTopicOrPartition {
				continue // nothing is committed for it
			}
			if err := classify(block.Err); err != nil {
				return nil, fmt.Errorf("%s/%d: %w", topic, n, err)
			}
			if block.Offset >= 0 {
				found[record.Partition{Topic: topic, Number: n}] = block.Offset
			}
		}
	}
	return found, nil
}

// Groups implements [log.Log].
func (l *Log) Groups(ctx context.Context) ([]string, error) {
	var mu sync.Mutex
	var all []string
	err := l.cluster.everywhere(ctx, func(b *sarama.Broker) error {
		res, err := b.ListGroups(&sarama.ListGroupsRequest{Version: 4})
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for name := range res.Groups {
			if res.GroupsData[name].GroupState != "Dead" {
				all = append(all, name)
			}
		}
		return classify(res.Err)
	})
	if err != nil {
		return nil, fmt.Errorf("list groups: %w", err)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// everywhere makes an idempotent call to all brokers that are there, at the
// same time, until all of them answered. What a call gathers may come twice.
func (c *cluster) everywhere(ctx context.Context, call func(*sarama.Broker) error) error {
	return c.retry(ctx, func(ctx context.Context) error {
		if len(c.brokers()) == 0 {
			if _, err := c.metadata(ctx); err != nil {
				return err
			}
		}
		var calls errgroup.Group
		for _, id := range c.brokers() {
			calls.Go(func() error { return c.on(ctx, id, call) })
		}
		err := calls.Wait()
		if retriable(err) {
			// The broker that is missing may be gone for good.
			if _, err := c.metadata(ctx); err != nil {
				return err
			}
		}
		return err
	})
}

// DeleteGroup implements [log.Log].
func (l *Log) DeleteGroup(ctx context.Context, group string) error {
	err := l.cluster.onCoordinator(ctx, groupCoordinator, group, func(b *sarama.Broker) error {
		res, err := b.DeleteGroups(&sarama.DeleteGroupsRequest{Version: 2, Groups: []string{group}})
		if err != nil {
			return err
		}
		if code := res.GroupErrorCodes[group]; code != sarama.ErrGroupIDNotFound {
			return classify(code)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete group %q: %w", group, err)
	}
	return nil
}

// forgetPositions deletes what groups committed for a topic that is gone.
// Brokers do so themselves, some time later: too late for a topic that is
// created anew at once. Groups with members that hold on to it are left to them.
func (l *Log) forgetPositions(ctx context.Context, t log.Topic) error {
	groups, err := l.Groups(ctx)
	if err != nil {
		return fmt.Errorf("positions in topic %s: %w", t.Name, err)
	}
	for _, group := range groups {
		err := l.cluster.onCoordinator(ctx, groupCoordinator, group, func(b *sarama.Broker) error {
			req := &sarama.DeleteOffsetsRequest{Group: group}
			for n := range t.Partitions {
				req.AddPartition(t.Name, n)
			}
			res, err := b.DeleteOffsets(req)
			if err != nil {
				return err
			}
			if retriable(classify(res.ErrorCode)) {
				return classify(res.ErrorCode)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("positions of group %q in topic %s: %w", group, t.Name, err)
		}
	}
	return nil
}

// OpenTransactions implements [log.Log]. Transactions whose end is decided are
// not open, though their markers may not be written yet; but those that hang
// are, because nobody will write them. Positions that a
// transaction holds are not among its partitions.
func (l *Log) OpenTransactions(ctx context.Context) ([]log.OpenTransaction, error) {
	var mu sync.Mutex
	open := map[string]log.OpenTransaction{}
	err := l.cluster.everywhere(ctx, func(b *sarama.Broker) error {
		some, err := l.cluster.openOn(b)
		mu.Lock()
		defer mu.Unlock()
		for _, t := range some {
			open[t.TransactionalID] = t
		}
		return err
	})
	var hanging map[string]log.OpenTransaction
	if err == nil {
		hanging, err = l.cluster.hanging(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("open transactions: %w", err)
	}
	for id, t := range hanging {
		open[id] = t
	}
	all := make([]log.OpenTransaction, 0, len(open))
	for _, t := range open {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b log.OpenTransaction) int { return a.Since.Compare(b.Since) })
	return all, nil
}

// openOn asks one coordinator.
func (c *cluster) openOn(b *sarama.Broker) (open []log.OpenTransaction, err error) {
	ongoing := []string{sarama.TransactionStateOngoing}
	list, err := b.ListTransactions(&sarama.ListTransactionsRequest{Version: 1, StateFilters: ongoing, DurationFilter: -1})
	if err != nil {
		return nil, err
	}
	if err := classify(list.ErrorCode); err != nil {
		return nil, err
	}
	req := &sarama.DescribeTransactionsRequest{}
	for _, t := range list.TransactionStates {
		req.TransactionalIDs = append(req.TransactionalIDs, t.TransactionalID)
	}
	if len(req.TransactionalIDs) == 0 {
		return nil, nil
	}
	res, err := b.DescribeTransactions(req)
	if err != nil {
		return nil, err
	}
	for _, t := range res.TransactionStates {
		if t.ErrorCode != sarama.ErrNoError || t.TransactionState != sarama.TransactionStateOngoing {
			continue // it ended meanwhile, or moved and is listed there
		}
		open = append(open, openTransaction(t))
	}
	return open, nil
}

// positionsTopic is where brokers keep groups' positions.
const positionsTopic = "__consumer_offsets"

func openTransaction(t sarama.TransactionState) log.OpenTransaction {
	o := log.OpenTransaction{TransactionalID: t.TransactionalID, Since: time.UnixMilli(t.TransactionStartTime)}
	for _, topic := range t.Topics {
		if topic.Topic == positionsTopic {
			continue
		}
		for _, n := range topic.Partitions {
			o.Partitions = append(o.Partitions, record.Partition{Topic: topic.Topic, Number: n})
		}
	}
	return o
}
