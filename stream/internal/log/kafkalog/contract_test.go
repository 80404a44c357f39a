package kafkalog

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"go.uber.org/goleak"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/log/logtest"
	"github.com/tagtide/tagtide/stream/internal/record"
)

func TestMain(m *testing.M) {
	// sarama's metrics have a clock of their own, one for the process.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

func TestContractOnOneBroker(t *testing.T) { contract(t, 1) }

func TestContractOnThreeBrokers(t *testing.T) { contract(t, 3) }

// contract runs the conformance suite on kfake, a new one for each test.
func contract(t *testing.T, brokers int) {
	logtest.Run(t, func(t *testing.T) logtest.Harness {
		h := harness(t, fake(t, kfake.NumBrokers(brokers)), "")
		h.Deviates = kfakeDeviates
		return h
	})
}

// kfakeDeviates are the properties that kfake does not have and a Kafka does,
// and why. TestContractOnKafka holds them, as all the others, on the real one.
var kfakeDeviates = map[string]string{
	"claims that are kept go to the next life of their instance, and nobody else moves": "kfake rebalances when a static member comes back that led, or that says something else than before",
	"an open transaction survives a crash open":                                         "kfake forgets that positions are about to change in a group that has committed none yet",
}

// fake runs a kfake for the duration of the test, and returns its addresses.
func fake(t testing.TB, opts ...kfake.Opt) []string {
	t.Helper()
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.ListenAddrs()
}

// harness is a log on a cluster, for the suite.
func harness(t *testing.T, brokers []string, prefix string) logtest.Harness {
	l := open(t, Options{Brokers: brokers})
	return logtest.Harness{
		Log: l, Prefix: prefix,
		Kill: func(t *testing.T) log.Log {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, Options{Brokers: brokers})
		},
		Abandon: func(t *testing.T, id string, x *log.Txn) { abandon(t, brokers, id, x) },
	}
}

// open opens a log for the duration of the test.
func open(t testing.TB, o Options) *Log {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(&lines{t: t}, nil))
	}
	l, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// lines writes log lines into the test's.
type lines struct{ t testing.TB }

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// names that no other test of this run has.
var names atomic.Int64

func freshPrefix() string { return fmt.Sprintf("t%d-%d-", time.Now().UnixMilli(), names.Add(1)) }

// abandon makes a transaction by another client, up to its end.
func abandon(t *testing.T, brokers []string, id string, x *log.Txn) {
	t.Helper()
	ctx := context.Background()
	c, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.TransactionalID(id), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MaxVersions(kversion.V3_8_0())) // topics by name
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for _, w := range x.Writes {
		for _, b := range w.Records.Seal(0, record.NoProducer) {
			for r := b.Reader(); r.Next(); {
				out := &kgo.Record{
					Topic: w.Partition.Topic, Partition: w.Partition.Number,
					Key: r.Record().Key, Value: r.Record().Value, Timestamp: time.UnixMilli(r.Record().Timestamp),
				}
				if err := c.ProduceSync(ctx, out).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if len(x.Positions) > 0 {
		abandonPositions(t, c, id, x)
	}
}

// abandonPositions adds positions to the client's transaction.
func abandonPositions(t *testing.T, c *kgo.Client, id string, x *log.Txn) {
	t.Helper()
	ctx := context.Background()
	producer, epoch, err := c.ProducerID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = id, producer, epoch, x.Claim.Group
	if res, err := add.RequestWith(ctx, c); err != nil || res.ErrorCode != 0 {
		t.Fatal(err, res)
	}
	commit := kmsg.NewPtrTxnOffsetCommitRequest()
	commit.TransactionalID, commit.ProducerID, commit.ProducerEpoch, commit.Group = id, producer, epoch, x.Claim.Group
	commit.Generation = -1
	for p, next := range x.Positions {
		topic := kmsg.NewTxnOffsetCommitRequestTopic()
		topic.Topic = p.Topic
		part := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		part.Partition, part.Offset = p.Number, next
		topic.Partitions = append(topic.Partitions, part)
		commit.Topics = append(commit.Topics, topic)
	}
	res, err := commit.RequestWith(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range res.Topics {
		for _, p := range topic.Partitions {
			if p.ErrorCode != 0 {
				t.Fatalf("abandon positions: %s/%d: error %d", topic.Topic, p.Partition, p.ErrorCode)
			}
		}
	}
}
