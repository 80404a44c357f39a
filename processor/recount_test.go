package processor_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

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

// What was there before the group began is counted by neither.
func TestARecountBeginsWhereTheGroupHas(t *testing.T) {
	o := processor.Options{Dedupe: time.Hour}
	group := streamtest.New(t, processor.Graph(o), streamtest.Options{Members: -1, Processor: stream.ProcessorOptions{Start: stream.Start{Newest: true}}})
	tweets := streamtest.NewTopic(group, "tweets", codec.String)
	for id := range 20 {
		if id == 10 {
			group.Join()
			group.Settle()
		}
		tweets.Emit(strconv.Itoa(id), own("x", strconv.Itoa(id), "", "", "Covid19"))
	}
	group.Settle()
	if n := streamtest.NewTable(group, "hashtags-table", codec.Int64).All()["covid19"]; n != 10 {
		t.Errorf("%d are counted", n)
	}
	if fault, err := processor.Recount(t.Context(), group.Log(), o); fault != "" || err != nil {
		t.Errorf("recounted: %q, %v", fault, err)
	}
}
