package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// A commit is one transaction on its way.
//
//	coordinator of the id        leaders, coordinator of the group
//
//	AddPartitionsToTxn
//	AddOffsetsToTxn
//	                             Produce ∥ TxnOffsetCommit
//	EndTxn(commit)
//
// What fails before the last step is taken back by EndTxn(abort). Any answer
// that does not come makes the outcome unknown: then nothing is sent any more,
// because a request that is late could end up in the transaction after this
// one (KAFKA-17754). Only what was answered is sent again.
type commit struct {
	producer *producer
	txn      *log.Txn
	// queues are the batches of each partition, in order.
	queues map[record.Partition][]*out
	// vague: the coordinator has answered in a way that leaves open whether
	// it did what was asked: it could not say so in time, or moved meanwhile.
	vague bool
}

// begin encodes a transaction. Nothing is sent yet.
func (p *producer) begin(t *log.Txn) (*commit, error) {
	if t.Claim.Group == "" && len(t.Positions) > 0 {
		return nil, errors.New("positions without a group")
	}
	c := &commit{producer: p, txn: t, queues: map[record.Partition][]*out{}}
	all, err := p.slabs.outs(t.Writes, func(topic string) int {
		if n, ok := p.limits[topic]; ok {
			return n
		}
		return defaultLimit
	})
	if err != nil {
		return nil, err
	}
	next := maps.Clone(p.sequences)
	for i := range all {
		o := &all[i]
		o.batch.Codec = p.codec
		o.batch.ProducerID, o.batch.ProducerEpoch, o.batch.FirstSequence = p.pid, p.epoch, next[o.at]
		next[o.at] = after(next[o.at], len(o.batch.Records))
		c.queues[o.at] = append(c.queues[o.at], o)
	}
	return c, nil
}

// after is the sequence n records later; Kafka's wraps to 0.
func after(sequence int32, n int) int32 { return int32((int64(sequence) + int64(n)) & (1<<31 - 1)) }

// patience is how long a transaction is worked on. It ends well before the
// brokers would end the transaction, so that it can still be aborted.
func (c *commit) patience() time.Duration { return c.producer.log.o.TransactionTimeout * 3 / 4 }

// run makes the transaction.
func (c *commit) run(ctx context.Context) error {
	if len(c.queues) == 0 && c.txn.Claim.Group == "" {
		return ctx.Err()
	}
	bounded, cancel := context.WithTimeout(ctx, c.patience())
	defer cancel()
	defer context.AfterFunc(c.producer.log.life, cancel)()
	err := c.steps(bounded)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil && !errors.Is(err, log.ErrInDoubt) && !retriable(err) {
		err = fmt.Errorf("%w: not done within %v: %w", log.ErrUnavailable, c.patience(), err)
	}
	return err
}

// steps makes the transaction in the time that ctx has.
func (c *commit) steps(ctx context.Context) error {
	if err := c.known(ctx); err != nil {
		return err
	}
	err := c.open(ctx)
	if err == nil {
		err = c.fill(ctx)
	}
	err = worse(err, c.count())
	if err == nil {
		err = c.commit(ctx)
	}
	if err == nil || errors.Is(err, log.ErrInDoubt) || errors.Is(err, log.ErrFenced) {
		return err
	}
	return c.abort(ctx, err)
}

// known checks that all partitions are there, before anything is begun.
func (c *commit) known(ctx context.Context) error {
	for _, p := range c.partitions() {
		if _, err := c.producer.log.cluster.leader(ctx, p); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	for p := range c.txn.Positions {
		if _, err := c.producer.log.cluster.leader(ctx, p); err != nil {
			return fmt.Errorf("position: %w", err)
		}
	}
	return nil
}

// partitions are those that are written to, in order.
func (c *commit) partitions() []record.Partition {
	return slices.SortedFunc(maps.Keys(c.queues), comparePartitions)
}

// open begins the transaction: the coordinator learns who takes part.
func (c *commit) open(ctx context.Context) error {
	if len(c.queues) > 0 {
		if err := c.toCoordinator(ctx, c.addPartitions); err != nil {
			return fmt.Errorf("add partitions: %w", err)
		}
	}
	// A claim without positions leaves nothing in the transaction, but where
	// there are no writes either, somebody must tell whether we are fenced.
	if len(c.txn.Positions) > 0 || len(c.queues) == 0 {
		if err := c.toCoordinator(ctx, c.addOffsets); err != nil {
			return fmt.Errorf("add positions of group %q: %w", c.txn.Claim.Group, err)
		}
	}
	return nil
}

// fill writes records and positions, beside each other. When one of them
// fails the other is not tried again, but what is under way is waited for.
func (c *commit) fill(ctx context.Context) error {
	going, stop := context.WithCancel(ctx)
	defer stop()
	var wrote error
	var writing sync.WaitGroup
	writing.Go(func() {
		if wrote = c.produce(ctx, going); wrote != nil {
			stop()
		}
	})
	err := c.position(ctx, going)
	if err != nil {
		stop()
	}
	writing.Wait()
	return worse(wrote, err)
}

// worse is the error that says less of the outcome: in doubt, then fenced,
// then the first that is not just the end of the other.
func worse(a, b error) error {
	switch {
	case a == nil || errors.Is(b, log.ErrInDoubt):
		if b == nil {
			return a
		}
		return b
	case b == nil || errors.Is(a, log.ErrInDoubt) || errors.Is(a, log.ErrFenced):
		return a
	case errors.Is(b, log.ErrFenced) || errors.Is(a, log.ErrUnavailable) || errors.Is(a, context.Canceled):
		return b
	}
	return a
}

// commit ends the transaction, for good. A coordinator that has moved may have
// ended it before it told: then it is asked again, which is answered as if it
// were the first time. But if somebody else took over meanwhile, nobody can
// tell any more.
func (c *commit) commit(ctx context.Context) error {
	c.vague = false
	err := c.toCoordinator(ctx, c.end(true))
	if err != nil && c.vague {
		return fmt.Errorf("end transaction: %w: %w", log.ErrInDoubt, err)
	}
	if err != nil {
		return fmt.Errorf("end transaction: %w", err)
	}
	return nil
}

// abort takes back what was begun, because of an error, also when ctx has
// ended. If it cannot, the transaction stays open: that is in doubt.
func (c *commit) abort(ctx context.Context, because error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.producer.log.o.TransactionTimeout/4)
	defer cancel()
	defer context.AfterFunc(c.producer.log.life, cancel)()
	err := c.toCoordinator(ctx, c.end(false))
	var k sarama.KError
	switch {
	case err == nil:
		return because
	case errors.As(err, &k) && k == sarama.ErrInvalidTxnState:
		return because // there was nothing to abort
	case errors.Is(err, log.ErrFenced):
		return fmt.Errorf("abort: %w, after: %v", err, because)
	}
	return fmt.Errorf("%w: cannot abort: %v, after: %v", log.ErrInDoubt, err, because)
}

// count takes over the sequences of what was accepted, whatever becomes of
// the transaction. They are not known where a batch was accepted after one
// that was not.
func (c *commit) count() error {
	for p, queue := range c.queues {
		done := 0
		for done < len(queue) && queue[done].done {
			done++
		}
		if slices.ContainsFunc(queue[done:], func(o *out) bool { return o.done }) {
			return fmt.Errorf("%w: %s/%d took a batch and not the one before", log.ErrInDoubt, p.Topic, p.Number)
		}
		if done > 0 {
			last := queue[done-1]
			c.producer.sequences[p] = after(last.batch.FirstSequence, len(last.batch.Records))
		}
	}
	return nil
}

// receipt says where the writes went. A write without records went nowhere.
func (c *commit) receipt() log.Receipt {
	nexts := make([]int64, len(c.txn.Writes))
	for _, queue := range c.queues {
		for _, o := range queue {
			for _, e := range o.ends {
				nexts[e.write] = o.next - int64(len(o.batch.Records)-e.records)
			}
		}
	}
	return log.Receipt{Next: nexts}
}

func comparePartitions(a, b record.Partition) int {
	if a.Topic != b.Topic {
		if a.Topic < b.Topic {
			return -1
		}
		return 1
	}
	return int(a.Number) - int(b.Number)
}
