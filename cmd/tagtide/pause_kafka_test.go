//go:build kafka

package main

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tagtide/tagtide/internal/totals"
	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
)

// A group never stops as a whole when an instance joins, leaves, or is killed,
// and no partition pauses for longer than a second when one joins or leaves. On a
// machine that does much else all of them pause now and then anyway: how long is
// seen before anything changes, and allowed for.
func TestAGroupNeverStopsAsAWhole(t *testing.T) {
	const (
		partitions = 8
		session    = 6 * time.Second // the least that brokers take
	)
	brokers, _ := shared(t)
	f := newFleet(t, brokers)
	f.do("topics", "create", "--partitions", fmt.Sprint(partitions))
	w := follow(t, brokers, stream.TableTopic(f.group(), totals.Table))
	process := func(name string) *program {
		return f.launch(name, "process", "--state-dir", f.state(name), "--session-timeout", session.String())
	}
	process("process-stays")
	f.launch("emit", "emit", "--rate", "500")
	w.await(t, "all partitions are counted", func() bool { return w.counting() == partitions })
	bound := time.Second + 2*w.around(t, "nothing", func() { time.Sleep(5 * time.Second) })
	var second *program
	join := func() {
		second = process("process-comes")
		w.await(t, "the work is shared", func() bool { return second.tasks() == partitions }) // of two for each partition
	}
	for _, change := range []struct {
		name  string
		make  func()
		bound time.Duration
	}{
		{"a second one joins", join, bound},
		{"it leaves", func() { second.stop() }, bound},
		{"it joins again", join, bound},
		{"it is killed", func() { second.kill(); time.Sleep(session + bound) }, session + bound}, // what comes of it must be over
	} {
		if each := w.around(t, change.name, change.make); each > change.bound {
			t.Errorf("%s: a partition was not counted for %v, and may not be for %v", change.name, each, change.bound)
		}
	}
	delete(f.programs, "process-comes") // it was killed
	f.supervise()
}

var tasksTold = regexp.MustCompile(`tasks of this instance.* tasks="?\[([^]]*)\]`)

// tasks is how many tasks a processor was told of last.
func (p *program) tasks() int {
	told := tasksTold.FindAllStringSubmatch(p.log.String(), -1)
	if len(told) == 0 {
		return 0
	}
	return len(strings.Fields(told[len(told)-1][1]))
}

// A watch notes when each partition was last counted further.
type watch struct {
	mu          sync.Mutex
	last        map[int32]time.Time
	whole, each time.Duration
}

// follow watches a table of totals until the test ends.
func follow(t *testing.T, brokers, topic string) *watch {
	t.Helper()
	w := &watch{last: map[int32]time.Time{}}
	quiet := slog.New(slog.DiscardHandler)
	l, err := stream.OpenKafka(t.Context(), stream.KafkaOptions{Brokers: strings.Split(brokers, ","), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	view, err := stream.NewView(l, topic, codec.Int64, stream.ViewOptions[int64]{Changed: w.changed, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- view.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; err != nil { // t's context has ended
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *watch) changed(changes []stream.Change[int64]) error {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range changes {
		if c.Key == totals.Posts {
			w.note(now)
			w.last[c.Partition] = now
		}
	}
	return nil
}

// note takes in how long it is since anything, and each partition, was counted.
// w.mu is held.
func (w *watch) note(now time.Time) {
	var newest time.Time
	for _, at := range w.last {
		w.each = max(w.each, now.Sub(at))
		if at.After(newest) {
			newest = at
		}
	}
	if len(w.last) > 0 {
		w.whole = max(w.whole, now.Sub(newest))
	}
}

// around is the longest pause of a partition around a change, and a while after.
// Meanwhile the group must not stop as a whole.
func (w *watch) around(t *testing.T, what string, change func()) time.Duration {
	t.Helper()
	const while, bound = 2 * time.Second, 3 * time.Second // for a busy machine; a group that stops does so for longer
	w.reset()
	change()
	time.Sleep(while)
	whole, each := w.longest()
	t.Logf("%s: all stood still for %v, one for %v", what, whole, each)
	if whole > bound {
		t.Errorf("%s: nothing was counted for %v", what, whole)
	}
	return each
}

// counting is how many partitions have been counted.
func (w *watch) counting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.last)
}

func (w *watch) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.whole, w.each = 0, 0
}

// longest are the longest times since the reset in which nothing was counted,
// and in which one partition was not.
func (w *watch) longest() (whole, each time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note(time.Now())
	return w.whole, w.each
}

func (w *watch) await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}
