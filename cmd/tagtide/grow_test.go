package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// addPartitions does what an operator does with Kafka's own tools.
func addPartitions(t *testing.T, brokers, topic string, n int32) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(brokers, ",")...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	req, one := kmsg.NewPtrCreatePartitionsRequest(), kmsg.NewCreatePartitionsRequestTopic()
	one.Topic, one.Count = topic, n
	req.Topics, req.TimeoutMillis = append(req.Topics, one), 10_000
	res, err := req.RequestWith(t.Context(), client)
	if err == nil {
		err = kerr.ErrorForCode(res.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// halves splits a file of lines in two.
func halves(t *testing.T, file string) (first, second string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	middle := len(data)/2 + bytes.IndexByte(data[len(data)/2:], '\n') + 1
	for name, half := range map[string][]byte{"first": data[:middle], "second": data[middle:]} {
		if err := os.WriteFile(file+"."+name, half, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file + ".first", file + ".second"
}

// hasPartitions checks how many partitions topics have.
func hasPartitions(t *testing.T, described string, want map[string]int) {
	t.Helper()
	rows := topicRows(t, described)
	for topic, n := range want {
		if got := len(rows[topic].Partitions); got != n {
			t.Errorf("%s has %d partitions, want %d", topic, got, n)
		}
	}
}

// The input gets more partitions while two processors count and a server
// follows: everything is counted once, what is in the new ones too, and nobody
// has to be started again. A reset begins with what there is.
func TestPartitionsAreAddedWhileItRuns(t *testing.T) {
	const posts = 20_000
	dir := t.TempDir()
	_, brokers := broker(t)
	file := filepath.Join(dir, "tweets.jsonl")
	want := tweets(t, file, posts, 51)
	first, second := halves(t, file)
	mustDo(t, "topics", "create", "--brokers", brokers, "--partitions", "4")
	process := func(n int) *program {
		return launch(t, "process", "--brokers", brokers, "--state-dir", filepath.Join(dir, fmt.Sprint(n)), "--standbys", "1")
	}
	programs := []*program{process(1), process(2), launch(t, "serve", "--brokers", brokers, "--state-dir", filepath.Join(dir, "serve"), "--listen", "127.0.0.1:0")}
	url := programs[2].said(`page on (http://\S+)`)
	emitter := launch(t, "emit", "--brokers", brokers, "--source", "file", "--input", first, "--rate", "5000", "--once")
	eventually(t, url, "some are counted", time.Minute, func(s stats) bool { return s.Data.Posts > 1_000 })
	addPartitions(t, brokers, "tweets", 8)
	mustDo(t, "emit", "--brokers", brokers, "--source", "file", "--input", second, "--once", "--instance-id", "second")
	emitter.ends(exitDone)
	same(t, "with partitions added", exported(t, url, posts), want)
	hasPartitions(t, mustDo(t, "topics", "describe", "--json", "--brokers", brokers),
		map[string]int{"tweets": 8, "hashtags-totals-table": 8, "hashtags-table": 4, "hashtags-loop": 4})

	for _, p := range programs {
		p.stop()
	}
	for _, name := range []string{"1", "2", "serve"} {
		mustDo(t, "check", "--recount", "--brokers", brokers, "--state-dir", filepath.Join(dir, name))
	}
	mustDo(t, "reset", "--yes", "--brokers", brokers)
	process(3)
	server := launch(t, "serve", "--brokers", brokers, "--state-dir", filepath.Join(dir, "serve-2"), "--listen", "127.0.0.1:0")
	same(t, "counted anew", exported(t, server.said(`page on (http://\S+)`), posts), want)
	if there := used(t, brokers, "tweets"); !slices.Equal(there, []bool{true, true, true, true, true, true, true, true}) {
		t.Errorf("partitions that have records: %v", there)
	}
}

// used tells which partitions of a topic have records.
func used(t *testing.T, brokers, topic string) (has []bool) {
	t.Helper()
	for _, p := range topicRows(t, mustDo(t, "topics", "describe", "--json", "--brokers", brokers))[topic].Partitions {
		has = append(has, p.End > 0)
	}
	return has
}
