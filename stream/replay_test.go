package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/log/embedded"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// replayGraph is a group with an input and a loop.
func replayGraph() *GroupGraph {
	nothing := func(Context, string) error { return nil }
	return DefineGroup("g", Input("in", codec.String, nothing), Loop(codec.String, nothing))
}

// A grave is a log on a disk in memory, with dead letters in it.
type grave struct {
	*testing.T
	disk *embedded.Disk
	keep *embedded.Log
	fate embedded.Fate // of the transaction of a replay that is struck
	left int           // transactions of replays before that one; -1: there is none
}

func newGrave(t *testing.T, letters int) *grave {
	g := &grave{T: t, disk: embedded.NewDisk(), left: -1}
	g.open()
	_, err := ensureGroupTopics(t.Context(), g.keep, replayGraph(), &ProcessorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range letters {
		topic := map[bool]string{true: "in", false: "g-loop"}[n%3 > 0]
		g.bury(topic, int32(n%4), int64(n), fmt.Sprint(n))
	}
	t.Cleanup(func() { _ = g.keep.Close() })
	return g
}

func (g *grave) open() {
	var err error
	g.keep, err = g.disk.Open(embedded.Options{Deterministic: true, ID: "log", Faults: g.strike, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		g.Fatal(err)
	}
}

// strike is the log's faults.
func (g *grave) strike(a embedded.Attempt) embedded.Fate {
	if a.TransactionalID != "g-replay" {
		return embedded.Fate{Holes: 1} // as markers make them
	}
	g.left--
	if g.left == -1 {
		return g.fate
	}
	return embedded.Fate{Holes: 1}
}

func (g *grave) log() *Log { return &Log{g.keep} }

// bury writes a dead letter, in a transaction of its own.
func (g *grave) bury(topic string, partition int32, offset int64, key string, own ...record.Header) {
	b := &record.Builder{}
	about := []record.Header{
		{Key: "topic", Value: []byte(topic)}, {Key: "partition", Value: fmt.Append(nil, partition)},
		{Key: "offset", Value: fmt.Append(nil, offset)}, {Key: "error", Value: []byte("no")},
		{Key: "timestamp", Value: []byte("1586000000000")},
	}
	b.Append(1, []byte(key), []byte("value of "+key), append(about, own...)...)
	p, err := g.keep.Producer(g.Context(), "gravedigger")
	if err == nil {
		_, err = p.Commit(g.Context(), &log.Txn{Writes: []log.Write{{Partition: record.Partition{Topic: "g-dead"}, Records: b}}})
	}
	if err != nil {
		g.Fatal(err)
	}
}

// replay runs a replay with few records in a transaction.
func (g *grave) replay(choose func(DeadLetter) bool) (sent int64, err error) {
	r, err := NewReplay(g.Context(), g.log(), replayGraph(), ReplayOptions{Choose: choose, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, err
	}
	r.most, r.pause = 2, time.Millisecond
	return r.Run(g.Context())
}

// found counts what lies in the topics that letters came from, by key.
func (g *grave) found() map[string]int {
	keys := map[string]int{}
	for _, topic := range []string{"in", "g-loop"} {
		err := ReadTopic(g.Context(), g.log(), topic, func(r Record) error {
			if string(r.Value) != "value of "+string(r.Key) {
				g.Errorf("key %s has %q", r.Key, r.Value)
			}
			keys[string(r.Key)]++
			return nil
		})
		if err != nil {
			g.Fatal(err)
		}
	}
	return keys
}

// each is every letter once.
func each(letters int) map[string]int {
	keys := map[string]int{}
	for n := range letters {
		keys[fmt.Sprint(n)] = 1
	}
	return keys
}

// Whatever becomes of any of its transactions, and whether or not everything is
// killed at that moment: each letter is sent once.
func TestReplaySendsEachOnceWhateverHappens(t *testing.T) {
	const letters = 7
	for outcome := embedded.Commits; outcome <= embedded.Prepared; outcome++ {
		for strikes := range 4 {
			for _, crash := range []bool{false, true} {
				g := newGrave(t, letters)
				g.fate, g.left = embedded.Fate{Outcome: outcome, Crash: crash, After: time.Hour}, strikes
				sent, err := g.replay(nil)
				if crash {
					g.disk = g.disk.Crash()
					g.open()
					var more int64
					more, err = g.replay(nil)
					sent += more
				}
				if err != nil || sent > letters || !crash && sent != letters {
					t.Errorf("outcome %d of transaction %d, crash %v: sent %d, %v", outcome, strikes, crash, sent, err)
				}
				if again, err := g.replay(nil); again != 0 || err != nil {
					t.Errorf("run again it sends %d, %v", again, err)
				}
				if got := g.found(); !maps.Equal(got, each(letters)) {
					t.Errorf("outcome %d of transaction %d, crash %v: found %v", outcome, strikes, crash, got)
				}
				open, err := g.keep.OpenTransactions(t.Context())
				if len(open) > 0 || err != nil {
					t.Errorf("open: %v, %v", open, err)
				}
				_ = g.keep.Close()
			}
		}
	}
}

// Of two replays at once the later one does the work, wherever the other stands.
func TestTwoReplaysAtOnceSendEachOnce(t *testing.T) {
	const letters = 7
	for at := range 2 * letters {
		g := newGrave(t, letters)
		seen := 0
		_, err := g.replay(func(DeadLetter) bool {
			if seen++; seen == at+1 {
				if _, err := g.replay(nil); err != nil {
					t.Error(err)
				}
			}
			return true
		})
		if err != nil && !strings.Contains(err.Error(), "another replay") {
			t.Error(err)
		}
		if got := g.found(); !maps.Equal(got, each(letters)) {
			t.Errorf("taken over at %d: found %v", at, got)
		}
	}
}

// A copy is the record as it was, where it was; one for a topic that forgets by
// age is not older than its sending.
func TestCopiesAreTheRecords(t *testing.T) {
	g := newGrave(t, 0)
	own := []record.Header{{Key: "topic", Value: []byte("mine")}, {Key: "dropped", Value: []byte("mine too")}}
	g.bury("in", 3, 7, "a", own...)
	g.bury("g-loop", 3, 7, "a", own...)
	if sent, err := g.replay(nil); sent != 2 || err != nil {
		t.Fatal(sent, err)
	}
	for topic, want := range map[string]struct {
		partition int32
		fresh     bool
	}{"in": {3, true}, "g-loop": {record.FNV.Of([]byte("a"), 4), false}} {
		err := ReadTopic(t.Context(), g.log(), topic, func(r Record) error {
			if r.Partition != want.partition || string(r.Key) != "a" || len(r.Headers) != 2 || r.Headers[0].Key != "topic" || string(r.Headers[1].Value) != "mine too" {
				t.Errorf("%s has %+v", topic, r)
			}
			if fresh := time.Since(r.Timestamp) < time.Hour; fresh != want.fresh {
				t.Errorf("%s has the timestamp %s", topic, r.Timestamp)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// What is chosen is sent, in any order, and once; what cannot be sent is told.
func TestReplayOfChosenLetters(t *testing.T) {
	const letters = 9
	g := newGrave(t, letters)
	g.bury("elsewhere", 0, 1, "x")
	g.bury("in", 0, 1, "y")
	for _, want := range []map[string]bool{{"4": true}, {"1": true, "2": true, "4": true}, {"x": true, "3": true, "5": true, "6": true}} {
		if _, err := g.replay(func(d DeadLetter) bool { return want[string(d.Key)] }); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := g.found(), map[string]int{"1": 1, "2": 1, "3": 1, "4": 1, "5": 1, "6": 1}; !maps.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
	replayed := map[string]int{}
	err := ReadDeadLetters(t.Context(), g.log(), replayGraph(), func(d DeadLetter) error {
		if d.Replayed {
			replayed[string(d.Key)]++
		}
		return nil
	})
	if err != nil || !maps.Equal(replayed, g.found()) {
		t.Errorf("listed as replayed: %v, %v", replayed, err)
	}
	r, err := NewReplay(t.Context(), g.log(), replayGraph(), ReplayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	plan := r.Plan()
	if plan.Records() != letters-5 || len(plan.LeftOut) != 1 || !strings.Contains(fmt.Sprint(plan.LeftOut), "elsewhere") {
		t.Errorf("plan %+v", plan)
	}
	if _, err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := each(letters)
	want["y"] = 1
	if got := g.found(); !maps.Equal(got, want) {
		t.Errorf("found %v", got)
	}
}

// Marks are of one topic: letters of a later one of its name are others. And a
// reset forgets them.
func TestANewTopicIsReplayedAnew(t *testing.T) {
	for name, begin := range map[string]func(g *grave) error{
		"recreated": func(g *grave) error { return g.keep.DeleteTopic(g.Context(), "g-dead") },
		"reset":     func(g *grave) error { return ResetGroup(g.Context(), g.log(), replayGraph()) },
	} {
		g := newGrave(t, 3)
		if sent, err := g.replay(nil); sent != 3 || err != nil {
			t.Fatal(sent, err)
		}
		if err := begin(g); err != nil {
			t.Fatal(err)
		}
		if _, err := g.replay(nil); !errors.Is(err, ErrUnknownTopic) {
			t.Errorf("%s: without the topic: %v", name, err)
		}
		if _, err := ensureGroupTopics(t.Context(), g.keep, replayGraph(), &ProcessorOptions{}); err != nil {
			t.Fatal(err)
		}
		g.bury("in", 0, 0, "0")
		if sent, err := g.replay(nil); sent != 1 || err != nil {
			t.Errorf("%s: sent %d, %v", name, sent, err)
		}
	}
}

func TestReplayEndsWhenItIsStopped(t *testing.T) {
	g := newGrave(t, 3)
	ctx, stop := context.WithCancel(t.Context())
	r, err := NewReplay(ctx, g.log(), replayGraph(), ReplayOptions{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	g.fate, g.left, r.pause = embedded.Fate{Outcome: embedded.Refused}, 0, time.Hour
	stop()
	if sent, err := r.Run(ctx); sent != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("sent %d, %v", sent, err)
	}
}
