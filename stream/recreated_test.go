package stream

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tagtide/tagtide/stream/codec"
)

// tallied counts in a loop, and so has a table on either side of it.
func tallied() *GroupGraph {
	totals, counts := NamedTable("totals", codec.Int64).PerPartition(), Persist(codec.Int64)
	loop := Loop(codec.Int64, func(ctx Context, n int64) error { return bump(ctx, counts, ctx.Key(), n) }, counts)
	in := Input("in", codec.String, func(ctx Context, word string) error {
		return errors.Join(bump(ctx, totals, "words", 1), loop.Loopback(ctx, word, 1))
	}, totals)
	return DefineGroup("g", in, loop, totals, counts)
}

func bump(ctx Context, t *Table[int64], key string, n int64) error {
	was, _, err := t.Get(ctx, key)
	return errors.Join(err, t.Set(ctx, key, was+n))
}

// A stranger deletes topics behind the engine's back, on whatever keeps the log.
type stranger func(topic string) error

// keepers are the logs a group may be on.
func keepers(t *testing.T) map[string]func(t *testing.T) (*Log, stranger) {
	return map[string]func(t *testing.T) (*Log, stranger){
		"embedded": func(t *testing.T) (*Log, stranger) {
			l := memoryLog(t, nil)
			return l, func(topic string) error { return l.keeper.DeleteTopic(context.Background(), topic) }
		},
		"kafka": func(t *testing.T) (*Log, stranger) {
			c, err := kfake.NewCluster(kfake.NumBrokers(1))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			l, err := OpenKafka(t.Context(), KafkaOptions{Brokers: c.ListenAddrs(), Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
			client := must(kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...)))
			t.Cleanup(client.Close)
			return l, func(topic string) error {
				req, named := kmsg.NewPtrDeleteTopicsRequest(), kmsg.NewDeleteTopicsRequestTopic()
				named.Topic = &topic
				req.Topics = append(req.Topics, named)
				res, err := req.RequestWith(context.Background(), client)
				if err == nil {
					err = kerr.ErrorForCode(res.Topics[0].ErrorCode)
				}
				return err
			}
		},
	}
}

// A tallying is a group that runs until it fails or is stopped.
type tallying struct {
	stop func()
	end  chan error
}

func tally(t *testing.T, l *Log, s *State) *tallying {
	t.Helper()
	p, err := NewProcessor(l, tallied(), ProcessorOptions{State: s, Partitions: 2, CommitInterval: 5 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	r := &tallying{stop, make(chan error, 1)}
	go func() { r.end <- p.Run(ctx) }()
	return r
}

// ends wants the group to end by itself, with one of errors, which names a topic.
func (r *tallying) ends(t *testing.T, topic string, with ...error) {
	t.Helper()
	select {
	case err := <-r.end:
		if !slices.ContainsFunc(with, func(e error) bool { return errors.Is(err, e) }) || !strings.Contains(err.Error(), topic) {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it goes on")
		r.stop()
		<-r.end
	}
}

func settled(t *testing.T, l *Log) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if n, err := Backlog(t.Context(), l, tallied()); err == nil && n == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the group does not get done")
		}
	}
}

// A group one of whose tables was deleted, and is there again but empty, cannot
// tell what it has counted. It says so, instead of counting on from nothing:
// when it is started, and while it runs; and then again at each start.
func TestATopicThatWasMadeAnewEndsTheGroup(t *testing.T) {
	for keeper, open := range keepers(t) {
		for _, topic := range []string{"g-table", "g-totals-table", "g-loop"} {
			for _, running := range []bool{false, true} {
				name := keeper + " " + topic + map[bool]string{true: " while it runs"}[running]
				t.Run(name, func(t *testing.T) { madeAnew(t, open, topic, running) })
			}
		}
	}
}

func madeAnew(t *testing.T, open func(*testing.T) (*Log, stranger), topic string, running bool) {
	l, remove := open(t)
	s := MemoryState()
	words := func(n int) {
		for i := range n {
			put(t, l, "in", int32(i%2), noon, "", "word"+strings.Repeat("x", i))
		}
	}
	r := tally(t, l, s)
	created(t, l, "in")
	words(20)
	settled(t, l)
	if !running {
		r.stop()
		if err := <-r.end; err != nil {
			t.Fatal(err)
		}
	}
	if err := remove(topic); err != nil {
		t.Fatal(err)
	}
	if running {
		if err := CreateTopics(t.Context(), l, tallied(), ProcessorOptions{Partitions: 2}); err != nil {
			t.Fatal(err)
		}
	} else {
		r = tally(t, l, s)
	}
	words(8)
	ends := []error{ErrLost}
	if running && topic == "g-loop" {
		ends = append(ends, ErrUnknownTopic) // if whoever reads it is the first to know
	}
	r.ends(t, topic, ends...)
	tally(t, l, s).ends(t, topic, ErrLost)
}

// created waits for a topic.
func created(t *testing.T, l *Log, topic string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if found, err := l.keeper.Topics(t.Context(), topic); err == nil && len(found) == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("there is no topic", topic)
		}
	}
}
