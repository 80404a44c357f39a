package streamtest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/log/embedded"
)

// TB is what a Tester needs of a *testing.T.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Options of a Tester. The zero value is good.
type Options struct {
	// Members that the group has at the start. Default 1; -1 for none.
	Members int
	// Partitions of topics that have to be created. Default 2.
	Partitions int32
	// Start of the clock. Default: the first of January 2026, UTC.
	Start time.Time
	// Processor has the options of the members; State and Partitions are set
	// here, Threads are 1 by default, and nothing is logged by default.
	Processor stream.ProcessorOptions
	// MayFail lets a member that ends with an error be down, and [Member.Err]
	// tell why. Without it that fails the test.
	MayFail bool
}

func (o *Options) ensureDefaults() {
	if o.Members == 0 {
		o.Members = 1
	}
	if o.Partitions == 0 {
		o.Partitions = 2
	}
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if o.Processor.Threads == 0 {
		o.Processor.Threads = 1
	}
	if o.Processor.SessionTimeout == 0 {
		o.Processor.SessionTimeout = 10 * time.Second
	}
	if o.Processor.Logger == nil {
		o.Processor.Logger = slog.New(slog.DiscardHandler)
	}
	o.Processor.Partitions = o.Partitions
}

// A Tester runs a group by hand, on a log in memory and under a clock of its
// own. Nothing happens by itself: what a test emits waits for Settle or Advance.
// The same calls give the same history. It belongs to one goroutine.
type Tester struct {
	tb      TB
	ctx     context.Context
	graph   *stream.GroupGraph
	opts    Options
	log     *embedded.Log
	now     time.Time
	members []*Member

	producer log.Producer // of what the test emits
	turn     int32        // of records without key
}

// New returns a Tester whose members have joined the group and done nothing
// else yet.
func New(tb TB, g *stream.GroupGraph, o Options) *Tester {
	tb.Helper()
	o.ensureDefaults()
	t := &Tester{tb: tb, ctx: context.Background(), graph: g, opts: o, now: o.Start}
	l, err := embedded.NewDisk().Open(embedded.Options{Deterministic: true, Now: t.Now, ID: "streamtest", CacheBytes: 4 << 20})
	t.must(err, "open a log in memory")
	t.log = l
	tb.Cleanup(t.close)
	t.producer, err = l.Producer(t.ctx, "streamtest")
	t.must(err, "make a producer")
	for range o.Members {
		t.Join()
	}
	return t
}

func (t *Tester) close() {
	for _, m := range t.members {
		m.close()
	}
	_ = t.log.Close() // in memory
}

func (t *Tester) must(err error, format string, args ...any) {
	t.tb.Helper()
	if err != nil {
		t.tb.Fatalf("streamtest: %s: %v", fmt.Sprintf(format, args...), err)
	}
}

// Log is the log that the group runs on, for views, and for whatever else wants
// to be driven beside the group.
func (t *Tester) Log() *stream.Log { return stream.NewLog(t.log) }

// Now is the time of the clock.
func (t *Tester) Now() time.Time { return t.now }

// Members lists all members that ever joined, those that are down too.
func (t *Tester) Members() []*Member { return slices.Clone(t.members) }

// What Settle may take until nothing is left to do.
const (
	settleWithin = 10 * time.Minute // of the clock
	settleSteps  = 100_000
)

// Settle lets the members work until they have nothing left to do: everything
// emitted is handled and committed, every task runs. The clock moves as far as
// that needs, over commit intervals and, after a crash, over the session
// timeout. It fails the test if that does not happen, but for a group without
// members, which has nothing to do.
func (t *Tester) Settle() {
	t.tb.Helper()
	deadline := t.now.Add(settleWithin)
	for {
		t.work()
		why := t.unsettled()
		if why == "" {
			return
		}
		if t.now.After(deadline) {
			t.tb.Fatalf("streamtest: after %s of its time the group has not settled: %s", settleWithin, why)
			return
		}
		t.moveTo(t.next(t.now.Add(100 * time.Millisecond)))
	}
}

// Advance moves the clock by d, and lets everything happen that falls due on
// the way.
func (t *Tester) Advance(d time.Duration) {
	t.tb.Helper()
	for end := t.now.Add(d); t.now.Before(end); {
		t.work()
		t.moveTo(t.next(end))
	}
	t.work()
}

// next is when something falls due, end at the latest.
func (t *Tester) next(end time.Time) time.Time {
	for _, m := range t.members {
		if !m.Up() || m.frozen {
			continue
		}
		if wake := m.driver.Wake(); wake.After(t.now) && wake.Before(end) {
			end = wake
		}
	}
	return end
}

func (t *Tester) moveTo(now time.Time) {
	t.tb.Helper()
	t.now = now
	t.must(t.log.Tick(t.ctx), "log")
}

// work lets the members do all that there is to do now.
func (t *Tester) work() {
	t.tb.Helper()
	for range settleSteps {
		busy := false
		for _, m := range t.members {
			busy = m.turn() || busy
		}
		if !busy {
			return
		}
	}
	t.tb.Fatalf("streamtest: the members are still busy after %d steps at %s", settleSteps, t.now)
}

// unsettled says what is left to do; "" for nothing.
func (t *Tester) unsettled() string {
	running, up := 0, false
	for _, m := range t.members {
		if !m.Up() || m.frozen {
			continue
		}
		up = true
		for _, task := range m.driver.Tasks() {
			if task.State != "running" {
				return fmt.Sprintf("task %s is %s", task.Task, task.State)
			}
			running++
		}
	}
	if !up {
		return ""
	}
	return t.behind(running)
}

// behind says which task does not run, or how much is not handled.
func (t *Tester) behind(running int) string {
	tasks, err := t.tasks()
	t.must(err, "count the tasks")
	if running != tasks {
		return fmt.Sprintf("%d of %d tasks run", running, tasks)
	}
	once, cancel := context.WithCancel(t.ctx)
	cancel() // it asks, and does not wait
	n, err := stream.Backlog(once, t.Log(), t.graph)
	switch {
	case err != nil:
		return err.Error()
	case n > 0:
		return fmt.Sprintf("%d records are not handled", n)
	}
	return ""
}

// tasks is how many tasks the group has: of each sub-topology as many as its
// topics have partitions.
func (t *Tester) tasks() (n int, err error) {
	for _, sub := range t.graph.Describe().SubTopologies {
		topics, err := stream.DescribeTopics(t.ctx, t.Log(), slices.Concat(sub.Inputs, sub.Tables, sub.Joins, loopOf(sub))...)
		if err != nil {
			return 0, err
		}
		n += len(topics[0].Partitions)
	}
	return n, nil
}

func loopOf(s stream.SubDescription) []string {
	if s.Loop == "" {
		return nil
	}
	return []string{s.Loop}
}
