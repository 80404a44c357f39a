package view

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/tagtide/tagtide/internal/spelling"
	"github.com/tagtide/tagtide/internal/totals"
	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
)

// A post that nobody has handled must be missed by either table's lag: the
// tables are measured one after the other, so neither can answer for both.
func TestEachTableMissesAPostThatIsNotHandled(t *testing.T) {
	l, err := stream.OpenEmbedded("", stream.EmbeddedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	g, handled := group()
	p, err := stream.NewProcessor(l, g, stream.ProcessorOptions{Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, p)
	emit(t, l)
	<-handled
	stop()
	emit(t, l)

	v, err := New(l, g, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer run(t, v)()
	for name, table := range map[string]interface{ Freshness() stream.Freshness }{"counts": v.counts, "spellings": v.displays, "totals": v.totals} {
		for deadline := time.Now().Add(20 * time.Second); table.Freshness().Lag < 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: lag is not measured: %+v", name, table.Freshness())
			}
		}
		if lag := table.Freshness().Lag; lag < 1 {
			t.Errorf("%s: lag %d with one post to be handled", name, lag)
		}
	}
	if lag := v.Freshness().Lag; lag < 1 {
		t.Errorf("together: lag %d with one post to be handled", lag)
	}
}

func TestTogetherIsTheWorseOfTheTwo(t *testing.T) {
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	fresh := stream.Freshness{State: stream.Running, AsOf: late}
	for name, c := range map[string]struct{ other, want stream.Freshness }{
		"behind":       {stream.Freshness{State: stream.Running, AsOf: early, Lag: 3}, stream.Freshness{State: stream.Running, AsOf: early, Lag: 3}},
		"not measured": {stream.Freshness{State: stream.Running, Lag: -1}, stream.Freshness{State: stream.Running, Lag: -1}},
		"restoring":    {stream.Freshness{State: stream.Restoring, Lag: -1, Progress: .5}, stream.Freshness{State: stream.Restoring, Lag: -1, Progress: .5}},
		"disconnected": {stream.Freshness{State: stream.Disconnected, AsOf: early, Lag: -1}, stream.Freshness{State: stream.Disconnected, AsOf: early, Lag: -1}},
	} {
		if a, b := together(fresh, c.other), together(c.other, fresh); a != c.want || b != c.want {
			t.Errorf("%s: %+v and %+v, want %+v", name, a, b, c.want)
		}
	}
}

func TestRowsAreShownAsTheyAreSpelledMost(t *testing.T) {
	l, err := stream.OpenEmbedded("", stream.EmbeddedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	counts, spellings := stream.Persist(codec.Int64), stream.NamedTable(spelling.Table, spelling.Displays)
	g := stream.DefineGroup("hashtags", stream.NamedTable(totals.Table, codec.Int64),
		stream.Input("posts", codec.String, func(ctx stream.Context, display string) error {
			if display == "" {
				return errors.Join(spellings.Delete(ctx), counts.SetValue(ctx, 1))
			}
			return errors.Join(spellings.SetValue(ctx, display), counts.SetValue(ctx, int64(len(display))))
		}, counts, spellings))
	p, err := stream.NewProcessor(l, g, stream.ProcessorOptions{Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer run(t, p)()
	v, err := New(l, g, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer run(t, v)()
	for _, c := range []struct{ emitted, display string }{{"COVID19", "COVID19"}, {"Covid-19", "Covid-19"}, {"", "covid19"}} {
		emitted(t, l, "covid19", c.emitted)
		deadline := time.Now().Add(20 * time.Second)
		for count := int64(max(1, len(c.emitted))); ; time.Sleep(time.Millisecond) {
			row, _ := v.Index().Get("covid19")
			if row.Display == c.display && row.Count == count {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%+v, want it shown as %q", row, c.display)
			}
		}
	}
}

// group counts posts in both of a hashtags group's tables, and tells of each.
func group() (g *stream.GroupGraph, handled <-chan struct{}) {
	counts := stream.Persist(codec.Int64)
	spellings := stream.NamedTable(spelling.Table, spelling.Displays)
	sums := stream.NamedTable(totals.Table, codec.Int64)
	posts := make(chan struct{}, 8)
	input := stream.Input("posts", codec.String, func(ctx stream.Context, _ string) error {
		posts <- struct{}{}
		return sums.SetValue(ctx, 1)
	}, counts, spellings, sums)
	return stream.DefineGroup("hashtags", input), posts
}

func emit(t *testing.T, l *stream.Log) {
	t.Helper()
	emitted(t, l, "key", "a post")
}

func emitted(t *testing.T, l *stream.Log, key, value string) {
	t.Helper()
	e, err := stream.NewEmitter(l, "posts", codec.String, stream.EmitterOptions{ID: "test", Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer run(t, e)()
	if err := e.Emit(t.Context(), key, value); err != nil {
		t.Fatal(err)
	}
	if err := e.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, part interface{ Run(context.Context) error }) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := part.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return func() { cancel(); wg.Wait() }
}
