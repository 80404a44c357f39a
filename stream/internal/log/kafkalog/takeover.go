package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// told are the timeouts that tell an outcome: a little below ten minutes, and
// nobody's choice. A broker that takes none as long (transaction.max.timeout.ms,
// 15 minutes by default) lets nothing be ended in this way.
var told = map[bool]time.Duration{true: 599_993 * time.Millisecond, false: 599_983 * time.Millisecond}

// outcomeTold is the outcome that a timeout tells, if it does.
func outcomeTold(t *sarama.TransactionState) (commit, is bool) {
	for commit, timeout := range told {
		if t.TransactionTimeout == timeout {
			return commit, true
		}
	}
	return false, false
}

// settle is the time between telling an outcome and acting on it: who asked
// before it was told has either acted by then, or asks again.
const settle = time.Second

// takeOver makes the producer the one of its transactional id, and ends what
// the one before left open, also where that hangs (see hanging.go). It goes on
// until that is done, or ctx ends.
//
// InitProducerId makes the coordinator forget how the last transaction ended.
// So that is asked first; and where something hangs, it is ended in the same
// way by a transaction without records of our own: the brokers' marker ends
// whatever the producer id has open in a partition. Each step is one of:
//
//	the coordinator says          hangs   step
//	nothing                         –     InitProducerId, done
//	prepared to end                       wait
//	ongoing                               InitProducerId, which aborts it
//	empty, committed, aborted       no    InitProducerId, done
//	committed, aborted             yes    InitProducerId that tells the outcome
//	empty, an outcome is told      yes    AddPartitionsToTxn, AddOffsetsToTxn, EndTxn(outcome)
//	ongoing, an outcome is told           EndTxn(outcome)
//	empty                          yes    an error: nobody knows the outcome
//
// An outcome is told by the transaction's timeout (see told), which the
// coordinator keeps: who is killed between two steps leaves it to the next
// one. Whoever comes at the same time takes the same steps, with the same
// producer id and epoch.
func (p *producer) takeOver(ctx context.Context) error {
	var pause pause
	for {
		done, err := p.step(ctx)
		switch {
		case done:
			return nil
		case errors.Is(err, log.ErrInDoubt), errors.Is(err, log.ErrFenced):
			// No transaction of ours can be in doubt yet, and who fenced us at
			// this very moment is one like us.
			return fmt.Errorf("%w: %v", log.ErrUnavailable, err)
		case err == nil:
			err = fmt.Errorf("%w: the last transaction is being ended: %w", log.ErrUnavailable, sarama.ErrConcurrentTransactions)
		case !retriable(err):
			return err
		}
		if pause.wait(ctx, err) != nil {
			return err
		}
	}
}

// step takes the step that is due; done when the id is ours.
func (p *producer) step(ctx context.Context) (done bool, err error) {
	was, err := p.log.cluster.lastTransaction(ctx, p.id)
	if err != nil {
		return false, err
	}
	if was == nil {
		return p.init(ctx, p.log.o.TransactionTimeout)
	}
	commit, isTold := outcomeTold(was)
	switch was.TransactionState {
	case sarama.TransactionStatePrepareCommit, sarama.TransactionStatePrepareAbort, sarama.TransactionStatePrepareEpochFence:
		return false, nil
	case sarama.TransactionStateOngoing:
		if isTold {
			return false, p.endAs(ctx, was, nil, commit)
		}
		return p.init(ctx, p.log.o.TransactionTimeout)
	}
	open, err := p.log.cluster.openings(ctx, func(pid int64) bool { return pid == was.ProducerID })
	switch {
	case err != nil:
		return false, err
	case len(open) == 0:
		return p.init(ctx, p.log.o.TransactionTimeout)
	case isTold && was.TransactionState == sarama.TransactionStateEmpty:
		return false, p.endAs(ctx, was, open, commit)
	case isTold:
	default:
		if commit, err = outcomeOf(was, open); err != nil {
			return false, err
		}
	}
	return false, p.tell(ctx, was, open, commit)
}

// outcomeOf is how a transaction ended that hangs.
//
// The open one's producer used one epoch, and the coordinator's must be still
// that; or, of an abort, one less: the coordinator counts it up where it aborts
// by itself, for the timeout or a successor. Epochs do not tell transactions of
// one incarnation apart. A broker that is being stopped may have skipped the
// markers of a committed one, and taken up the next, which is then aborted: the
// abort ends both, and so it does here, so that what was undone in one place
// is undone in all that hang.
func outcomeOf(was *sarama.TransactionState, open []opening) (commit bool, err error) {
	epoch := int32(was.ProducerEpoch)
	known := true
	for _, o := range open {
		switch was.TransactionState {
		case sarama.TransactionStateCompleteCommit:
			known = known && o.epoch == epoch
		case sarama.TransactionStateCompleteAbort:
			known = known && (o.epoch == epoch || o.epoch == epoch-1)
		default:
			known = false
		}
	}
	if known {
		return was.TransactionState == sarama.TransactionStateCompleteCommit, nil
	}
	return false, fmt.Errorf("a transaction of producer id %d hangs in %s, and its coordinator (%s, epoch %d) does not know any more whether it was committed: "+
		"look at its records, then end it with kafka-transactions.sh abort, or by deleting the records before its end",
		was.ProducerID, places(open), was.TransactionState, was.ProducerEpoch)
}

func places(open []opening) string {
	var all []string
	for _, o := range open {
		all = append(all, fmt.Sprintf("%s/%d from %d on (epoch %d)", o.at.Topic, o.at.Number, o.start, o.epoch))
	}
	return strings.Join(all, ", ")
}

// tell makes the coordinator remember the outcome until it has come about.
func (p *producer) tell(ctx context.Context, was *sarama.TransactionState, open []opening, commit bool) error {
	now, err := p.log.cluster.lastTransaction(ctx, p.id)
	if err != nil {
		return err
	}
	if now == nil || now.TransactionState != was.TransactionState || now.ProducerEpoch != was.ProducerEpoch ||
		now.ProducerID != was.ProducerID || now.TransactionStartTime != was.TransactionStartTime {
		return nil // somebody writes, or heals
	}
	p.log.o.Logger.Warn("a transaction hangs: brokers have ended it without telling all partitions; it is ended there as it was",
		"id", p.id, "state", was.TransactionState, "producer", was.ProducerID, "epoch", was.ProducerEpoch, "open", places(open))
	done, err := p.init(ctx, told[commit])
	if !done {
		return err
	}
	if p.pid != was.ProducerID {
		return fmt.Errorf("a transaction of producer id %d hangs in %s, and the coordinator gave the id another producer id, %d: "+
			"end it with kafka-transactions.sh abort, or by deleting the records before its end", was.ProducerID, places(open), p.pid)
	}
	t := time.NewTimer(settle)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// endAs ends what hangs with the outcome that was told: in the places given,
// and in those that the ongoing transaction has already.
func (p *producer) endAs(ctx context.Context, was *sarama.TransactionState, open []opening, outcome bool) error {
	p.pid, p.epoch = was.ProducerID, was.ProducerEpoch
	c := &commit{producer: p, txn: &log.Txn{}, queues: map[record.Partition][]*out{}}
	for _, o := range open {
		if o.at.Topic != positionsTopic {
			c.queues[o.at] = nil
			continue
		}
		group, err := p.log.groupIn(ctx, o.at.Number)
		if err != nil {
			return fmt.Errorf("group of %s/%d: %w", o.at.Topic, o.at.Number, err)
		}
		c.txn = &log.Txn{Claim: log.GroupClaim{Group: group}}
		if err := c.toCoordinator(ctx, c.addOffsets); err != nil {
			return fmt.Errorf("add positions of group %q: %w", group, err)
		}
	}
	if len(c.queues) > 0 {
		if err := c.toCoordinator(ctx, c.addPartitions); err != nil {
			return fmt.Errorf("add partitions: %w", err)
		}
	}
	if err := c.toCoordinator(ctx, c.end(outcome)); err != nil {
		return fmt.Errorf("end transaction: %w", err)
	}
	return nil
}
