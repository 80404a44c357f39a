package streamtest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/streamtest"
)

// onceGraph counts each word once an hour, as a table folded from words knows.
func onceGraph() *stream.GroupGraph {
	once := stream.Fold("once", codec.String, stream.FoldOptions{Keep: time.Hour})
	counts := stream.NamedTable("counts", codec.Int64).PerPartition()
	return stream.DefineGroup("g", stream.Input("words", codec.String, func(ctx stream.Context, _ string) error {
		if _, ok, err := once.Value(ctx); ok || err != nil {
			return err
		}
		n, _, err := counts.Value(ctx)
		if err != nil {
			return err
		}
		if err := counts.SetValue(ctx, n+1); err != nil {
			return err
		}
		return once.SetValue(ctx, "")
	}, once, counts))
}

// A group that has begun with the newest records knows nothing of those before,
// also where its table is made again from the input.
func TestAFoldedTableBeginsWhereTheGroupHas(t *testing.T) {
	tester := streamtest.New(t, onceGraph(), streamtest.Options{Members: -1, Partitions: 1, Processor: stream.ProcessorOptions{Start: stream.Start{Newest: true}}})
	words := streamtest.NewTopic(tester, "words", codec.String)
	words.Emit("before", "")
	words.Emit("after", "")
	first := tester.Join()
	tester.Settle()
	words.Emit("now", "")
	tester.Settle()
	first.Crash() // and its disk is lost
	tester.Join()
	tester.Settle()
	words.Emit("now", "")
	words.Emit("after", "")
	tester.Settle()
	counts := streamtest.NewTable(tester, "g-counts-table", codec.Int64)
	if got, want := fmt.Sprint(counts.All()), "map[after:1 now:1]"; got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
}

// Inputs are not purged of what a crash would make a folded table need again: its
// rows are written now and then only.
func TestPurgedInputsLeaveAFoldedTableWhatItNeeds(t *testing.T) {
	tester := streamtest.New(t, onceGraph(), streamtest.Options{Members: -1, Partitions: 1, Processor: stream.ProcessorOptions{PurgeInputs: true}})
	words := streamtest.NewTopic(tester, "words", codec.String)
	counts := streamtest.NewTable(tester, "g-counts-table", codec.Int64)
	member := tester.Join()
	for range 3 {
		for _, word := range []string{"one", "two", "three"} {
			words.Emit(word, "")
			tester.Settle()
			tester.Advance(10 * time.Second)
		}
		member.Crash() // and its disk is not
		member.Restart()
		tester.Settle()
	}
	if got, want := fmt.Sprint(counts.All()), "map[one:1 three:1 two:1]"; got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
}
