package stream_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
)

// newKafkaBed is a bed on a Kafka in memory, with topics that others have made,
// of two partitions, which take no record of 100,000 bytes.
func newKafkaBed(t *testing.T, topics ...string) bed {
	return kafkaBed(t, kafkaInMemory(t, kfake.SeedTopics(2, topics...), kfake.BrokerConfigs(map[string]string{"message.max.bytes": "100000"})))
}

func kafkaInMemory(t *testing.T, o ...kfake.Opt) (brokers []string) {
	c, err := kfake.NewCluster(append(o, kfake.NumBrokers(1))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.ListenAddrs()
}

func kafkaBed(t *testing.T, brokers []string) bed {
	b := bed{t, nil}
	var leave func()
	b.log, leave = b.connect(brokers)
	t.Cleanup(leave)
	return b
}

// connect opens a log of its own on a Kafka.
func (b bed) connect(brokers []string) (l *stream.Log, end func()) {
	b.Helper()
	l, err := stream.OpenKafka(context.Background(), stream.KafkaOptions{Brokers: brokers, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	return l, func() {
		if err := l.Close(); err != nil {
			b.Error(err)
		}
	}
}

// copying is a group that copies what it reads, and counts what became of it.
func copying() *stream.GroupGraph {
	fates := stream.Persist(codec.Int64)
	count := func(ctx stream.Context, fate string) error {
		key := fate + " " + ctx.Key()
		n, _, err := fates.Get(ctx, key)
		return errors.Join(err, fates.Set(ctx, key, n+1))
	}
	out := stream.Output("out", codec.String)
	step := func(ctx stream.Context, v string) error {
		return errors.Join(count(ctx, "copied"), out.Emit(ctx, ctx.Key(), v))
	}
	in := stream.Input("in", codec.String, step, fates).
		OnDead(func(ctx stream.Context, _ []byte) error { return count(ctx, "dead") }).
		OnSkip(func(ctx stream.Context, _ []byte) error { return count(ctx, "skipped") })
	return stream.DefineGroup("g", in, out, fates)
}

// emitSome emits 40 values, of which every tenth is too large for the bed's topics.
func (b bed) emitSome() {
	var pairs []string
	for i := range 40 {
		value := fmt.Sprint(i)
		if i%10 == 5 {
			value = strings.Repeat("x", 120_000+i)
		}
		pairs = append(pairs, fmt.Sprintf("k%d=%s", i, value))
	}
	b.emit("in", pairs...)
}

// A record that its topic does not take, though we would, fails the step that
// wrote it and no other; so does a dead letter, which then goes without its value.
func TestWhatATopicDoesNotTakeIsABadRecord(t *testing.T) {
	for policy, fate := range map[stream.OnFailure]string{stream.DeadLetterFailed: "dead", stream.SkipFailed: "skipped"} {
		b := newKafkaBed(t, "out", "g-dead")
		g := copying()
		b.emitSome()
		_, stop := b.start(g, stream.ProcessorOptions{OnFailure: policy, Logger: slog.New(slog.DiscardHandler)})
		b.handled(g)
		stop()
		fates, out, letters := map[string]string{}, map[string]string{}, 0
		for i := range 40 {
			key := fmt.Sprint("k", i)
			if i%10 == 5 {
				fates[fate+" "+key] = "1"
			} else {
				fates["copied "+key], out[key] = "1", fmt.Sprint(i)
			}
		}
		b.want("g-table", fates)
		b.want("out", out)
		err := stream.ReadDeadLetters(t.Context(), b.log, g, func(d stream.DeadLetter) error {
			if letters++; len(d.Dropped) != 1 || d.Dropped[0] != "value" || !strings.Contains(d.Error, "max.message.bytes") {
				t.Errorf("a dead letter of %s without %q: %s", d.Key, d.Dropped, d.Error)
			}
			return nil
		})
		if want := map[string]int{"dead": 4}[fate]; err != nil || letters != want {
			t.Errorf("%d dead letters, %v; want %d", letters, err, want)
		}
	}
}

// Where the policy is to stop, it is the record that the group stops with.
func TestWhatATopicDoesNotTakeMayStopTheGroup(t *testing.T) {
	b := newKafkaBed(t, "out")
	b.emitSome()
	p, err := stream.NewProcessor(b.log, copying(), stream.ProcessorOptions{
		OnFailure: stream.StopOnFailed, Partitions: 2, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context()); !errors.Is(err, stream.ErrStepFailed) || !strings.Contains(err.Error(), "in partition") {
		t.Errorf("the group stopped with %v", err)
	}
}
