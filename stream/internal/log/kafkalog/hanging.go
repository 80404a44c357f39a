package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// A transaction hangs when it is open in a partition while its coordinator
// takes it for ended: nobody will write its marker there any more, and readers
// of committed records wait in front of it for ever. Brokers do that to each
// other: a coordinator skips the marker of a partition that has no leader at
// that moment ("likely deleted already"), which is every partition when a lone
// broker is being stopped. KIP-664 has the tools to see such transactions,
// KIP-890 prevents other causes, not this one. docs/decisions/0008 weighs what
// is done about it.

// An opening is a transaction that a partition has open.
type opening struct {
	at    record.Partition
	pid   int64
	epoch int32 // of the producer when it wrote last
	start int64 // offset of the transaction's first record there
	since time.Time
}

// A place is where a transaction hangs.
type place struct {
	at    record.Partition
	pid   int64
	start int64
}

func (o opening) place() place { return place{o.at, o.pid, o.start} }

// leaderless is how long partitions may lack a leader until they are left out
// of what is looked at: those of a broker that starts get theirs in less.
const leaderless = 3 * time.Second

// openings are the transactions open in the partitions there are, of the
// producers that count. Partitions that this user may not read, that are being
// deleted or that lack a leader for long are left out.
func (c *cluster) openings(ctx context.Context, counts func(pid int64) bool) ([]opening, error) {
	ps, err := c.led(ctx)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	found := map[place]opening{}
	err = c.eachLeader(ctx, ps, func(b *sarama.Broker, ps []record.Partition) error {
		some, err := c.openingsOn(b, ps)
		mu.Lock()
		defer mu.Unlock()
		for _, o := range some {
			if counts(o.pid) {
				found[o.place()] = o
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("transactions open in partitions: %w", err)
	}
	all := make([]opening, 0, len(found))
	for _, o := range found {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b opening) int { return comparePartitions(a.at, b.at) })
	return all, nil
}

// led are all partitions of the cluster that have a leader. Those of our own
// topics would not do: a coordinator that took a transaction for ended names its
// partitions no more, and it may have had some of topics that only an earlier
// version of the program wrote to.
func (c *cluster) led(ctx context.Context) (ps []record.Partition, err error) {
	var pause backoff
	for deadline := time.Now().Add(leaderless); ; {
		topics, err := c.metadata(ctx)
		if err != nil {
			return nil, err
		}
		ps = ps[:0]
		without := 0
		for _, t := range topics {
			for _, p := range t.Partitions {
				if p.Leader < 0 {
					without++
					continue
				}
				ps = append(ps, record.Partition{Topic: t.Name, Number: p.ID})
			}
		}
		if without == 0 || time.Now().After(deadline) {
			return ps, nil
		}
		if err := pause.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// openingsOn asks a leader.
func (c *cluster) openingsOn(b *sarama.Broker, ps []record.Partition) (all []opening, err error) {
	numbers := map[string][]int32{}
	for _, p := range ps {
		numbers[p.Topic] = append(numbers[p.Topic], p.Number)
	}
	req := &sarama.DescribeProducersRequest{}
	for topic, some := range numbers {
		req.Topics = append(req.Topics, sarama.DescribeProducersRequestTopic{Name: topic, PartitionIndexes: some})
	}
	res, err := b.DescribeProducers(req)
	if err != nil {
		return nil, err
	}
	for _, topic := range res.Topics {
		for _, p := range topic.Partitions {
			if err := classify(p.ErrorCode); retriable(err) {
				return nil, fmt.Errorf("%s/%d: %w", topic.Name, p.PartitionIndex, err)
			}
			for _, s := range p.ActiveProducers {
				if s.CurrentTxnStartOffset < 0 {
					continue
				}
				all = append(all, opening{
					at:  record.Partition{Topic: topic.Name, Number: p.PartitionIndex},
					pid: s.ProducerID, epoch: s.ProducerEpoch, start: s.CurrentTxnStartOffset, since: time.UnixMilli(s.LastTimestamp),
				})
			}
		}
	}
	return all, nil
}

// lastTransaction asks the coordinator for what it knows of a transactional id; nil
// if it knows nothing.
func (c *cluster) lastTransaction(ctx context.Context, id string) (known *sarama.TransactionState, err error) {
	const notFound = sarama.KError(105) // TRANSACTIONAL_ID_NOT_FOUND, which sarama has no name for
	err = c.onCoordinator(ctx, transactionCoordinator, id, func(b *sarama.Broker) error {
		known = nil
		res, err := b.DescribeTransactions(&sarama.DescribeTransactionsRequest{TransactionalIDs: []string{id}})
		if err != nil {
			return err
		}
		for i, t := range res.TransactionStates {
			if t.TransactionalID != id || t.ErrorCode == notFound {
				continue
			}
			if err := classify(t.ErrorCode); err != nil {
				return err
			}
			known = &res.TransactionStates[i]
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("last transaction: %w", err)
	}
	return known, nil
}

// hanging lists the transactions that hang, by their ids' names. What is open
// in a partition before and after the coordinator said that all has ended, and
// is still the same, hangs: what ends otherwise is marked before it says so.
func (c *cluster) hanging(ctx context.Context) (map[string]log.OpenTransaction, error) {
	first, err := c.openings(ctx, func(int64) bool { return true })
	if err != nil || len(first) == 0 {
		return nil, err
	}
	ended, err := c.ended(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(first, func(o opening) bool { return ended[o.pid] != "" }) {
		return nil, nil
	}
	second, err := c.openings(ctx, func(pid int64) bool { return ended[pid] != "" })
	if err != nil {
		return nil, err
	}
	found := map[string]log.OpenTransaction{}
	for _, o := range second {
		if !slices.ContainsFunc(first, func(f opening) bool { return f.place() == o.place() }) {
			continue
		}
		id := ended[o.pid]
		t, again := found[id]
		if t.TransactionalID = id; !again || o.since.Before(t.Since) {
			t.Since = o.since
		}
		if o.at.Topic != positionsTopic {
			t.Partitions = append(t.Partitions, o.at)
		}
		found[id] = t
	}
	return found, nil
}

// ended are the transactional ids without a transaction, by producer id.
func (c *cluster) ended(ctx context.Context) (map[int64]string, error) {
	var mu sync.Mutex
	ids := map[int64]string{}
	states := []string{sarama.TransactionStateEmpty, sarama.TransactionStateCompleteCommit, sarama.TransactionStateCompleteAbort}
	err := c.everywhere(ctx, func(b *sarama.Broker) error {
		res, err := b.ListTransactions(&sarama.ListTransactionsRequest{Version: 1, StateFilters: states, DurationFilter: -1})
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, t := range res.TransactionStates {
			ids[t.ProducerID] = t.TransactionalID
		}
		return classify(res.ErrorCode)
	})
	return ids, err
}

// groupIn is a group whose positions are kept in partition n of the positions'
// topic: one that exists, because those are whom this user may have been given
// permissions for, or else any.
func (l *Log) groupIn(ctx context.Context, n int32) (string, error) {
	topics, err := l.cluster.metadata(ctx, positionsTopic)
	if err != nil {
		return "", err
	}
	if len(topics) == 0 || len(topics[0].Partitions) == 0 {
		return "", errors.New("the topic of the groups' positions is not there")
	}
	all := int32(len(topics[0].Partitions))
	groups, err := l.Groups(ctx)
	if err != nil {
		return "", err
	}
	for _, g := range groups {
		if positionsIn(g, all) == n {
			return g, nil
		}
	}
	for i := 0; ; i++ {
		if g := fmt.Sprint("tagtide-", i); positionsIn(g, all) == n {
			return g, nil
		}
	}
}

// positionsIn is the partition that keeps a group's positions, as brokers work
// it out: the absolute value of Java's hash of the name. (Names that are not
// ASCII are hashed otherwise there; one found in their stead serves as well.)
func positionsIn(group string, partitions int32) int32 {
	var h int32
	for _, r := range group {
		h = 31*h + r
	}
	return max(h, -h, 0) % partitions
}
