//go:build kafka

package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// remove deletes a topic, as a stranger does.
func remove(t *testing.T, brokers, topic string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(brokers, ",")...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	req, named := kmsg.NewPtrDeleteTopicsRequest(), kmsg.NewDeleteTopicsRequestTopic()
	named.Topic = &topic
	req.Topics = append(req.Topics, named)
	res, err := req.RequestWith(t.Context(), client)
	if err == nil {
		err = kerr.ErrorForCode(res.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("delete topic %s: %v", topic, err)
	}
}

// Whoever deletes a table of a group, while it runs or is stopped, is not given
// counts that begin anew without a word: processes end, and say what to do; after
// a reset everything is counted again.
func TestATableThatWasDeletedEndsTheGroup(t *testing.T) {
	t.Parallel()
	brokers, _ := shared(t)
	for _, running := range []bool{false, true} {
		f := newFleet(t, brokers)
		const posts = 2000
		file := filepath.Join(f.dir, "tweets.jsonl")
		want := tweets(t, file, posts, 36)
		f.do("topics", "create", "--partitions", "2")
		f.process(0)
		url := f.serve()
		f.do("emit", "--source", "file", "--input", file, "--once")
		same(t, "before", exported(t, url, posts), want)
		f.programs["serve"].stop()
		if !running {
			f.programs["process-0"].stop()
		}
		remove(t, brokers, f.group()+"-table")
		time.Sleep(time.Second) // brokers delete in their own time
		f.do("topics", "create", "--partitions", "2")
		if running {
			more := filepath.Join(f.dir, "more.jsonl")
			tweets(t, more, posts, 37)
			f.do("emit", "--source", "file", "--input", more, "--once")
			f.gone("process-0")
		}
		f.again("process-0")
		f.gone("process-0")
		f.do("reset", "--yes")
		f.again("process-0")
		if running {
			continue // what else was emitted is counted now, too
		}
		same(t, "after a reset", exported(t, f.serve(), posts), want)
	}
}

// gone waits until a program has given up, because its table is not the one it was.
func (f *fleet) gone(name string) {
	f.t.Helper()
	p := f.programs[name]
	p.ends(exitFailed)
	if said := p.log.String(); !strings.Contains(said, f.group()+"-table") || !strings.Contains(said, "reset") {
		f.t.Errorf("%s ended with\n%s", name, said)
	}
}
