package streamtest_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/streamtest"
)

// tallies is a group that counts the records of each partition of its inputs.
func tallies(inputs ...string) *stream.GroupGraph {
	counts := stream.NamedTable("totals", codec.Int64).PerPartition()
	var edges []stream.Edge
	for _, topic := range inputs {
		edges = append(edges, stream.Input(topic, codec.String, func(ctx stream.Context, _ string) error {
			n, _, err := counts.Get(ctx, topic)
			if err != nil {
				return err
			}
			return counts.Set(ctx, topic, n+1)
		}, counts))
	}
	return stream.DefineGroup("tallies", edges...)
}

// tallied is what the group has counted of an input, over all partitions.
func tallied(tt *streamtest.Tester, input string) (sum int64) {
	last := map[int32]int64{}
	for _, r := range streamtest.NewTopic(tt, "tallies-totals-table", codec.Int64).Records() {
		if r.Key == input {
			last[r.Partition] = r.Value
		}
	}
	for _, n := range last {
		sum += n
	}
	return sum
}

func emitEverywhere(in *streamtest.Topic[string], n int) {
	for i := range n {
		in.EmitKeyless(fmt.Sprint(i))
	}
}

// Whoever starts at the newest record misses those of before; those of a
// partition that was added later he has all, also if nobody ran when it was.
func TestAddedPartitionsAreHandledFromTheirFirstRecord(t *testing.T) {
	tt := streamtest.New(t, tallies("in"), streamtest.Options{Members: -1, Processor: stream.ProcessorOptions{Start: stream.Start{Newest: true}, Standbys: 1}})
	in := streamtest.NewTopic(tt, "in", codec.String)
	emitEverywhere(in, 10)
	for range 3 {
		tt.Join()
	}
	tt.Settle()
	emitEverywhere(in, 10)
	tt.AddPartitions("in", 5)
	emitEverywhere(in, 20)
	begin := tt.Now()
	tt.Settle()
	if n, took := tallied(tt, "in"), tt.Now().Sub(begin); n != 30 || took > 3*time.Second {
		t.Errorf("after %s %d records are counted, want 30", took, n)
	}
	for _, m := range tt.Members() {
		m.Crash()
	}
	tt.AddPartitions("in", 7)
	emitEverywhere(in, 20)
	tt.Members()[1].Restart()
	tt.Settle()
	if n := tallied(tt, "in"); n != 50 {
		t.Errorf("at the next start %d records are counted, want 50", n)
	}
}

// Who has a standby of a task that was added takes it over as any other.
func TestAddedPartitionsHaveStandbys(t *testing.T) {
	tt := streamtest.New(t, tallies("in"), streamtest.Options{Members: 2, Processor: stream.ProcessorOptions{Standbys: 1, SessionTimeout: session}})
	in := streamtest.NewTopic(tt, "in", codec.String)
	emitEverywhere(in, 10)
	tt.Settle()
	tt.AddPartitions("in", 6)
	emitEverywhere(in, 60)
	tt.Settle()
	if n, m := len(tt.Members()[0].Standbys()), len(tt.Members()[1].Standbys()); n+m != 6 {
		t.Errorf("%d and %d standbys, want one of each of 6 tasks", n, m)
	}
	tt.Members()[0].Crash()
	emitEverywhere(in, 10)
	tt.Settle()
	if n := tallied(tt, "in"); n != 80 {
		t.Errorf("%d records are counted, want 80", n)
	}
}

// Keys that were counted in one partition come in another now: that cannot be
// counted on.
func TestATableByKeyRefusesAddedPartitions(t *testing.T) {
	counts := stream.Persist(codec.Int64)
	g := stream.DefineGroup("bykey", stream.Input("in", codec.String, func(ctx stream.Context, _ string) error { return counts.SetValue(ctx, 1) }, counts))
	tt := streamtest.New(t, g, streamtest.Options{Members: 2, MayFail: true})
	in := streamtest.NewTopic(tt, "in", codec.String)
	in.Emit("a", "b")
	tt.Settle()
	tt.AddPartitions("in", 5)
	tt.Advance(5 * time.Second)
	errs := map[string]error{"at the next start": stream.CreateTopics(t.Context(), tt.Log(), g, stream.ProcessorOptions{})}
	for n, m := range tt.Members() {
		errs[fmt.Sprint("member ", n)] = m.Err()
	}
	for who, err := range errs {
		for _, part := range []string{"in has 5", "bykey-table has 2", "use reset"} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v, want it to say %q", who, err, part)
			}
		}
	}
}

// Inputs that are handled together get their partitions one after the other.
func TestInputsHandledTogetherGrowTogether(t *testing.T) {
	tt := streamtest.New(t, tallies("a", "b"), streamtest.Options{Members: 2})
	a, b := streamtest.NewTopic(tt, "a", codec.String), streamtest.NewTopic(tt, "b", codec.String)
	tt.AddPartitions("a", 4)
	tt.Advance(5 * time.Second)
	tt.AddPartitions("b", 4)
	emitEverywhere(a, 40)
	emitEverywhere(b, 20)
	tt.Settle()
	if n, m := tallied(tt, "a"), tallied(tt, "b"); n != 40 || m != 20 {
		t.Errorf("%d and %d records are counted, want 40 and 20", n, m)
	}
}

// Where topics may not be changed operators are told what is missing, and what
// was there goes on.
func TestATableThatMayNotGrowIsWaitedFor(t *testing.T) {
	var said bytes.Buffer
	tt := streamtest.New(t, tallies("in"), streamtest.Options{Members: -1, Processor: stream.ProcessorOptions{
		NoCreate: true, Logger: slog.New(slog.NewTextHandler(&said, nil)),
	}})
	in := streamtest.NewTopic(tt, "in", codec.String)
	emitEverywhere(in, 2)
	if err := stream.CreateTopics(t.Context(), tt.Log(), tallies("in"), stream.ProcessorOptions{}); err != nil {
		t.Fatal(err)
	}
	tt.Join()
	tt.Settle()
	tt.AddPartitions("in", 4)
	emitEverywhere(in, 4)
	tt.Advance(10 * time.Second)
	if n := tallied(tt, "in"); n != 4 {
		t.Errorf("%d records are counted, want the 4 of the first partitions", n)
	}
	if n := strings.Count(said.String(), "tallies-totals-table has 2 partitions, and what it is counted from has 4"); n != 1 {
		t.Errorf("told %d times, want once: %s", n, said.String())
	}
	tt.AddPartitions("tallies-totals-table", 4)
	tt.Settle()
	if n := tallied(tt, "in"); n != 6 {
		t.Errorf("%d records are counted, want 6", n)
	}
}
