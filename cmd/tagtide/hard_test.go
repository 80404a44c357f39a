//go:build kafka

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tagtide/tagtide/internal/kafkanode"
)

// configure changes settings of a topic.
func configure(t *testing.T, brokers, topic string, settings ...string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(brokers, ",")...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		config.Name, config.Value = name, &value
		resource.Configs = append(resource.Configs, config)
	}
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Resources = append(req.Resources, resource)
	res, err := req.RequestWith(t.Context(), client)
	if err == nil {
		err = kerr.ErrorForCode(res.Resources[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("set %v of topic %s: %v", settings, topic, err)
	}
}

// wrongClocks sends posts that are stamped hours before and behind the time, as
// producers do whose clocks are wrong. Each has the hashtag "clocks".
func wrongClocks(t *testing.T, brokers, topic string, from, to int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(brokers, ",")...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	failed := kgo.AbortingFirstErrPromise(client)
	for n := from; n < to; n++ {
		value := fmt.Sprintf(`{"id_str":"9%d","text":"x","entities":{"hashtags":[{"text":"Clocks","indices":[0,1]}]}}`, n)
		at := time.Now().Add([]time.Duration{-30, -5, 0, 5, 30}[n%5] * time.Hour)
		client.Produce(t.Context(), &kgo.Record{Topic: topic, Key: fmt.Append(nil, n), Value: []byte(value), Timestamp: at}, failed.Promise())
	}
	if err := failed.Err(); err != nil {
		t.Fatal(err)
	}
}

// Brokers that are restarted one after the other, tables that are compacted all
// the time, producers whose clocks are hours off, and a processor that has lost
// its disk: everything is counted once.
func TestHardTimesCountOnce(t *testing.T) {
	t.Parallel()
	kafka := ownKafka(t, kafkanode.Options{Nodes: 3, Properties: map[string]string{"log.cleaner.backoff.ms": "100"}})
	brokers := strings.Join(kafka.Addresses(), ",")
	f := newFleet(t, brokers)
	f.mayGiveUp = "emit" // what a broker that is stopped may undo: docs/decisions/0008
	const posts, astray = 20_000, 500
	file := filepath.Join(f.dir, "tweets.jsonl")
	want := tweets(t, file, posts, 35)
	want["clocks"] = 2 * astray
	totals := f.group() + "-totals-table"
	f.do("topics", "create", "--partitions", "4")
	configure(t, brokers, f.input(), "message.timestamp.after.max.ms=9223372036854775807")
	for name := range topicRows(t, f.do("topics", "describe", "--json")) {
		if strings.HasSuffix(name, "-table") {
			configure(t, brokers, name, "segment.ms=200", "min.cleanable.dirty.ratio=0.001", "file.delete.delay.ms=0")
		}
	}
	// A segment that begins with what a fast clock stamped does not end for hours.
	configure(t, brokers, totals, "message.timestamp.type=LogAppendTime")
	f.process(0)
	f.process(1)
	url := f.serve()
	f.launch("emit", "emit", "--source", "file", "--input", file, "--once", "--rate", "1000")
	eventually(t, url, "some are counted", time.Minute, func(s stats) bool { return s.Data.Posts > 500 })
	wrongClocks(t, brokers, f.input(), 0, astray)
	for _, n := range kafka.Nodes() {
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := n.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.supervise()
	}
	f.programs["process-0"].kill()
	if err := os.RemoveAll(f.state("process-0")); err != nil {
		t.Fatal(err)
	}
	f.again("process-0")
	wrongClocks(t, brokers, f.input(), astray, 2*astray)
	f.emitted()
	same(t, "after hard times", exported(t, url, posts+2*astray), want)
	f.programs["serve"].stop()
	if err := os.RemoveAll(f.state("serve")); err != nil {
		t.Fatal(err)
	}
	same(t, "read anew", exported(t, f.serve(), posts+2*astray), want)
	f.compacted(totals)
	f.audit()
}

// compacted waits until at most half of a topic is left.
func (f *fleet) compacted(topic string) {
	f.t.Helper()
	var kept, end int64
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Second) {
		end = 0
		for _, p := range topicRows(f.t, f.do("topics", "describe", "--json"))[topic].Partitions {
			end += p.End
		}
		if kept = int64(strings.Count(f.do("topics", "read", topic), "\n")); kept <= end/2 {
			f.t.Logf("of %d records of %s %d are left", end, topic, kept)
			return
		}
	}
	f.t.Errorf("%s is hardly compacted: of %d records %d are there", topic, end, kept)
}

func (f *fleet) group() string { return f.kafka[3] }
func (f *fleet) input() string { return f.kafka[5] }

// emitted waits until the emitter is done. One whose last transactions a broker
// has undone says so and gives up; the next one begins at what is committed.
func (f *fleet) emitted() {
	f.t.Helper()
	for range 3 {
		p := f.programs["emit"]
		select {
		case <-p.done:
		case <-time.After(time.Minute):
			f.t.Fatalf("the emitter has not ended:\n%s", p.log.String())
		}
		if p.cmd.ProcessState.ExitCode() == exitDone {
			return
		}
		f.supervise()
	}
	f.t.Fatal("the emitter gives up again and again")
}
