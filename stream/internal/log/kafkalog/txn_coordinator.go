package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// toCoordinator makes a call to the coordinator of the transactional id.
func (c *commit) toCoordinator(ctx context.Context, rpc func(*sarama.Broker) error) error {
	return c.producer.ask(ctx, ctx, transactionCoordinator, c.producer.id, func(b *sarama.Broker) error {
		err := rpc(b)
		c.vague = c.vague || elsewhere(err)
		return err
	})
}

// ask makes a call to a coordinator, and again for as long as going goes on
// where that was not sent or was refused for now. The call itself is bounded
// by ctx: ending it leaves it in doubt.
func (p *producer) ask(ctx, going context.Context, kind sarama.CoordinatorType, key string, rpc func(*sarama.Broker) error) error {
	at := role{job: transactions}
	if kind == groupCoordinator {
		at.job = positions
	}
	var pause pause
	for {
		var err error
		if at.broker, err = p.log.cluster.coordinator(going, kind, key); err == nil {
			err = verdict(p.links.call(ctx, at, rpc))
			if elsewhere(err) || isUnsent(err) {
				p.log.cluster.coordinatorMoved(kind, key)
			}
		}
		if err == nil || !retriable(err) {
			return err
		}
		if pause.wait(going, err) != nil {
			return err
		}
	}
}

// verdict says what the outcome of a transaction's call means.
func verdict(err error) error {
	var k sarama.KError
	if err == nil || isUnsent(err) || errors.Is(err, log.ErrInDoubt) || !errors.As(err, &k) {
		return err
	}
	switch k {
	case sarama.ErrInvalidTxnState:
		// The coordinator has ended the transaction, and we did not ask for it.
		return fmt.Errorf("%w: %w", log.ErrFenced, k)
	case sarama.ErrGroupIDNotFound:
		return fmt.Errorf("%w: %w", log.ErrGeneration, k)
	case sarama.ErrOutOfOrderSequenceNumber, sarama.ErrDuplicateSequenceNumber, sarama.ErrUnknownProducerID:
		// Broker and producer disagree about what was written.
		return fmt.Errorf("%w: %w", log.ErrInDoubt, k)
	}
	return classify(k)
}

// elsewhere tells whether a coordinator answered that it is none, any more or
// yet. It may have done before what it was asked to.
func elsewhere(err error) bool {
	var k sarama.KError
	return errors.As(err, &k) && (k == sarama.ErrNotCoordinatorForConsumer || k == sarama.ErrConsumerCoordinatorNotAvailable)
}

func isUnsent(err error) bool {
	var u *unsent
	return errors.As(err, &u)
}

// A pause is a backoff that is short while a transaction waits for the end of
// the one before, which nearly always takes a millisecond or two.
type pause struct {
	backoff
	short int
}

const shortest = time.Millisecond

// wait waits because of an error, or for the end of ctx.
func (p *pause) wait(ctx context.Context, because error) error {
	const shorts = 4
	if !errors.Is(because, sarama.ErrConcurrentTransactions) || p.short >= shorts {
		return p.backoff.wait(ctx)
	}
	t := time.NewTimer(shortest << p.short)
	defer t.Stop()
	p.short++
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (c *commit) addPartitions(b *sarama.Broker) error {
	p := c.producer
	r := &sarama.AddPartitionsToTxnRequest{
		Version: 3, TransactionalID: p.id, ProducerID: p.pid, ProducerEpoch: p.epoch, TopicPartitions: map[string][]int32{},
	}
	for _, at := range c.partitions() {
		r.TopicPartitions[at.Topic] = append(r.TopicPartitions[at.Topic], at.Number)
	}
	got, err := b.AddPartitionsToTxn(r)
	if err != nil {
		return err
	}
	return partitionErrors(got.Errors, c.partitions())
}

// partitionErrors is the first error that says something, with its partition.
// A partition without an answer is a lost answer.
func partitionErrors(got map[string][]*sarama.PartitionError, want []record.Partition) error {
	var first error
	answered := 0
	for topic, partitions := range got {
		for _, p := range partitions {
			answered++
			vague := first == nil || errors.Is(first, sarama.ErrOperationNotAttempted)
			if p.Err != sarama.ErrNoError && vague {
				first = fmt.Errorf("%s/%d: %w", topic, p.Partition, p.Err)
			}
		}
	}
	if first == nil && answered < len(want) {
		return fmt.Errorf("%w: answer for %d partitions of %d", log.ErrInDoubt, answered, len(want))
	}
	return first
}

func (c *commit) addOffsets(b *sarama.Broker) error {
	p := c.producer
	r, err := b.AddOffsetsToTxn(&sarama.AddOffsetsToTxnRequest{
		Version: 3, TransactionalID: p.id, ProducerID: p.pid, ProducerEpoch: p.epoch, GroupID: c.txn.Claim.Group,
	})
	if err != nil {
		return err
	}
	return answer(r.Err)
}

func (c *commit) end(commit bool) func(*sarama.Broker) error {
	p := c.producer
	return func(b *sarama.Broker) error {
		r, err := b.EndTxn(&sarama.EndTxnRequest{
			Version: 3, TransactionalID: p.id, ProducerID: p.pid, ProducerEpoch: p.epoch, TransactionResult: commit,
		})
		if err != nil {
			return err
		}
		return answer(r.Err)
	}
}

// toolMember is the member id of those that are none. Brokers check no claim
// in a transaction that names neither member nor generation; with a member
// that does not exist they refuse it unless the group is empty.
const toolMember = "none"

// position writes the group's positions into the transaction, which checks
// the claim; or only checks the claim.
func (c *commit) position(ctx, going context.Context) error {
	claim := c.txn.Claim
	if claim.Group == "" {
		return nil
	}
	rpc := c.checkMember
	switch tool := claim.Member == ""; {
	case tool && len(c.txn.Positions) > 0:
		rpc = c.commitToolOffsets
	case tool:
		rpc = c.checkEmpty
	case len(c.txn.Positions) > 0:
		rpc = func(b *sarama.Broker) error { return c.commitOffsets(b, claim.Member) }
	}
	err := c.producer.ask(ctx, going, groupCoordinator, claim.Group, rpc)
	if err != nil {
		return fmt.Errorf("positions of group %q, member %q, generation %d: %w", claim.Group, claim.Member, claim.Generation, err)
	}
	return nil
}

// commitToolOffsets commits the positions of a tool, if the group is empty. A
// broker that takes no unknown member in an empty group (kfake) is asked
// whether it is empty, and then without a member.
func (c *commit) commitToolOffsets(b *sarama.Broker) error {
	err := c.commitOffsets(b, toolMember)
	if !errors.Is(err, sarama.ErrUnknownMemberId) || c.checkEmpty(b) != nil {
		return err
	}
	return c.commitOffsets(b, "")
}

// commitOffsets tells no instance id: claims have none. The member id, which
// no two incarnations of an instance share, is checked as strictly.
func (c *commit) commitOffsets(b *sarama.Broker, member string) error {
	p, claim := c.producer, c.txn.Claim
	r := &sarama.TxnOffsetCommitRequest{
		Version: 3, TransactionalID: p.id, GroupID: claim.Group, ProducerID: p.pid, ProducerEpoch: p.epoch,
		GenerationID: claim.Generation, MemberID: member,
		Topics: make(map[string][]*sarama.PartitionOffsetMetadata),
	}
	var want []record.Partition
	for at, next := range c.txn.Positions {
		want = append(want, at)
		r.Topics[at.Topic] = append(r.Topics[at.Topic], &sarama.PartitionOffsetMetadata{Partition: at.Number, Offset: next, LeaderEpoch: -1})
	}
	got, err := b.TxnOffsetCommit(r)
	if err != nil {
		return err
	}
	return partitionErrors(got.Topics, want)
}

// checkMember checks a claim that comes without positions. Brokers check none
// then with TxnOffsetCommit, but with Heartbeat they do.
func (c *commit) checkMember(b *sarama.Broker) error {
	claim := c.txn.Claim
	r, err := b.Heartbeat(&sarama.HeartbeatRequest{
		Version: 4, GroupId: claim.Group, GenerationId: claim.Generation, MemberId: claim.Member,
	})
	if err != nil {
		return err
	}
	if r.Err == sarama.ErrRebalanceInProgress {
		return nil // the next generation is being made, this one is still current
	}
	return answer(r.Err)
}

// checkEmpty checks the claim of a tool that comes without positions.
func (c *commit) checkEmpty(b *sarama.Broker) error {
	r, err := b.DescribeGroups(&sarama.DescribeGroupsRequest{Version: 5, Groups: []string{c.txn.Claim.Group}})
	if err != nil {
		return err
	}
	for _, g := range r.Groups {
		if g.Err != sarama.ErrNoError && g.Err != sarama.ErrGroupIDNotFound {
			return answer(g.Err)
		}
		if len(g.Members) > 0 {
			return sarama.ErrUnknownMemberId
		}
	}
	return nil
}
