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

// policies is a group with an edge of each kind that has a policy of its own, and
// one that has none. What became of bad records is counted in its table.
func policies() *stream.GroupGraph {
	fates := stream.Persist(codec.Int64)
	count := func(fate string) stream.Step[[]byte] {
		return func(ctx stream.Context, _ []byte) error {
			n, _, err := fates.Get(ctx, fate)
			return errors.Join(err, fates.Set(ctx, fate, n+1))
		}
	}
	again := stream.Loop(codec.Int64, func(stream.Context, int64) error { return errors.New("no") }).OnFailure(stream.SkipFailed)
	step := func(ctx stream.Context, n int64) error {
		return errors.Join(fates.Set(ctx, "good", n), again.Loopback(ctx, ctx.Key(), n))
	}
	input := func(topic string) *stream.InputEdge[int64] {
		return stream.Input(topic, codec.Int64, step, fates).OnDead(count(topic + " dead")).OnSkip(count(topic + " skipped"))
	}
	return stream.DefineGroup("g", again, input("plain"),
		input("lax").OnFailure(stream.SkipFailed), input("careful").OnFailure(stream.DeadLetterFailed))
}

// An edge's policy comes before the processor's, and what is counted in the place
// of a bad record is counted as exactly as what is counted of a good one.
func TestAnEdgeMayHaveItsOwnPolicy(t *testing.T) {
	for policy, plain := range map[stream.OnFailure]string{stream.DeadLetterFailed: "dead", stream.SkipFailed: "skipped"} {
		tt := streamtest.New(t, policies(), streamtest.Options{Processor: stream.ProcessorOptions{OnFailure: policy}})
		letters := map[string]int{"careful": 2}
		if plain == "dead" {
			letters["plain"] = 2
		}
		for _, topic := range []string{"plain", "lax", "careful"} {
			in := streamtest.NewTopic(tt, topic, codec.String)
			for _, value := range []string{"no number", "1", "none either"} {
				in.Emit("k", value)
			}
		}
		tt.Settle()
		want := map[string]int64{"plain " + plain: 2, "lax skipped": 2, "careful dead": 2, "good": 1}
		if got := streamtest.NewTable(tt, "g-table", codec.Int64).All(); !maps.Equal(got, want) {
			t.Errorf("counted %v, want %v", got, want)
		}
		got := map[string]int{}
		for _, d := range tt.DeadLetters() {
			got[d.Topic]++
		}
		if !maps.Equal(got, letters) {
			t.Errorf("dead letters %v, want %v", got, letters)
		}
	}
}

// One edge that must not lose a record stops the group, though others may.
func TestAnEdgeMayStopTheGroup(t *testing.T) {
	b := newBed(t)
	g := stream.DefineGroup("strict", stream.Input("in", codec.Int64, func(stream.Context, int64) error { return nil }).OnFailure(stream.StopOnFailed))
	p, err := stream.NewProcessor(b.log, g, stream.ProcessorOptions{OnFailure: stream.SkipFailed})
	if err != nil {
		t.Fatal(err)
	}
	b.emit("in", "a=no number")
	if err := p.Run(t.Context()); !errors.Is(err, stream.ErrStepFailed) {
		t.Errorf("the group stopped with %v", err)
	}
}
