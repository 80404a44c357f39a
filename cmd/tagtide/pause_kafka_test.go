//go:build kafka

package main

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tagtide/tagtide/internal/totals"
	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
)

// A second is promised for partitions that move, and the others go on. On a
// machine that does much else that cannot be held to; but a group that stops as
// a whole does so for longer than this.
const (
	pauseSession = 6 * time.Second // the least that brokers take
	pauseBound   = 3 * time.Second
)

// A group never stops as a whole when an instance joins, leaves, or is killed;
// and partitions that move are counted again. How long each of them was not, the
// log says; make bench measures it.
func TestAGroupNeverStopsAsAWhole(t *testing.T) {
	const partitions = 8
	brokers, _ := shared(t)
	f := newFleet(t, brokers)
	f.do("topics", "create", "--partitions", "8")
	w := follow(t, brokers, stream.TableTopic(f.group(), totals.Table))
	process := func(name string) *program {
		return f.launch(name, "process", "--state-dir", f.state(name), "--session-timeout", pauseSession.String())
	}
	process("process-stays")
	f.launch("emit", "emit", "--rate", "500")
	w.await(t, "all partitions are counted", func() bool { return w.counting() == partitions })
	var second *program
	for _, change := range []struct {
		name string
		make func()
	}{
		{"a second one joins", func() { second = process("process-comes") }},
		{"it leaves", func() { second.stop() }},
		{"it joins again", func() { second = process("process-comes") }},
		{"it is killed", func() { second.kill() }},
	} {
		w.reset()
		change.make()
		time.Sleep(pauseSession + pauseBound) // what comes of it must be over
		w.await(t, change.name+", and all partitions are counted", func() bool { return w.counting() == partitions })
		whole, each := w.longest()
		t.Logf("%s: all stood still for %v, one for %v", change.name, whole, each)
		if whole > pauseBound {
			t.Errorf("%s: nothing was counted for %v", change.name, whole)
		}
	}
	delete(f.programs, "process-comes") // it was killed
	f.supervise()
}

// A watch notes when each partition was last counted further.
type watch struct {
	mu          sync.Mutex
	last        map[int32]time.Time
	since       time.Time // the reset
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

// counting is how many partitions have been counted lately.
func (w *watch) counting() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, at := range w.last {
		if at.After(w.since) && time.Since(at) < pauseBound {
			n++
		}
	}
	return n
}

func (w *watch) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since, w.whole, w.each = time.Now(), 0, 0
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
