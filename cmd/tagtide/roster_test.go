package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/tagtide/tagtide/internal/roster"
	"github.com/tagtide/tagtide/stream"
)

// A process that died in the middle of a report, and whose transaction nobody
// ends, does not keep the others from being heard.
func TestADeadReporterHoldsNobodyBack(t *testing.T) {
	_, address := broker(t)
	const group = "hashtags"
	mustDo(t, "topics", "create", "--brokers", address, "--group", group)
	topic := stream.TableTopic(group, instancesTable)
	dead, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.TransactionalID(topic+"-process-dead-1"),
		kgo.TransactionTimeout(10*time.Minute), kgo.MaxVersions(kversion.V3_8_0())) // topics by name
	if err != nil {
		t.Fatal(err)
	}
	defer dead.Close()
	if err := dead.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := dead.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: []byte("dead"), Value: []byte("{}")}).FirstErr(); err != nil {
		t.Fatal(err)
	}

	quiet := slog.New(slog.DiscardHandler)
	l, err := stream.OpenKafka(t.Context(), stream.KafkaOptions{Brokers: []string{address}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n := newNews("serve", func(*roster.Instance) {}, quiet)
	n.deaf = time.Second
	n.share(l, group, topicFlags{})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.run(ctx) }()
	for deadline := time.Now().Add(20 * time.Second); len(n.others.Instances(time.Now())) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Error("it never heard itself")
			break
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
