package processor_test

import (
	"errors"
	"testing"

	"github.com/tagtide/tagtide/processor"
	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/streamtest"
)

// What an earlier version has set aside is not counted where it lies, though
// today's rules could; nor does a recount count it there.
func TestARecountLeavesDeadLettersOut(t *testing.T) {
	counts := stream.Persist(codec.Int64)
	loop := stream.Loop(codec.Int64, func(ctx stream.Context, n int64) error { return counts.SetValue(ctx, n) }, counts)
	seen := 0
	earlier := stream.Input("tweets", codec.Bytes, func(ctx stream.Context, _ []byte) error {
		if seen++; seen == 1 {
			return errors.New("a post of a kind that this version does not know")
		}
		return loop.Loopback(ctx, "covid19", 1)
	})
	group := streamtest.New(t, stream.DefineGroup("hashtags", earlier, loop, counts), streamtest.Options{})
	tweets := streamtest.NewTopic(group, "tweets", codec.String)
	for _, id := range []string{"1", "2"} {
		tweets.Emit(id, `{"id_str":"`+id+`","text":"x","entities":{"hashtags":[{"text":"Covid19","indices":[0,1]}]}}`)
	}
	group.Settle()
	if n := len(group.DeadLetters()); n != 1 {
		t.Fatalf("%d dead letters", n)
	}
	if fault, err := processor.Recount(t.Context(), group.Log(), processor.Options{}); fault != "" || err != nil {
		t.Errorf("recounted: %q, %v", fault, err)
	}
}
