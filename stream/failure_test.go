package stream_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/streamtest"
)

// poisoned is a group whose step writes to all that it can, and then fails for
// each of the reasons there are.
func poisoned() *stream.GroupGraph {
	sums := stream.Persist(codec.Int64)
	texts := stream.NamedTable("texts", codec.String)
	again := stream.Loop(codec.Int64, func(ctx stream.Context, n int64) error {
		if ctx.Key() == "poison" {
			return errors.New("poison in the loop")
		}
		return sums.SetValue(ctx, n)
	}, sums)
	out := stream.Output("out", codec.String)
	huge := strings.Repeat("x", 9<<20)
	step := func(ctx stream.Context, n int64) error {
		err := errors.Join(texts.Set(ctx, "last", "v"), again.Loopback(ctx, ctx.Key(), n), out.Emit(ctx, ctx.Key(), "v"))
		switch ctx.Key() {
		case "error":
			return errors.New("no")
		case "panic":
			panic("what now")
		case "set":
			return texts.Set(ctx, "huge", huge)
		case "emit":
			return out.Emit(ctx, "huge", huge)
		}
		return err
	}
	return stream.DefineGroup("g", stream.Input("in", codec.Int64, step, texts), again, out)
}

// bad feeds a poisoned group, and returns what was counted by reason.
func bad(t *testing.T, policy stream.OnFailure) (tt *streamtest.Tester, counted map[string]float64) {
	registry := prometheus.NewRegistry()
	tt = streamtest.New(t, poisoned(), streamtest.Options{Processor: stream.ProcessorOptions{OnFailure: policy, Metrics: registry}})
	in := streamtest.NewTopic(tt, "in", codec.String)
	for n, key := range []string{"good", "error", "panic", "set", "emit", "decode", "poison", "well"} {
		value := fmt.Sprint(n)
		if key == "decode" {
			value = "no number"
		}
		in.Emit(key, value)
	}
	tt.Settle()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted = map[string]float64{}
	for _, f := range families {
		if f.GetName() != "tagtide_processor_bad_records_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			counted[labels["topic"]+" "+labels["reason"]] = m.GetCounter().GetValue()
		}
	}
	return tt, counted
}

// Whatever is wrong with a record, it leaves nothing behind, stops nothing, and
// is counted by topic and reason; as a dead letter once, or not at all.
func TestBadRecordsLeaveNothingBehind(t *testing.T) {
	for name, policy := range map[string]stream.OnFailure{"dead": stream.DeadLetterFailed, "skip": stream.SkipFailed} {
		t.Run(name, func(t *testing.T) {
			tt, counted := bad(t, policy)
			want := map[string]float64{"in step": 1, "in panic": 1, "in size": 2, "in decode": 1, "g-loop step": 1}
			if !maps.Equal(counted, want) {
				t.Errorf("counted %v, want %v", counted, want)
			}
			sums := streamtest.NewTable(tt, "g-table", codec.Int64)
			if got := sums.All(); !maps.Equal(got, map[string]int64{"good": 0, "well": 7}) {
				t.Errorf("the table is %v", got)
			}
			var out []string
			for _, r := range streamtest.NewTopic(tt, "out", codec.String).Records() {
				out = append(out, r.Key)
			}
			if len(out) != 3 { // poison is fine until it comes back in the loop
				t.Errorf("emitted %v", out)
			}
			letters := map[string]int{}
			for _, d := range tt.DeadLetters() {
				letters[d.Topic+" "+d.Key]++
			}
			every := map[string]int{"in error": 1, "in panic": 1, "in set": 1, "in emit": 1, "in decode": 1, "g-loop poison": 1}
			if policy == stream.SkipFailed {
				every = map[string]int{}
			}
			if !maps.Equal(letters, every) {
				t.Errorf("dead letters %v, want %v", letters, every)
			}
		})
	}
}
