//go:build kafka

package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The input gets more partitions twice while posts arrive and processors are
// killed: right then, and when the new partitions are being taken up.
func TestPartitionsAreAddedUnderKills(t *testing.T) {
	t.Parallel()
	brokers, _ := shared(t)
	f := newFleet(t, brokers)
	const posts = 20_000
	file := filepath.Join(f.dir, "tweets.jsonl")
	want := tweets(t, file, posts, 35)
	first, second := halves(t, file)
	f.do("topics", "create", "--partitions", "4")
	for n := range 3 {
		f.process(n)
	}
	url := f.serve()
	topic := f.kafka[5]
	f.launch("emit", "emit", "--source", "file", "--input", first, "--once", "--rate", "1000")
	eventually(t, url, "some are counted", time.Minute, func(s stats) bool { return s.Data.Posts > 500 })
	addPartitions(t, brokers, topic, 8)
	f.programs["process-1"].kill()
	f.launch("emit-second", "emit", "--source", "file", "--input", second, "--once", "--rate", "2000", "--instance-id", "second")
	f.programs["process-2"].said(`partitions were added to what the group reads.*tasks=(12)`)
	f.again("process-1")
	f.programs["process-2"].kill()
	f.again("process-2")
	addPartitions(t, brokers, topic, 12)
	f.programs["emit"].ends(exitDone)
	f.programs["emit-second"].ends(exitDone)
	f.supervise()
	same(t, "with partitions added twice", exported(t, url, posts), want)
	group := strings.TrimSuffix(topic, "-tweets")
	hasPartitions(t, f.do("topics", "describe", "--json"), map[string]int{topic: 12, group + "-totals-table": 12, group + "-table": 4})
	f.audit()
}
