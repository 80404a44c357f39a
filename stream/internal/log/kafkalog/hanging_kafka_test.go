//go:build kafka

package kafkalog

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// careless makes the brokers take records into partitions that are not part of
// the transaction: their coordinators never mark those. That makes, on purpose,
// what the markers that a broker skips make by chance.
func careless(t *testing.T, brokers []string) *bench {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	verify := func(ctx context.Context, op kmsg.IncrementalAlterConfigOp) {
		no := "false"
		config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		config.Name, config.Value, config.Op = "transaction.partition.verification.enable", &no, op
		resource := kmsg.NewIncrementalAlterConfigsRequestResource() // of all brokers
		resource.ResourceType, resource.Configs = kmsg.ConfigResourceTypeBroker, append(resource.Configs, config)
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		req.Resources = append(req.Resources, resource)
		res, err := req.RequestWith(ctx, client)
		if err == nil {
			err = kerr.ErrorForCode(res.Resources[0].ErrorCode)
		}
		if err != nil {
			t.Errorf("change the brokers' settings: %v", err)
		}
	}
	t.Cleanup(func() {
		verify(context.Background(), kmsg.IncrementalAlterConfigOpDelete)
		client.Close()
	})
	verify(t.Context(), kmsg.IncrementalAlterConfigOpSet)
	return newBench(t, brokers, Options{})
}

// hang makes a transaction that ends with the outcome, but hangs in the second
// partition and in the group's positions.
func (b *bench) hang(outcome bool) *producer {
	b.Helper()
	p := b.producer(b.log).(*producer)
	c, err := p.begin(b.txn("hung", 7))
	b.must(err)
	rest := c.queues[b.at[1]]
	delete(c.queues, b.at[1])
	b.must(c.toCoordinator(b.Context(), c.addPartitions))
	c.queues[b.at[1]] = rest
	b.must(c.fill(b.Context()))
	b.must(c.toCoordinator(b.Context(), c.end(outcome)))
	return p
}

// told is what hangs makes known: that it is listed, and holds readers back.
func (b *bench) told() {
	b.Helper()
	for {
		open, err := b.sound.OpenTransactions(b.Context())
		b.must(err)
		if slices.ContainsFunc(open, func(t log.OpenTransaction) bool {
			return t.TransactionalID == b.prefix+"x" && slices.Equal(t.Partitions, b.at[1:])
		}) {
			break
		}
	}
	ends, err := b.sound.Ends(b.Context(), b.at[1])
	b.must(err)
	if r := ends[b.at[1]]; r.Stable == r.End {
		b.Errorf("nothing hangs: %+v", r)
	}
	if _, err := b.sound.Positions(b.Context(), b.prefix+"g", b.at[0]); !errors.Is(err, log.ErrUnstable) {
		b.Errorf("the positions do not hang: %v", err)
	}
}

// heals takes the id over and sees that all has ended as it should.
func (b *bench) heals(want int64, values ...string) {
	b.Helper()
	b.producer(b.log)
	b.wants(values...)
	if got := b.position(); got != want {
		b.Errorf("position %d, want %d", got, want)
	}
	open, err := b.sound.OpenTransactions(b.Context())
	b.must(err)
	if slices.ContainsFunc(open, func(t log.OpenTransaction) bool { return t.TransactionalID == b.prefix+"x" }) {
		b.Errorf("still open: %+v", open)
	}
}

// A transaction that its coordinator has ended without a marker everywhere is
// ended by whoever takes the id over, as it was; and also when he who began
// that was killed in between.
func TestWhatHangsEndsAsItWasOnKafka(t *testing.T) {
	b := careless(t, realKafka(t))
	before := b.txn("before", 3)
	b.must(ignoreReceipt(b.producer(b.log).Commit(t.Context(), before)))
	values := []string{"before"}
	position := int64(3)
	for _, committed := range []bool{true, false} {
		for killed := range 3 {
			b.hang(committed)
			b.told()
			if committed {
				values, position = append(values, "hung"), 7
			}
			b.healsPartly(killed)
			b.heals(position, values...)
			b.must(ignoreReceipt(b.producer(b.log).Commit(t.Context(), b.txn("after", 11))))
			values, position = append(values, "after"), 11
			b.heals(position, values...)
		}
	}
	b.refuses()
}

// refuses sees that nothing is ended whose outcome nobody knows any more: here
// somebody took the id over who did not look.
func (b *bench) refuses() {
	b.Helper()
	p := b.hang(false)
	b.told()
	for done := false; !done; {
		var err error
		done, err = p.init(b.Context(), p.log.o.TransactionTimeout)
		b.must(err)
	}
	if _, err := b.log.Producer(b.Context(), b.prefix+"x"); err == nil || errors.Is(err, log.ErrUnavailable) {
		b.Errorf("taken over: %v", err)
	}
	b.told()
	was, err := p.log.cluster.lastTransaction(b.Context(), p.id)
	b.must(err)
	open, err := p.log.cluster.openings(b.Context(), func(pid int64) bool { return pid == was.ProducerID })
	b.must(err)
	b.must(p.endAs(b.Context(), was, open, false)) // the brokers are not ours alone
}

// healsPartly is one who takes over and is killed after some steps: before the
// first, when the outcome was told, or in the transaction that ends it.
func (b *bench) healsPartly(steps int) {
	b.Helper()
	p := &producer{
		log: b.log, id: b.prefix + "x", links: newLinks(b.log.cluster),
		sequences: map[record.Partition]int32{}, limits: map[string]int{},
	}
	defer p.links.close()
	if steps > 0 {
		if done, err := p.step(b.Context()); done || err != nil {
			b.Fatalf("told: %v, %v", done, err)
		}
	}
	if steps > 1 {
		c := &commit{producer: p, txn: &log.Txn{}, queues: map[record.Partition][]*out{b.at[1]: nil}}
		b.must(c.toCoordinator(b.Context(), c.addPartitions))
	}
}
