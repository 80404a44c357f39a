package streamtest_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/streamtest"
)

// What is emitted is handled by Settle and not before, whoever is up.
func TestSettle(t *testing.T) {
	tt := streamtest.New(t, wordCount(), streamtest.Options{Members: -1})
	lines := streamtest.NewTopic(tt, "lines", codec.String)
	lines.Emit("a", "one two two")
	tt.Settle() // there is nobody
	tt.Join()
	if counts := streamtest.NewTable(tt, "wordcount-table", codec.Int64); len(counts.All()) != 0 {
		t.Errorf("counted before anything happened: %v", counts.All())
	}
	tt.Settle()
	counts := streamtest.NewTable(tt, "wordcount-table", codec.Int64)
	if got, want := counts.All(), map[string]int64{"one": 1, "two": 2}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n, ok := counts.Get("three"); ok || n != 0 {
		t.Errorf("got %d of a word that nobody wrote", n)
	}
}

// Members crash, come back, stop and join, and every word counts once.
func TestMembersComeAndGo(t *testing.T) {
	tt := streamtest.New(t, wordCount(), streamtest.Options{Members: 2, Partitions: 3})
	lines := streamtest.NewTopic(tt, "lines", codec.String)
	counts := streamtest.NewTable(tt, "wordcount-table", codec.Int64)
	first, second := tt.Members()[0], tt.Members()[1]
	for round, event := range []func(){
		func() {}, first.Crash, first.Restart, second.Stop, func() { tt.Join() }, second.Restart,
	} {
		lines.EmitKeyless("word")
		event()
		lines.EmitKeyless("word and more")
		tt.Advance(time.Duration(round) * 50 * time.Millisecond)
		tt.Settle()
		if n, _ := counts.Get("word"); n != int64(2*round+2) {
			t.Errorf("round %d: counted %d of %d", round, n, 2*round+2)
		}
	}
	tasks := 0
	for _, m := range tt.Members() {
		tasks += len(m.Tasks())
	}
	if tasks != 6 {
		t.Errorf("%d members have %d tasks, want 6", len(tt.Members()), tasks)
	}
}

// The clock is the test's: it stands still but for Advance and Settle, and
// records carry it.
func TestClock(t *testing.T) {
	start := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	tt := streamtest.New(t, wordCount(), streamtest.Options{Start: start})
	lines := streamtest.NewTopic(tt, "lines", codec.String)
	lines.Emit("a", "x", stream.Header{Key: "k", Value: []byte("v")})
	tt.Advance(time.Hour)
	if got := tt.Now(); !got.Equal(start.Add(time.Hour)) {
		t.Errorf("after an hour it is %s", got)
	}
	lines.EmitAt(start.Add(-time.Minute), "a", "x")
	records := lines.Records()
	if len(records) != 2 || !records[0].Timestamp.Equal(start) || !records[1].Timestamp.Equal(start.Add(-time.Minute)) || records[0].Headers[0].Key != "k" {
		t.Errorf("got %+v", records)
	}
}

// Dead letters say where they lie; null values are told from empty ones.
func TestDeadLetters(t *testing.T) {
	in := stream.Input("in", codec.String, func(_ stream.Context, v string) error {
		if v == "" {
			return errors.New("no value")
		}
		return nil
	})
	tt := streamtest.New(t, stream.DefineGroup("g", in), streamtest.Options{Partitions: 1})
	topic := streamtest.NewTopic(tt, "in", codec.String)
	topic.Emit("good", "v")
	topic.EmitNull("null")
	topic.Emit("empty", "")
	tt.Settle()
	var got []string
	for _, d := range tt.DeadLetters() {
		got = append(got, fmt.Sprintf("%s/%d@%d %s %q %v %s", d.Topic, d.Partition, d.Offset, d.Key, d.Value, d.Value == nil, d.Error))
	}
	want := []string{`in/0@1 null "" true no value`, `in/0@2 empty "" false no value`}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// A member may end with an error, if the test says so.
func TestMayFail(t *testing.T) {
	in := stream.Input("in", codec.String, func(_ stream.Context, v string) error { return errors.New("cannot") })
	tt := streamtest.New(t, stream.DefineGroup("g", in), streamtest.Options{
		MayFail: true, Processor: stream.ProcessorOptions{OnFailure: stream.StopOnFailed},
	})
	streamtest.NewTopic(tt, "in", codec.String).Emit("k", "v")
	tt.Settle()
	if m := tt.Members()[0]; m.Up() || m.Err() == nil || !strings.Contains(m.Err().Error(), "cannot") {
		t.Errorf("up %t, error %v", m.Up(), m.Err())
	}
}

// A visitor goes over every key, also over those handled just before.
func TestVisit(t *testing.T) {
	counts := stream.Persist(codec.Int64)
	in := stream.Input("in", codec.Int64, func(ctx stream.Context, n int64) error { return counts.SetValue(ctx, n) }, counts)
	double := stream.Visit("double", counts, func(ctx stream.Context, n int64) error { return counts.SetValue(ctx, 2*n) })
	tt := streamtest.New(t, stream.DefineGroup("g", in, double), streamtest.Options{Processor: stream.ProcessorOptions{Threads: 2}})
	topic := streamtest.NewTopic(tt, "in", codec.Int64)
	want := map[string]int64{}
	for n := range int64(1500) {
		topic.Emit(fmt.Sprint(n), n)
		want[fmt.Sprint(n)] = 2 * n
	}
	tt.Advance(20 * time.Millisecond) // stepped, not committed
	tt.Members()[0].Visit("double")
	if got := streamtest.NewTable(tt, "g-table", codec.Int64).All(); !maps.Equal(got, want) {
		t.Errorf("got %d rows, want %d doubled", len(got), len(want))
	}
}

// The same calls give the same history.
func TestSameHistory(t *testing.T) {
	history := func() []streamtest.Record[[]byte] {
		tt := streamtest.New(t, wordCount(), streamtest.Options{Members: 3, Partitions: 4})
		lines := streamtest.NewTopic(tt, "lines", codec.String)
		for n := range 50 {
			lines.EmitKeyless(fmt.Sprintf("w%d w%d w%d", n%3, n%5, n%7))
			if n == 25 {
				tt.Members()[1].Crash()
			}
			tt.Advance(30 * time.Millisecond)
		}
		tt.Settle()
		return streamtest.NewTopic(tt, "wordcount-table", codec.Bytes).Records()
	}
	one, two := history(), history()
	same := func(a, b streamtest.Record[[]byte]) bool {
		return a.Partition == b.Partition && a.Offset == b.Offset && a.Key == b.Key && string(a.Value) == string(b.Value) && a.Timestamp.Equal(b.Timestamp)
	}
	if !slices.EqualFunc(one, two, same) {
		t.Errorf("%d and %d records, which differ", len(one), len(two))
	}
}
