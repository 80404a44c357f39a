//go:build !race

// Under the race detector other things are on the heap.

package stream_test

import (
	"testing"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/streamtest"
)

// A step that counts what was counted before, since the last commit, allocates
// nothing for it.
func TestCountingAgainAllocatesNothing(t *testing.T) {
	counts := stream.Persist(codec.Int64)
	allocations := -1.0
	graph := stream.DefineGroup("g", stream.Input("words", codec.Bytes, func(ctx stream.Context, _ []byte) (err error) {
		allocations = testing.AllocsPerRun(100, func() {
			n, _, failed := counts.Get(ctx, "word")
			if failed == nil {
				failed = counts.Set(ctx, "word", n+1)
			}
			if failed != nil {
				err = failed
			}
		})
		return err
	}, counts))
	tester := streamtest.New(t, graph, streamtest.Options{})
	streamtest.NewTopic(tester, "words", codec.String).Emit("word", "")
	tester.Settle()
	if allocations != 0 {
		t.Errorf("counting allocates %v times", allocations)
	}
}
