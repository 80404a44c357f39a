package streamtest_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/streamtest"
)

const session = 10 * time.Second

// emitWords emits n different words, so that the table has rows to restore.
func emitWords(lines *streamtest.Topic[string], n int) {
	for i := range n {
		lines.EmitKeyless(fmt.Sprint("w", i))
	}
}

func names(tasks []stream.TaskInfo) (all []string) {
	for _, t := range tasks {
		all = append(all, t.Task)
	}
	return all
}

// A member dies: as soon as its session is over its standby goes on, and has
// nothing to restore but the tail.
func TestAStandbyTakesOver(t *testing.T) {
	tt := streamtest.New(t, wordCount(), streamtest.Options{Members: 2, Partitions: 4, Processor: stream.ProcessorOptions{Standbys: 1, SessionTimeout: session}})
	lines := streamtest.NewTopic(tt, "lines", codec.String)
	emitWords(lines, 200)
	tt.Settle()
	dead, heir := tt.Members()[0], tt.Members()[1]
	if lost := names(dead.Tasks()); len(heir.Standbys()) == 0 {
		t.Fatalf("nobody is standby of %v", lost)
	}
	for _, s := range heir.Standbys() {
		if s.TableLag != 0 || s.State != "following" || s.Restored != 1 || s.Left != 0 {
			t.Errorf("settled, but a standby is %+v", s)
		}
	}
	dead.Crash()
	begin := tt.Now()
	tt.Settle()
	if took := tt.Now().Sub(begin); took > session+time.Second {
		t.Errorf("taking over took %s, with a session of %s", took, session)
	}
	if len(heir.Tasks()) != 8 || len(heir.Standbys()) != 0 {
		t.Errorf("the heir has %v, and stands by for %v", names(heir.Tasks()), names(heir.Standbys()))
	}
}

// One joins without tables: when it has copied them it asks for its share.
func TestTasksMoveToWhoeverHasCaughtUp(t *testing.T) {
	tt := streamtest.New(t, wordCount(), streamtest.Options{Partitions: 4, Processor: stream.ProcessorOptions{NearRecords: 1}})
	lines := streamtest.NewTopic(tt, "lines", codec.String)
	emitWords(lines, 200)
	tt.Settle()
	second, begin := tt.Join(), tt.Now()
	tt.Settle()
	for n := 0; len(second.Tasks()) != 4 && n < 10; n++ {
		tt.Advance(100 * time.Millisecond)
		tt.Settle()
	}
	if n, took := len(second.Tasks()), tt.Now().Sub(begin); n != 4 || took > time.Second {
		t.Errorf("after %s the second has %d of 8 tasks", took, n)
	}
}

// A rebalance that one member holds open does not keep the others from
// committing.
func TestTasksThatStayGoOnDuringARebalance(t *testing.T) {
	tt := streamtest.New(t, wordCount(), streamtest.Options{Members: 2, Partitions: 4, Processor: stream.ProcessorOptions{SessionTimeout: session}})
	lines := streamtest.NewTopic(tt, "lines", codec.String)
	counts := streamtest.NewTable(tt, "wordcount-table", codec.Int64)
	emitWords(lines, 40)
	tt.Settle()
	first, second := tt.Members()[0], tt.Members()[1]
	second.Freeze()
	tt.Join() // the second does not come along
	owned := names(first.Tasks())
	for round := range 20 {
		emitWords(lines, 40)
		tt.Advance(200 * time.Millisecond)
		if got := names(first.Tasks()); !slices.Equal(got, owned) {
			t.Fatalf("the first had %v and has %v", owned, got)
		}
		most := int64(0)
		for _, n := range counts.All() {
			most = max(most, n)
		}
		if most < int64(round+2) {
			t.Fatalf("round %d: nothing is counted more than %d times while the rebalance is open", round, most)
		}
	}
	second.Thaw()
	tt.Settle()
}

// Who stops in good order hands over at once, without the end of a session.
func TestACleanStopHandsOverAtOnce(t *testing.T) {
	tt := streamtest.New(t, wordCount(), streamtest.Options{Members: 3, Partitions: 4, Processor: stream.ProcessorOptions{Standbys: 1, SessionTimeout: session}})
	lines := streamtest.NewTopic(tt, "lines", codec.String)
	emitWords(lines, 100)
	tt.Settle()
	begin := tt.Now()
	tt.Members()[0].Stop()
	tt.Settle()
	if took := tt.Now().Sub(begin); took > time.Second {
		t.Errorf("handing over took %s", took)
	}
}

// An idle instance says so, once.
func TestMoreInstancesThanTasksSaySo(t *testing.T) {
	var told strings.Builder
	logger := slog.New(&lines{&told})
	tt := streamtest.New(t, wordCount(), streamtest.Options{Members: 3, Partitions: 1, Processor: stream.ProcessorOptions{Logger: logger}})
	tt.Settle()
	tt.Advance(time.Minute)
	if n := strings.Count(told.String(), "more instances than work"); n != 1 {
		t.Errorf("told %d times:\n%s", n, told.String())
	}
	idle := slices.IndexFunc(tt.Members(), func(m *streamtest.Member) bool { return len(m.Tasks()) == 0 })
	if idle < 0 {
		t.Fatal("nobody is idle")
	}
	tt.Members()[(idle+1)%3].Stop()
	tt.Settle()
	if len(tt.Members()[idle].Tasks()) != 1 {
		t.Errorf("one has left, and the idle one has %v", names(tt.Members()[idle].Tasks()))
	}
}

// lines is a handler that keeps messages of level info and above.
type lines struct{ to *strings.Builder }

func (h *lines) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (h *lines) WithAttrs([]slog.Attr) slog.Handler           { return h }
func (h *lines) WithGroup(string) slog.Handler                { return h }
func (h *lines) Handle(_ context.Context, r slog.Record) error {
	_, err := fmt.Fprintln(h.to, r.Message)
	return err
}
