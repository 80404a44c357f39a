package stream_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/internal/log/embedded"
)

// A bed is a log in memory with what runs on it.
type bed struct {
	*testing.T
	log *stream.Log
}

func newBed(t *testing.T) bed {
	l, err := stream.OpenEmbedded("", stream.EmbeddedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return bed{t, l}
}

// emit writes key=value pairs to a topic, in order.
func (b bed) emit(topic string, pairs ...string) {
	b.Helper()
	e, err := stream.NewEmitter(b.log, topic, codec.String, stream.EmitterOptions{ID: "emit-" + topic, Partitions: 2})
	if err != nil {
		b.Fatal(err)
	}
	stop := run(b.Context(), e)
	defer stop()
	for _, p := range pairs {
		key, value, _ := strings.Cut(p, "=")
		if err := e.Emit(b.Context(), key, value); err != nil {
			b.Fatal(err)
		}
	}
	if err := e.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// start runs a group until the test ends, or stop is called.
func (b bed) start(g *stream.GroupGraph, o stream.ProcessorOptions) (p *stream.Processor, stop func()) {
	b.Helper()
	o.Partitions = 2
	p, err := stream.NewProcessor(b.log, g, o)
	if err != nil {
		b.Fatal(err)
	}
	return p, run(b.Context(), p)
}

// handled waits until a group has handled all there is.
func (b bed) handled(g *stream.GroupGraph) {
	b.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if n, err := stream.Backlog(b.Context(), b.log, g); err == nil && n == 0 {
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("group %s does not get done", g.Group())
		}
	}
}

// table folds a topic to the last value of each key.
func (b bed) table(topic string) map[string]string {
	b.Helper()
	rows := map[string]string{}
	err := stream.ReadTopic(b.Context(), b.log, topic, func(r stream.Record) error {
		if r.Value == nil {
			delete(rows, string(r.Key))
		} else {
			rows[string(r.Key)] = string(r.Value)
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return rows
}

func (b bed) want(topic string, want map[string]string) {
	b.Helper()
	if got := b.table(topic); fmt.Sprint(got) != fmt.Sprint(want) {
		b.Errorf("%s has %v, want %v", topic, got, want)
	}
}

// users keeps the last value of each key.
func users() *stream.GroupGraph {
	table := stream.Persist(codec.String)
	return stream.DefineGroup("users", table, stream.Input("signups", codec.String, func(ctx stream.Context, name string) error {
		if name == "gone" {
			return table.Delete(ctx)
		}
		return table.SetValue(ctx, name)
	}, table))
}

func TestJoinAndLookupReadAnotherGroupsTable(t *testing.T) {
	b := newBed(t)
	u := users()
	_, stop := b.start(u, stream.ProcessorOptions{})
	defer stop()
	b.emit("signups", "1=ann", "2=bob", "3=cat", "3=gone")
	b.handled(u)

	joined, looked := stream.Join("users-table", codec.String), stream.Lookup("users-table", codec.String)
	out := stream.Output("greetings", codec.String)
	g := stream.DefineGroup("greeter", looked, out, stream.Input("clicks", codec.String, func(ctx stream.Context, friend string) error {
		name, ok, err := joined.Value(ctx)
		if err != nil {
			return err
		}
		if !ok {
			name = "somebody"
		}
		other, _, err := looked.Get(ctx, friend)
		if err != nil {
			return err
		}
		return out.Emit(ctx, ctx.Key(), name+" meets "+other, stream.Header{Key: "from", Value: []byte(ctx.Topic())})
	}, joined))
	_, stopGreeter := b.start(g, stream.ProcessorOptions{})
	defer stopGreeter()
	b.emit("clicks", "1=2", "2=1", "3=1")
	b.handled(g)
	b.want("greetings", map[string]string{"1": "ann meets bob", "2": "bob meets ann", "3": "somebody meets ann"})
}

func TestVisitReachesEveryKeyOnce(t *testing.T) {
	b := newBed(t)
	counts := stream.Persist(codec.Int64)
	input := stream.Input("hits", codec.String, func(ctx stream.Context, _ string) error {
		n, _, err := counts.Value(ctx)
		if err != nil {
			return err
		}
		return counts.SetValue(ctx, n+1)
	}, counts)
	g := stream.DefineGroup("hits", input, stream.Visit("double", counts, func(ctx stream.Context, n int64) error {
		if n == 1 {
			return counts.Delete(ctx)
		}
		return counts.SetValue(ctx, 2*n)
	}))
	p, stop := b.start(g, stream.ProcessorOptions{})
	var pairs []string
	for i := range 3000 {
		for range 1 + i%3 {
			pairs = append(pairs, fmt.Sprintf("k%d=", i))
		}
	}
	b.emit("hits", pairs...)
	b.handled(g)
	if err := p.VisitAll(b.Context(), "double"); err != nil {
		t.Fatal(err)
	}
	stop()
	want := map[string]string{}
	for i := range 3000 {
		if n := 1 + i%3; n > 1 {
			want[fmt.Sprintf("k%d", i)] = fmt.Sprint(2 * n)
		}
	}
	b.want("hits-table", want)
	if err := p.VisitAll(b.Context(), "triple"); err == nil {
		t.Error("a visitor that does not exist was run")
	}
}

// failing is a group whose step fails, or panics, after it has written.
func failing(dead *int) *stream.GroupGraph {
	table := stream.Persist(codec.String)
	loop := stream.Loop(codec.Int64, func(stream.Context, int64) error { return nil }).Combine(func(a, b int64) int64 { return a + b })
	out := stream.Output("echo", codec.String)
	return stream.DefineGroup("failing", loop, out, stream.Input("in", codec.String, func(ctx stream.Context, v string) error {
		err := errors.Join(table.SetValue(ctx, v), loop.Loopback(ctx, "all", 1), out.Emit(ctx, ctx.Key(), v))
		switch v {
		case "bad":
			return errors.New("bad value")
		case "panic":
			panic("what now")
		}
		return err
	}, table).OnDead(func(stream.Context, []byte) error { *dead++; return nil }))
}

func TestAFailedRecordLeavesNothingButItsDeadLetter(t *testing.T) {
	b := newBed(t)
	dead := 0
	g := failing(&dead)
	_, stop := b.start(g, stream.ProcessorOptions{Threads: 1})
	b.emit("in", "a=good", "b=bad", "c=panic", "d=good", "a=bad")
	b.handled(g)
	stop()
	b.want("failing-table", map[string]string{"a": "good", "d": "good"})
	b.want("echo", map[string]string{"a": "good", "d": "good"})
	b.want("failing-dead", map[string]string{"a": "bad", "b": "bad", "c": "panic"})
	if dead != 3 {
		t.Errorf("%d dead letters were stepped, want 3", dead)
	}
}

func TestSkipAndStop(t *testing.T) {
	b := newBed(t)
	g := failing(new(int))
	_, stop := b.start(g, stream.ProcessorOptions{OnFailure: stream.SkipFailed})
	b.emit("in", "a=good", "b=bad")
	b.handled(g)
	stop()
	b.want("failing-table", map[string]string{"a": "good"})
	b.want("failing-dead", map[string]string{})

	b.emit("in", "c=bad")
	p, err := stream.NewProcessor(b.log, failing(new(int)), stream.ProcessorOptions{OnFailure: stream.StopOnFailed})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err = p.Run(ctx)
	if !errors.Is(err, stream.ErrStepFailed) || !strings.Contains(err.Error(), "bad value") || !strings.Contains(err.Error(), "offset") {
		t.Errorf("stopped with %v, want an error that names the value's fault and its offset", err)
	}
}

func TestWhatIsWrongWithAGraphIsSaidAtOnce(t *testing.T) {
	b := newBed(t)
	shared := stream.Persist(codec.Int64)
	stream.DefineGroup("first", shared)
	nothing := func(stream.Context, string) error { return nil }
	own, late := stream.Persist(codec.String), stream.Input("in", codec.String, nothing)
	tooLate := stream.DefineGroup("g", late)
	late.OnDead(nil).OnSkip(nil).OnFailure(stream.SkipFailed)
	for name, c := range map[string]struct {
		graph *stream.GroupGraph
		says  string
	}{
		"no name":        {stream.DefineGroup("", stream.Input("in", codec.String, nothing)), "name"},
		"no input":       {stream.DefineGroup("g", stream.Persist(codec.Int64)), "Input"},
		"two tables":     {stream.DefineGroup("g", stream.Input("in", codec.String, nothing), stream.Persist(codec.Int64), stream.Persist(codec.Int64)), "g-table"},
		"a foreign edge": {stream.DefineGroup("g", stream.Input("in", codec.String, nothing), shared), "first"},
		"two visits":     {stream.DefineGroup("g", stream.Visit("v", own, nothing), stream.Visit("v", own, nothing), stream.Input("in", codec.String, nothing)), "\"v\""},
		"own table":      {stream.DefineGroup("g", stream.Persist(codec.String), stream.Output("g-table", codec.String), stream.Input("in", codec.String, nothing)), "output g-table"},
		"own dead":       {stream.DefineGroup("g", stream.Output("g-dead", codec.String), stream.Input("in", codec.String, nothing)), "output g-dead"},
		"late OnDead":    {tooLate, "OnDead"},
		"late OnSkip":    {tooLate, "OnSkip"},
		"late OnFailure": {tooLate, "OnFailure"},
		"a bad topic":    {stream.DefineGroup("g", stream.Input("in put", codec.String, nothing)), "in put"},
	} {
		if _, err := stream.NewProcessor(b.log, c.graph, stream.ProcessorOptions{}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want an error that names %q", name, err, c.says)
		}
	}
}

func TestPartitionsThatDoNotFitAreNamed(t *testing.T) {
	b := newBed(t)
	b.emit("left", "a=1")
	table := stream.Persist(codec.String)
	nothing := func(stream.Context, string) error { return nil }
	g := stream.DefineGroup("pair", stream.Input("left", codec.String, nothing, table), stream.Input("right", codec.String, nothing, table))
	p, err := stream.NewProcessor(b.log, g, stream.ProcessorOptions{Partitions: 3})
	if err != nil {
		t.Fatal(err)
	}
	err = p.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "left has 2") || !strings.Contains(err.Error(), "right has 3") {
		t.Errorf("%v, want an error that names both topics and numbers", err)
	}
}

// What is in an input that was deleted and created again may have been counted
// before, or not: nobody can tell but the user.
func TestAnInputCreatedAgainStopsTheGroup(t *testing.T) {
	keeper, err := embedded.OpenMemory(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := bed{t, stream.NewLog(keeper)}
	t.Cleanup(func() { _ = b.log.Close() })
	b.emit("signups", "a=Ann", "b=Bob")
	g := users()
	_, stop := b.start(g, stream.ProcessorOptions{})
	b.handled(g)
	stop()
	if err := keeper.DeleteTopic(t.Context(), "signups"); err != nil {
		t.Fatal(err)
	}
	b.emit("signups", "c=Cid")
	p, err := stream.NewProcessor(b.log, g, stream.ProcessorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := p.Run(ctx); err == nil || !strings.Contains(err.Error(), "signups") || !strings.Contains(err.Error(), "reset") {
		t.Errorf("%v, want an error that names the topic and what to do", err)
	}
	if got := b.table("users-table"); len(got) != 2 {
		t.Errorf("it was counted: %v", got)
	}
}

// An edge that a step uses without the group knowing it must stop the group,
// not send every record to the dead letters.
func TestUndeclaredEdgesStopTheGroup(t *testing.T) {
	b := newBed(t)
	out, table := stream.Output("nowhere", codec.String), stream.Persist(codec.String)
	for name, step := range map[string]stream.Step[string]{
		"output":        func(ctx stream.Context, v string) error { return out.Emit(ctx, "k", v) },
		"table":         func(ctx stream.Context, v string) error { return table.SetValue(ctx, v) },
		"foreign table": func(ctx stream.Context, v string) error { return stream.Join("other", codec.String).SetValue(ctx, v) },
	} {
		topic := "in-" + strings.ReplaceAll(name, " ", "-")
		b.emit(topic, "a=1")
		p, err := stream.NewProcessor(b.log, stream.DefineGroup("undeclared-"+topic, stream.Input(topic, codec.String, step)), stream.ProcessorOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if err := p.Run(ctx); err == nil {
			t.Errorf("%s: the group went on", name)
		}
		cancel()
	}
}

// An edge of another graph may have the index of one that the group has: it
// must not be taken for that one.
func TestEdgesOfAnotherGraphStopTheGroup(t *testing.T) {
	b := newBed(t)
	nothing := func(stream.Context, string) error { return nil }
	table, out := stream.Persist(codec.String), stream.Output("other-out", codec.String)
	loop := stream.Loop(codec.String, nothing).Combine(func(a, _ string) string { return a })
	stream.DefineGroup("other", table, out, loop)
	for name, step := range map[string]stream.Step[string]{
		"output": func(ctx stream.Context, v string) error { return out.Emit(ctx, "k", v) },
		"write":  func(ctx stream.Context, v string) error { return table.SetValue(ctx, v) },
		"read":   func(ctx stream.Context, _ string) error { _, _, err := table.Value(ctx); return err },
		"loop":   func(ctx stream.Context, v string) error { return loop.Loopback(ctx, "k", v) },
	} {
		b.emit("in-"+name, "a=1")
		own := stream.Loop(codec.String, nothing).Combine(func(a, _ string) string { return a })
		g := stream.DefineGroup("mixed-"+name, own, stream.Input("in-"+name, codec.String, step, stream.Persist(codec.String)))
		p, err := stream.NewProcessor(b.log, g, stream.ProcessorOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if err := p.Run(ctx); err == nil || ctx.Err() != nil {
			t.Errorf("%s: the group went on", name)
		}
		cancel()
	}
}

// picky does not encode "bad".
type picky struct{ codec.Codec[string] }

func (p picky) Append(dst []byte, v string) ([]byte, error) {
	if strings.Contains(v, "bad") {
		return dst, errors.New("cannot encode this")
	}
	return p.Codec.Append(dst, v)
}

func TestWhatACombinedLoopCannotEncodeIsADeadLetter(t *testing.T) {
	b := newBed(t)
	table := stream.Persist(codec.String)
	loop := stream.Loop(picky{codec.String}, func(ctx stream.Context, v string) error { return table.SetValue(ctx, v) }, table).
		Combine(func(a, b string) string { return a + b })
	g := stream.DefineGroup("picky", loop, stream.Input("in", codec.String, func(ctx stream.Context, v string) error {
		return loop.Loopback(ctx, ctx.Key(), v)
	}))
	_, stop := b.start(g, stream.ProcessorOptions{})
	b.emit("in", "a=x", "a=bad", "b=bad", "c=y")
	b.handled(g)
	stop()
	b.want("picky-table", map[string]string{"a": "x", "c": "y"})
	b.want("picky-dead", map[string]string{"a": "bad", "b": "bad"})
}
