package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// A bench has a log over a wire, another one over none, and two partitions.
type bench struct {
	*testing.T
	log, sound *Log
	wire       *wire
	at         []record.Partition
	prefix     string
}

func newBench(t *testing.T, brokers []string, o Options) *bench {
	b := &bench{T: t, wire: &wire{}, prefix: freshPrefix()}
	o.Brokers = brokers
	b.sound = open(t, o)
	o.Dial = b.wire.dial
	b.log = open(t, o)
	b.must(b.sound.CreateTopic(t.Context(), log.Topic{Name: b.prefix + "t", Partitions: 2}))
	for n := range int32(2) {
		b.at = append(b.at, record.Partition{Topic: b.prefix + "t", Number: n})
	}
	return b
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) producer(l *Log) log.Producer {
	b.Helper()
	p, err := l.Producer(b.Context(), b.prefix+"x")
	b.must(err)
	return p
}

// txn writes a value to both partitions and moves the position of the first.
func (b *bench) txn(value string, next int64) *log.Txn {
	t := &log.Txn{
		Positions: map[record.Partition]int64{b.at[0]: next},
		Claim:     log.GroupClaim{Group: b.prefix + "g", Generation: -1},
	}
	for _, at := range b.at {
		records := &record.Builder{}
		records.Append(time.Now().UnixMilli(), []byte("k"), []byte(value)) // older ones a Kafka would retire
		t.Writes = append(t.Writes, log.Write{Partition: at, Records: records})
	}
	return t
}

// committed are the values in a partition, in order.
func (b *bench) committed(at record.Partition) (values []string) {
	b.Helper()
	ends := b.quiet(at)
	if ends.Stable == 0 {
		return nil
	}
	r := b.sound.NewReader(log.ReaderOptions{})
	defer r.Close()
	r.Seek(at, 0)
	for next := int64(0); next < ends.Stable; {
		f := await(b.T, r)
		b.must(f.Err)
		for _, batch := range f.Batches {
			for rs := batch.Reader(); rs.Next(); {
				values = append(values, string(rs.Record().Value))
			}
		}
		next = f.Next
	}
	return values
}

// quiet waits until no transaction is open in a partition. Its marker comes a
// little after the answer.
func (b *bench) quiet(at record.Partition) log.Range {
	b.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; {
		ends, err := b.sound.Ends(b.Context(), at)
		b.must(err)
		if ends[at].Stable == ends[at].End {
			return ends[at]
		}
		if time.Now().After(deadline) {
			b.Fatalf("%v: a transaction is open: %+v", at, ends[at])
		}
	}
}

func (b *bench) wants(want ...string) {
	b.Helper()
	for _, at := range b.at {
		if got := b.committed(at); !slices.Equal(got, want) {
			b.Errorf("%v holds %v, want %v", at, got, want)
		}
	}
}

func (b *bench) position() int64 {
	b.Helper()
	for {
		got, err := b.sound.Positions(b.Context(), b.prefix+"g", b.at[0])
		if errors.Is(err, log.ErrUnstable) {
			continue
		}
		b.must(err)
		return got[b.at[0]]
	}
}

// The calls of a transaction, by their names.
var calls = map[string]int16{
	"AddPartitionsToTxn": keyAddPartitions, "Produce": keyProduce, "AddOffsetsToTxn": keyAddOffsets,
	"TxnOffsetCommit": keyTxnOffsetCommit, "EndTxn": keyEndTxn,
}

func TestALostAnswerIsInDoubt(t *testing.T) {
	lostAnswers(t, fake(t, kfake.NumBrokers(3)))
}

// lostAnswers cuts the connection at each call of a transaction: the outcome
// is in doubt and never tried again; the next producer decides it, positions
// tell, and in the end everything is there once.
func lostAnswers(t *testing.T, brokers []string) {
	for _, call := range slices.Sorted(maps.Keys(calls)) {
		for _, sent := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/applied=%v", call, sent), func(t *testing.T) {
				b := newBench(t, brokers, Options{})
				p := b.producer(b.log)
				_, err := p.Commit(t.Context(), b.txn("1", 1))
				b.must(err)
				lost := b.wire.lose(calls[call], sent)
				if _, err := p.Commit(t.Context(), b.txn("2", 2)); !errors.Is(err, log.ErrInDoubt) {
					t.Fatalf("got %v, want in doubt", err)
				}
				happened(t, lost)
				if _, err := p.Commit(t.Context(), b.txn("2", 2)); !errors.Is(err, log.ErrFenced) {
					t.Fatalf("a producer in doubt goes on: %v", err)
				}
				p = b.producer(b.log)
				done := sent && call == "EndTxn"
				if next := b.position(); done != (next == 2) {
					t.Fatalf("position %d, committed: %v", next, done)
				}
				if !done {
					_, err = p.Commit(t.Context(), b.txn("2", 2))
					b.must(err)
				}
				_, err = p.Commit(t.Context(), b.txn("3", 3))
				b.must(err)
				b.wants("1", "2", "3")
				if b.position() != 3 {
					t.Error("position is not 3")
				}
			})
		}
	}
}

func TestAProducerSurvivesALostAnswer(t *testing.T) {
	b := newBench(t, fake(t, kfake.NumBrokers(1)), Options{})
	for _, sent := range []bool{true, false} {
		// It is not of a transaction: whether the epoch rose once or twice is all one.
		lost := b.wire.lose(keyInitProducerID, sent)
		if _, err := b.log.Producer(t.Context(), b.prefix+"x"); !errors.Is(err, log.ErrUnavailable) {
			t.Fatalf("got %v, want unavailable", err)
		}
		happened(t, lost)
		_, err := b.producer(b.log).Commit(t.Context(), b.txn(fmt.Sprint(sent), 1))
		b.must(err)
	}
	b.wants("true", "false")
}

// A context that ends while a call waits leaves the transaction in doubt, at once.
func TestAContextThatEndsDuringACallIsInDoubt(t *testing.T) {
	b := newBench(t, fake(t, kfake.NumBrokers(1)), Options{})
	p := b.producer(b.log)
	b.must(ignoreReceipt(p.Commit(t.Context(), b.txn("1", 1))))
	b.wire.stop()
	defer b.wire.heal()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.Commit(ctx, b.txn("2", 2)); !errors.Is(err, log.ErrInDoubt) {
		t.Errorf("got %v, want in doubt", err)
	}
	b.producer(b.sound)
	b.wants("1")
}

func ignoreReceipt(_ log.Receipt, err error) error { return err }

// Errors that brokers answered are tried again, under the same sequences, as
// long as they may mend.
func TestAnsweredErrorsAreTriedAgain(t *testing.T) {
	for call, errs := range map[kmsg.Key][]*kerr.Error{
		kmsg.AddPartitionsToTxn: {kerr.ConcurrentTransactions, kerr.NotCoordinator, kerr.CoordinatorLoadInProgress},
		kmsg.AddOffsetsToTxn:    {kerr.ConcurrentTransactions, kerr.CoordinatorNotAvailable},
		kmsg.TxnOffsetCommit:    {kerr.NotCoordinator, kerr.CoordinatorLoadInProgress},
		kmsg.Produce: {
			kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend,
			kerr.RequestTimedOut, kerr.UnknownTopicOrPartition,
		},
		kmsg.EndTxn:         {kerr.ConcurrentTransactions, kerr.NotCoordinator, kerr.CoordinatorNotAvailable},
		kmsg.InitProducerID: {kerr.ConcurrentTransactions, kerr.NotCoordinator},
	} {
		for _, e := range errs {
			t.Run(call.Name()+"/"+e.Message, func(t *testing.T) {
				c, err := kfake.NewCluster(kfake.NumBrokers(2))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(c.Close)
				b := newBench(t, c.ListenAddrs(), Options{})
				fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{call}, Err: e, Count: 2})
				p := b.producer(b.log)
				b.must(ignoreReceipt(p.Commit(t.Context(), b.txn("1", 1))))
				b.must(ignoreReceipt(p.Commit(t.Context(), b.txn("2", 2))))
				if fault.Hits() == 0 {
					t.Error("the fault has not happened")
				}
				b.wants("1", "2")
			})
		}
	}
}

// What is final is named in the contract's words, leaves nothing open, and
// nothing committed; where the producer is not dead it goes on.
func TestAnsweredErrorsThatAreFinal(t *testing.T) {
	for _, c := range []struct {
		call kmsg.Key
		err  *kerr.Error
		want error
		says string
	}{
		{kmsg.AddPartitionsToTxn, kerr.InvalidProducerEpoch, log.ErrFenced, ""},
		{kmsg.AddPartitionsToTxn, kerr.TopicAuthorizationFailed, nil, "READ, WRITE"},
		{kmsg.AddPartitionsToTxn, kerr.TransactionalIDAuthorizationFailed, nil, "WRITE and DESCRIBE on the transactional id"},
		{kmsg.Produce, kerr.ProducerFenced, log.ErrFenced, ""},
		{kmsg.Produce, kerr.InvalidTxnState, log.ErrFenced, ""},
		{kmsg.Produce, kerr.OutOfOrderSequenceNumber, log.ErrInDoubt, ""},
		{kmsg.Produce, kerr.InvalidTimestamp, nil, ""},
		{kmsg.AddOffsetsToTxn, kerr.GroupAuthorizationFailed, nil, "on the group"},
		{kmsg.TxnOffsetCommit, kerr.IllegalGeneration, log.ErrGeneration, ""},
		{kmsg.TxnOffsetCommit, kerr.RebalanceInProgress, log.ErrGeneration, ""},
		{kmsg.TxnOffsetCommit, kerr.FencedInstanceID, log.ErrFenced, ""},
		{kmsg.EndTxn, kerr.ProducerFenced, log.ErrFenced, ""},
		{kmsg.EndTxn, kerr.InvalidTxnState, log.ErrFenced, ""},
	} {
		t.Run(c.call.Name()+"/"+c.err.Message, func(t *testing.T) {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			b := newBench(t, cluster.ListenAddrs(), Options{})
			p := b.producer(b.log)
			cluster.Fault(kfake.Fault{Keys: []kmsg.Key{c.call}, Err: c.err})
			_, err = p.Commit(t.Context(), b.txn("1", 1))
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v, want %v %q", err, c.want, c.says)
			}
			if c.want == log.ErrFenced || c.want == log.ErrInDoubt {
				p = b.producer(b.log)
			}
			b.wants()
			b.must(ignoreReceipt(p.Commit(t.Context(), b.txn("2", 2))))
			b.wants("2")
		})
	}
}

// A coordinator that could not say whether it ended the transaction, and then
// says that somebody else took over: nobody knows.
func TestFencedAfterAVagueAnswerIsInDoubt(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	b := newBench(t, cluster.ListenAddrs(), Options{})
	p := b.producer(b.log)
	cluster.Fault(
		kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.CoordinatorNotAvailable},
		kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.ProducerFenced},
	)
	if _, err := p.Commit(t.Context(), b.txn("1", 1)); !errors.Is(err, log.ErrInDoubt) {
		t.Fatalf("got %v, want in doubt", err)
	}
	b.producer(b.log)
	b.wants()
}
