package stream_test

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/tagtide/tagtide/stream"
)

// resources are what a process may run out of.
type resources struct{ goroutines, files int }

// used counts them; no files where the system does not list them.
func used() resources {
	open, _ := os.ReadDir("/proc/self/fd")
	return resources{runtime.NumGoroutine(), len(open)}
}

// An instance that joins and leaves again leaves nothing behind, neither of
// itself nor with one that stays, and takes nothing away: fifty times.
func TestFiftyRebalancesLeaveNothing(t *testing.T) {
	const rounds = 50
	brokers := kafkaInMemory(t, kfake.SeedTopics(2, "in"), kfake.GroupMinSessionTimeout(time.Second))
	b := kafkaBed(t, brokers)
	options := stream.ProcessorOptions{
		CommitInterval: 5 * time.Millisecond, SessionTimeout: 2 * time.Second, Threads: 1, Logger: slog.New(slog.DiscardHandler),
	}
	stays, stop := b.start(visited(), options)
	alone := func() bool { return len(stays.Tasks()) == 2 }
	b.until("the first has all tasks", alone)
	dir, want := t.TempDir(), map[string]string{}
	var before resources
	for round := range 1 + rounds {
		b.comesAndGoes(brokers, dir, options)
		b.until("the first has all tasks again", alone)
		key, value := fmt.Sprint("k", round), fmt.Sprint(round)
		b.emit("in", key+"="+value)
		want[key] = value
		if round == 0 {
			before = used() // with the connections that stay
		}
	}
	b.until(fmt.Sprintf("there are about %+v again", before), func() bool {
		now := used()
		return now.goroutines < before.goroutines+rounds/2 && now.files < before.files+rounds/2
	})
	b.handled(visited())
	stop()
	b.want("visited-table", want)
}

// comesAndGoes is an instance with everything of its own but the directory,
// until it has half of the tasks.
func (b bed) comesAndGoes(brokers []string, dir string, o stream.ProcessorOptions) {
	b.Helper()
	l, end := b.connect(brokers)
	defer end()
	state, err := stream.OpenState(dir, stream.StateOptions{Logger: o.Logger})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := state.Close(); err != nil {
			b.Error(err)
		}
	}()
	o.State = state
	p, stop := bed{b.T, l}.start(visited(), o)
	defer stop()
	b.until("the second has half", func() bool { return len(p.Tasks()) == 1 })
}
