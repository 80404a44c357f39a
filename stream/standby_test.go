package stream_test

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tagtide/tagtide/stream"
)

// until polls for something that another goroutine brings about.
func (b bed) until(what string, done func() bool) {
	b.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("it never is: %s", what)
		}
	}
}

// Two instances in goroutines, as in production: the second stands by for the
// first, and takes its tasks over when it stops.
func TestInstancesStandByForOneAnother(t *testing.T) {
	b := newBed(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	options := stream.ProcessorOptions{Standbys: 1, Threads: 2, CommitInterval: 5 * time.Millisecond}
	first, stopFirst := b.start(visited(), options)
	b.until("the first has all tasks", func() bool { return len(first.Tasks()) == 2 })
	second, stopSecond := b.start(visited(), options)
	b.emit("in", "a=1", "b=2", "c=3", "d=4")
	ready := func(p *stream.Processor, tasks, standbys int) func() bool {
		lacks := func(s stream.TaskInfo) bool { return s.TableLag != 0 }
		return func() bool {
			return len(p.Tasks()) == tasks && len(p.Standbys()) == standbys && !slices.ContainsFunc(p.Standbys(), lacks)
		}
	}
	b.until("the second has half, and stands by for the rest", ready(second, 1, 1))
	if hosts := first.Hosts(); len(hosts) != 2 || len(hosts[0].Tasks)+len(hosts[1].Tasks) != 2 {
		t.Errorf("hosts are %+v", hosts)
	}
	stopFirst()
	b.until("the second has all", ready(second, 2, 0))
	b.emit("in", "a=5", "e=6")
	b.handled(visited())
	b.want("visited-table", map[string]string{"a": "5", "b": "2", "c": "3", "d": "4", "e": "6"})
	stopSecond()
}
