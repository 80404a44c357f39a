package stream_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
)

// A hand drives one processor in virtual time.
type hand struct {
	bed
	driver *stream.Driver
	now    time.Time
}

func (b bed) drive(g *stream.GroupGraph) *hand {
	b.Helper()
	d, err := stream.NewDriver(b.Context(), b.log, g, stream.ProcessorOptions{Threads: 1, Partitions: 2})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(d.Close)
	return &hand{b, d, time.Unix(1_000_000, 0)}
}

// until steps everything, and runs the jobs unless one of them is held, until done.
func (h *hand) until(what string, held string, done func() bool) {
	h.Helper()
	for range 20_000 {
		if done() {
			return
		}
		for part := range h.driver.Parts() {
			if _, err := h.driver.Step(h.Context(), part, h.now); err != nil {
				h.Fatal(err)
			}
		}
		for _, job := range h.driver.Jobs() {
			if job.Name != held {
				job.Run(h.Context())
			}
		}
		h.now = h.now.Add(time.Millisecond)
	}
	h.Fatalf("%s: it never is", what)
}

// visited sets every visited row to "seen".
func visited() *stream.GroupGraph {
	table := stream.Persist(codec.String)
	input := stream.Input("in", codec.String, func(ctx stream.Context, v string) error { return table.SetValue(ctx, v) }, table)
	return stream.DefineGroup("visited", input, stream.Visit("see", table, func(ctx stream.Context, _ string) error {
		return table.SetValue(ctx, "seen")
	}))
}

func (h *hand) visit() (ended func() bool) {
	h.Helper()
	done, err := h.driver.Visit("see")
	if err != nil {
		h.Fatal(err)
	}
	return func() bool {
		ok, err := done()
		if err != nil {
			h.Fatal(err)
		}
		return ok
	}
}

func TestAVisitAskedForDuringAnIdleGroupsCommitEnds(t *testing.T) {
	b := newBed(t)
	h := b.drive(visited())
	b.emit("in", "a=1", "b=2")
	committing := func() bool {
		for _, job := range h.driver.Jobs() {
			if job.Name == "commit" {
				return true
			}
		}
		return false
	}
	// Both records are read before the commit, so nothing follows it.
	h.until("a commit is under way", "commit", committing)
	ended := h.visit()
	steps := 0 // the thread takes the visit while the commit is held
	h.until("the visit was taken", "commit", func() bool { steps++; return steps > 10 })
	h.until("the visit has ended", "", ended)
	b.want("visited-table", map[string]string{"a": "seen", "b": "seen"})
}

func TestAVisitWaitsForTheFirstClaim(t *testing.T) {
	b := newBed(t)
	g := visited()
	_, stop := b.start(g, stream.ProcessorOptions{})
	b.emit("in", "a=1", "b=2")
	b.handled(g)
	stop()
	h := b.drive(g)
	ended := h.visit()
	const thread = 1 // it takes the visit before the member hears of its claim
	if _, err := h.driver.Step(t.Context(), thread, h.now); err != nil || ended() {
		t.Fatalf("the visit ended without a task: %v", err)
	}
	h.until("the visit has ended", "", ended)
	b.want("visited-table", map[string]string{"a": "seen", "b": "seen"})
}

func TestTwoProcessorsOfAGroupMustNotShareAState(t *testing.T) {
	b := newBed(t)
	state, g := stream.MemoryState(), visited()
	first, stop := b.start(g, stream.ProcessorOptions{State: state})
	b.runs(first)
	second, err := stream.NewProcessor(b.log, visited(), stream.ProcessorOptions{State: state})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "visited") || !strings.Contains(err.Error(), "State") {
		t.Errorf("%v, want an error that names the group and the State", err)
	}
	other, stopOther := b.start(users(), stream.ProcessorOptions{State: state})
	b.runs(other)
	stopOther()
	stop()
	if tasks := first.Tasks(); tasks != nil {
		t.Errorf("%v after the end", tasks)
	}
	third, stopThird := b.start(visited(), stream.ProcessorOptions{State: state})
	b.runs(third)
	stopThird()
}

// runs waits until a processor has tasks.
func (b bed) runs(p *stream.Processor) {
	b.Helper()
	for deadline := time.Now().Add(20 * time.Second); len(p.Tasks()) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatal("the processor gets no task")
		}
	}
}
