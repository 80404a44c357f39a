package main

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tagtide/tagtide/processor"
	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/view"
)

// runAll runs parts until the returned function is called.
func runAll(t *testing.T, parts ...interface{ Run(context.Context) error }) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, p := range parts {
		wg.Go(func() {
			if err := p.Run(ctx); err != nil {
				t.Errorf("%T: %v", p, err)
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

// settle waits until v has everything that is committed by now.
func settle(t *testing.T, v *view.View) {
	t.Helper()
	since := time.Now()
	for deadline := since.Add(30 * time.Second); ; {
		if f := v.Freshness(); f.State == stream.Running && f.Lag == 0 && f.AsOf.After(since) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not settled: %+v", v.Freshness())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// emit sends 300 posts with a common tag and one that two share, 10 notices, and 7 records that are no posts.
func emit(t *testing.T, l *stream.Log) {
	t.Helper()
	e, err := stream.NewEmitter(l, "tweets", codec.Bytes, stream.EmitterOptions{ID: "test"})
	if err != nil {
		t.Fatal(err)
	}
	stop := runAll(t, e)
	defer stop()
	b := e.NewBatch()
	add := func(key string, value []byte) {
		if err := b.Add([]byte(key), value); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		add(fmt.Sprint(i), fmt.Appendf(nil, `{"id_str":"%d","text":"#Common #tag%d","entities":{"hashtags":[{"text":"Common"},{"text":"tag%d"}]}}`, i, i/2, i/2))
	}
	for i := range 10 {
		add(fmt.Sprint("s", i), []byte(`{"limit":{"track":3}}`))
	}
	for i := range 7 {
		add(fmt.Sprint("d", i), []byte("no post"))
	}
	if err := e.Send(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := e.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A view must tell the same from the topic, from its own store, and while it
// follows; and totals are sums over all partitions.
func TestViewTellsTheSameHoweverItStarts(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	l, err := stream.OpenEmbedded("", stream.EmbeddedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	graph := processor.Graph(processor.Options{})
	p, err := stream.NewProcessor(l, graph, stream.ProcessorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	state, err := stream.OpenState(t.TempDir(), stream.StateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()

	look := func(name string, state *stream.State) {
		v, err := view.New(l, graph, view.Options{State: state})
		if err != nil {
			t.Fatal(err)
		}
		stop := runAll(t, v)
		defer stop()
		settle(t, v)
		got := map[string]int64{}
		for r := range v.Index().All() {
			got[r.Tag] = r.Count
		}
		want := map[string]int64{"common": 300}
		for i := range 150 {
			want[fmt.Sprint("tag", i)] = 2
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: %d tags, common %d; want %d and 300", name, len(got), got["common"], len(want))
		}
		totals := v.Totals()
		totals.PostsPerSecond = 0
		if want := (view.Totals{Posts: 300, Uses: 600, Skipped: 10, DeadLetters: 7}); totals != want {
			t.Errorf("%s: %+v, want %+v", name, totals, want)
		}
	}
	stop := runAll(t, p)
	defer stop()
	emit(t, l)
	look("from the topic", state)
	look("from its own store", state)
	look("without a store", nil)
}
