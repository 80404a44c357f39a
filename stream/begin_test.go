package stream

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/thread"
)

// A between is a log in which something happens right after positions were read.
type between struct {
	log.Log
	then func()
}

// Positions implements [log.Log].
func (b *between) Positions(ctx context.Context, group string, ps ...record.Partition) (map[record.Partition]int64, error) {
	positions, err := b.Log.Positions(ctx, group, ps...)
	if then := b.then; then != nil {
		b.then = nil
		then()
	}
	return positions, err
}

// counted is a group with a table, and its topics: an input of two partitions.
func counted(t *testing.T, l *Log) (*GroupGraph, *thread.Topics) {
	t.Helper()
	table := NamedTable("totals", codec.Int64).PerPartition()
	g := DefineGroup("g", Input("in", codec.String, func(Context, string) error { return nil }, table))
	topics, err := ensureGroupTopics(t.Context(), l.keeper, g, &ProcessorOptions{Partitions: 2})
	if err != nil {
		t.Fatal(err)
	}
	return g, thread.NewTopics(topics)
}

// put writes one record.
func put(t *testing.T, l *Log, topic string, partition int32, timestamp time.Time, key, value string) {
	t.Helper()
	p, err := l.keeper.Producer(t.Context(), "put")
	if err != nil {
		t.Fatal(err)
	}
	b := &record.Builder{}
	b.Append(timestamp.UnixMilli(), []byte(key), []byte(value))
	write := log.Write{Partition: record.Partition{Topic: topic, Number: partition}, Records: b}
	if _, err := p.Commit(t.Context(), &log.Txn{Writes: []log.Write{write}}); err != nil {
		t.Fatal(err)
	}
}

func positionsOf(t *testing.T, l *Log) map[int32]int64 {
	t.Helper()
	at := map[int32]int64{}
	found, err := l.keeper.Positions(t.Context(), "g", record.Partition{Topic: "in"}, record.Partition{Topic: "in", Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	for p, next := range found {
		at[p.Number] = next
	}
	return at
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// A group begins once, in all partitions, and whoever comes later leaves it so.
func TestAGroupBeginsOnceInAllPartitions(t *testing.T) {
	for name, c := range map[string]struct {
		start thread.Start
		want  map[int32]int64
	}{
		"newest":    {thread.Start{Newest: true}, map[int32]int64{0: 2, 1: 0}},
		"at a time": {thread.Start{At: noon}, map[int32]int64{0: 1, 1: 0}},
		"oldest":    {thread.Start{}, map[int32]int64{}},
	} {
		t.Run(name, func(t *testing.T) {
			l := memoryLog(t, nil)
			g, topics := counted(t, l)
			put(t, l, "in", 0, noon.Add(-time.Hour), "k", "before")
			put(t, l, "in", 0, noon, "k", "at noon")
			for range 2 {
				b := &beginning{log: l.keeper, graph: &g.topology, start: c.start, topics: topics}
				if err := b.run(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := positionsOf(t, l); !maps.Equal(got, c.want) {
					t.Errorf("it begins at %v, want %v", got, c.want)
				}
				put(t, l, "in", 1, noon, "k", "later")
			}
		})
	}
}

// Of two that begin at once one is fenced, and finds what the other decided:
// positions never go back, not even if that one has gone on and left meanwhile.
func TestTwoThatBeginAtOnceBeginTogether(t *testing.T) {
	l := memoryLog(t, nil)
	g, topics := counted(t, l)
	newest := func(l log.Log) *beginning {
		return &beginning{log: l, graph: &g.topology, start: thread.Start{Newest: true}, topics: topics}
	}
	slow := newest(&between{l.keeper, func() {
		put(t, l, "in", 0, noon, "k", "v")
		if err := newest(l.keeper).run(t.Context()); err != nil {
			t.Error(err)
		}
		put(t, l, "in", 0, noon, "k", "v")
	}})
	if err := slow.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := positionsOf(t, l), (map[int32]int64{0: 1, 1: 0}); !maps.Equal(got, want) {
		t.Errorf("the group begins at %v, want %v as the faster one decided", got, want)
	}
}

// A group with members has begun; and one with rows and without positions has
// lost them, which is not for a beginning to hide.
func TestAGroupThatIsThereDoesNotBegin(t *testing.T) {
	l := memoryLog(t, nil)
	g, topics := counted(t, l)
	put(t, l, "in", 0, noon, "k", "v")
	b := &beginning{log: l.keeper, graph: &g.topology, start: thread.Start{Newest: true}, topics: topics}
	m, err := l.keeper.Join("g", log.JoinOptions{Assign: func([]log.MemberInfo) map[string][]byte { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(t, l, "g-totals-table", 0, noon, "k", "1")
	if err := b.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := positionsOf(t, l); len(got) > 0 {
		t.Errorf("it begins at %v", got)
	}
}

// A log that does not answer for a while is asked again, until nobody wants to
// know any more.
func TestABeginningWaitsForTheLog(t *testing.T) {
	l := memoryLog(t, nil)
	g, topics := counted(t, l)
	ctx, cancel := context.WithCancel(t.Context())
	tries := 0
	b := &beginning{log: &away{l.keeper, func() {
		if tries++; tries == 2 {
			cancel()
		}
	}}, graph: &g.topology, start: thread.Start{Newest: true}, topics: topics}
	if err := b.run(ctx); err != nil || tries != 2 {
		t.Errorf("%v after %d tries, want none and 2", err, tries)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := (&beginning{log: l.keeper, graph: &g.topology, start: thread.Start{Newest: true}, topics: topics}).run(t.Context()); !errors.Is(err, log.ErrClosed) {
		t.Errorf("on a closed log: %v", err)
	}
}

// An away is a log that gives nobody a producer.
type away struct {
	log.Log
	asked func()
}

// Producer implements [log.Log].
func (a *away) Producer(context.Context, string) (log.Producer, error) {
	a.asked()
	return nil, log.ErrUnavailable
}
