package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/log/embedded"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// memoryLog returns a log in memory, with or without faults.
func memoryLog(t *testing.T, faults embedded.Faults) *Log {
	t.Helper()
	l, err := embedded.Open("log", embedded.Options{FS: vfs.NewMem(), Deterministic: true, Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &Log{l}
}

func quiet(o EmitterOptions) EmitterOptions {
	o.Logger = slog.New(slog.DiscardHandler)
	if o.ID == "" {
		o.ID = "e"
	}
	return o
}

func newTestEmitter(t *testing.T, l *Log, o EmitterOptions) *Emitter[string] {
	t.Helper()
	e, err := NewEmitter(l, "words", codec.String, quiet(o))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// start runs an emitter and returns a function that stops it and returns what
// Run returned.
func start[V any](t *testing.T, e *Emitter[V]) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- e.Run(ctx) }()
	return func() error { cancel(); return <-result }
}

// words reads all that is committed to the topic, by partition.
func words(t *testing.T, l *Log) map[int32][]string {
	t.Helper()
	got := map[int32][]string{}
	topics, err := l.keeper.Topics(t.Context(), "words")
	if err != nil || len(topics) != 1 {
		t.Fatal(topics, err)
	}
	r := l.keeper.NewReader(log.ReaderOptions{})
	defer r.Close()
	for p := range topics[0].Partitions {
		r.Seek(record.Partition{Topic: "words", Number: p}, 0)
	}
	for {
		fetched, err := r.Poll()
		if err != nil {
			t.Fatal(err)
		}
		if len(fetched) == 0 {
			return got
		}
		for _, f := range fetched {
			for _, b := range f.Batches {
				for records := b.Reader(); records.Next(); {
					got[f.Partition.Number] = append(got[f.Partition.Number], string(records.Record().Value))
				}
			}
		}
	}
}

func TestEmitterCommitsInTheOrderOfTheCalls(t *testing.T) {
	l := memoryLog(t, nil)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	e := newTestEmitter(t, l, EmitterOptions{Partitions: 1, CommitInterval: time.Millisecond})
	stop := start(t, e)
	ctx := t.Context()
	var want []string
	b := e.NewBatch()
	for i := range 300 {
		word := fmt.Sprint(i)
		want = append(want, word)
		var err error
		if i%3 == 0 {
			err = errors.Join(b.Add([]byte("k"), word), e.Send(ctx, b))
		} else {
			err = e.Emit(ctx, "k", word)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if got := words(t, l)[0]; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestEmitterCommitsWhatWasHandedOverWhenItIsStopped(t *testing.T) {
	l := memoryLog(t, nil)
	e := newTestEmitter(t, l, EmitterOptions{Partitions: 1, CommitInterval: time.Hour})
	for _, word := range []string{"a", "b"} {
		if err := e.Emit(t.Context(), "", word); err != nil {
			t.Fatal(err)
		}
	}
	if err := start(t, e)(); err != nil {
		t.Error(err)
	}
	if got := words(t, l)[0]; !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %q", got)
	}
	if err := e.Emit(t.Context(), "", "c"); !errors.Is(err, errStopped) {
		t.Errorf("Emit after the end: %v", err)
	}
	if err := e.Flush(t.Context()); err != nil {
		t.Errorf("Flush with nothing left to commit: %v", err)
	}
	if err := e.Run(t.Context()); err == nil {
		t.Error("Run ran twice")
	}
}

func TestEmitterResumesAtTheCursor(t *testing.T) {
	l := memoryLog(t, nil)
	o := EmitterOptions{Cursors: "cursors"}
	e := newTestEmitter(t, l, o)
	stop := start(t, e)
	if _, ok, err := e.Cursor(t.Context(), "file/a"); ok || err != nil {
		t.Fatal("a cursor out of nowhere", err)
	}
	b := e.NewBatch()
	b.Cursor("file/a", []byte("1"))
	b.Cursor("file/b", []byte("5"))
	b.Cursor("file/a", []byte("2"))
	if err := e.Send(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	other := newTestEmitter(t, l, EmitterOptions{ID: "another", Cursors: "cursors"})
	again := newTestEmitter(t, l, o)
	defer start(t, other)()
	defer start(t, again)()
	if _, ok, err := other.Cursor(t.Context(), "file/a"); ok || err != nil {
		t.Error("the other emitter sees a cursor that is not its own", err)
	}
	if v, ok, err := again.Cursor(t.Context(), "file/a"); string(v) != "2" || !ok || err != nil {
		t.Errorf("got %q, %v, %v", v, ok, err)
	}
	found := map[string]string{}
	if err := again.Cursors(t.Context(), "file/", func(name string, value []byte) { found[name] = string(value) }); err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 || found["file/a"] != "2" || found["file/b"] != "5" {
		t.Errorf("got %v", found)
	}
}

func TestEmitterOfTheSameIDFencesTheEarlierOne(t *testing.T) {
	l := memoryLog(t, nil)
	first := newTestEmitter(t, l, EmitterOptions{ID: "twin", Cursors: "cursors"})
	stop := start(t, first)
	if err := errors.Join(first.Emit(t.Context(), "", "a"), first.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	second := newTestEmitter(t, l, EmitterOptions{ID: "twin", Cursors: "cursors"})
	defer start(t, second)()
	if err := errors.Join(second.Emit(t.Context(), "", "b"), second.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	if err := first.Emit(t.Context(), "", "c"); err != nil {
		t.Fatal(err)
	}
	if err := first.Flush(t.Context()); !errors.Is(err, ErrFenced) {
		t.Errorf("Flush: %v", err)
	}
	if err := stop(); !errors.Is(err, ErrFenced) || !strings.Contains(err.Error(), "twin") {
		t.Errorf("Run: %v", err)
	}
}

func TestEmitterWithoutCursorsStopsInDoubt(t *testing.T) {
	l := memoryLog(t, func(embedded.Attempt) embedded.Fate { return embedded.Fate{Outcome: embedded.LostAfter} })
	e := newTestEmitter(t, l, EmitterOptions{})
	stop := start(t, e)
	if err := e.Emit(t.Context(), "", "a"); err != nil {
		t.Fatal(err)
	}
	if err := e.Flush(t.Context()); !errors.Is(err, log.ErrInDoubt) || !strings.Contains(err.Error(), "Cursors") {
		t.Errorf("Flush: %v", err)
	}
	if err := stop(); !errors.Is(err, log.ErrInDoubt) {
		t.Errorf("Run: %v", err)
	}
	b := e.NewBatch()
	b.Cursor("x", nil)
	if err := e.Send(t.Context(), b); !errors.Is(err, errNoCursors) {
		t.Errorf("Send of a cursor: %v", err)
	}
}

func TestEmitterGivesUpWhenItsTimeToStopIsOver(t *testing.T) {
	tried := make(chan struct{}, 1)
	l := memoryLog(t, func(embedded.Attempt) embedded.Fate {
		select {
		case tried <- struct{}{}:
		default:
		}
		return embedded.Fate{Outcome: embedded.Refused}
	})
	e := newTestEmitter(t, l, EmitterOptions{StopTimeout: time.Millisecond})
	if err := e.Emit(t.Context(), "", "a"); err != nil {
		t.Fatal(err)
	}
	stop := start(t, e)
	<-tried
	if err := stop(); !errors.Is(err, context.Canceled) || !errors.Is(err, log.ErrUnavailable) {
		t.Errorf("Run: %v", err)
	}
}

func TestEmitterSendBlocksWhileTooMuchWaits(t *testing.T) {
	l := memoryLog(t, nil)
	e := newTestEmitter(t, l, EmitterOptions{MaxBytes: 1000, Partitions: 1, CommitInterval: time.Hour})
	synctest.Test(t, func(t *testing.T) {
		e.core.queue.moved = make(chan struct{}) // of this bubble
		big := strings.Repeat("x", 5000)
		if err := e.Emit(t.Context(), "", big); err != nil {
			t.Fatal("one record of any size must be taken:", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := e.Emit(ctx, "", "y"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the second one: %v", err)
		}
	})
	e.core.queue.moved = make(chan struct{})
	stop := start(t, e)
	for range 100 { // with an interval of an hour, only whoever is blocked makes it commit
		if err := e.Emit(t.Context(), "", strings.Repeat("z", 400)); err != nil {
			t.Fatal(err)
		}
		if n := e.core.queue.size(); n > 6000 {
			t.Fatalf("%d bytes wait", n)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if got := len(words(t, l)[0]); got != 101 {
		t.Errorf("%d records", got)
	}
}

func TestEmitterNamesWhatIsWrongWithItsTopics(t *testing.T) {
	l := memoryLog(t, nil)
	if _, err := NewEmitter(l, "words", codec.String, quiet(EmitterOptions{NoCreate: true})); !errors.Is(err, ErrUnknownTopic) || !strings.Contains(err.Error(), "words") {
		t.Errorf("missing topic: %v", err)
	}
	if err := l.keeper.CreateTopic(t.Context(), log.Topic{Name: "c", Partitions: 2, Cleanup: log.Compact}); err != nil {
		t.Fatal(err)
	}
	if _, err := NewEmitter(l, "words", codec.String, quiet(EmitterOptions{Cursors: "c"})); err == nil || !strings.Contains(err.Error(), "one partition") {
		t.Errorf("cursors in two partitions: %v", err)
	}
	for _, id := range []string{"", "a/b"} {
		if _, err := NewEmitter(l, "words", codec.String, EmitterOptions{ID: id}); err == nil {
			t.Errorf("id %q was accepted", id)
		}
	}
}

func TestEmitterSpreadsRecordsWithoutKey(t *testing.T) {
	l := memoryLog(t, nil)
	e := newTestEmitter(t, l, EmitterOptions{Partitions: 4})
	b := e.NewBatch()
	for range 8 {
		for range 3 {
			if err := b.Add(nil, "x"); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.Send(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if err := start(t, e)(); err != nil {
		t.Fatal(err)
	}
	for p, got := range words(t, l) {
		if len(got) != 6 {
			t.Errorf("partition %d has %d records", p, len(got))
		}
	}
}

func TestEmitterTellsAMetricOnce(t *testing.T) {
	l := memoryLog(t, nil)
	r := prometheus.NewPedanticRegistry()
	for range 2 {
		e := newTestEmitter(t, l, EmitterOptions{Metrics: r})
		if err := e.Emit(t.Context(), "", "a"); err != nil {
			t.Fatal(err)
		}
		if err := start(t, e)(); err != nil {
			t.Fatal(err)
		}
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if len(f.Metric) != 1 {
			t.Errorf("%s is there %d times", f.GetName(), len(f.Metric))
		}
		if f.GetName() == "tagtide_emitter_records_total" && f.Metric[0].GetCounter().GetValue() != 1 {
			t.Errorf("got %v", f)
		}
	}
	if len(families) != 6 {
		t.Errorf("%d metrics", len(families))
	}
}

func BenchmarkEmitter(b *testing.B) {
	l, err := OpenEmbedded(b.TempDir(), EmbeddedOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	e, err := NewEmitter(l, "words", codec.String, quiet(EmitterOptions{Cursors: "cursors"}))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	batch := e.NewBatch()
	value := strings.Repeat("x", 120)
	key := []byte("x:1245999999999999001")
	now := time.Now()
	b.SetBytes(int64(len(key) + len(value)))
	for i := 0; b.Loop(); i++ {
		key[len(key)-1] = byte(i)
		if err := batch.AddAt(now, key, value); err != nil {
			b.Fatal(err)
		}
		if batch.Bytes() > 256<<10 {
			if err := e.Send(ctx, batch); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := e.Flush(ctx); err != nil {
		b.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

// What concerns all partitions is in each of them, once.
func TestAddAllAddsToEveryPartition(t *testing.T) {
	l := memoryLog(t, nil)
	e := newTestEmitter(t, l, EmitterOptions{Partitions: 3})
	stop := start(t, e)
	b := e.NewBatch()
	if err := b.AddAll(time.UnixMilli(7), []byte("k"), "everywhere", Header{Key: "h", Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if err := e.Send(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	seen := map[int32]int{}
	err := ReadTopic(t.Context(), l, "words", func(r Record) error {
		if string(r.Key) != "k" || string(r.Value) != "everywhere" || r.Timestamp.UnixMilli() != 7 || len(r.Headers) != 1 {
			t.Errorf("partition %d has %v", r.Partition, r)
		}
		seen[r.Partition]++
		return nil
	})
	if err != nil || len(seen) != 3 || seen[0] != 1 || seen[1] != 1 || seen[2] != 1 {
		t.Errorf("records by partition: %v, %v", seen, err)
	}
}

// An emitter that runs takes up partitions that are added: a batch that was begun
// before keeps to those that there were, the next reaches all of them, also with
// the memory of an earlier one.
func TestEmitterTakesUpAddedPartitions(t *testing.T) {
	l := memoryLog(t, nil)
	e := newTestEmitter(t, l, EmitterOptions{Partitions: 2})
	now := noon
	step := func() {
		t.Helper()
		for busy := true; busy; {
			var err error
			if busy, err = e.Driver().Step(t.Context(), now); err != nil {
				t.Fatal(err)
			}
		}
	}
	b := e.NewBatch()
	send := func() {
		t.Helper()
		if err := e.Send(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
		step()
	}
	addAll := func(v string) {
		t.Helper()
		if err := b.AddAll(now, []byte("k"), v); err != nil {
			t.Fatal(err)
		}
	}
	addAll("first")
	send()
	addAll("open")
	grow(t, l, "words", 5)
	now = e.Driver().Wake()
	step()
	addAll("open")
	send()
	addAll("all")
	keyed := slices.IndexFunc([]string{"a", "b", "c", "d"}, func(k string) bool { return FNV.Of([]byte(k), 5) >= 2 })
	key := string(rune('a' + keyed))
	if err := errors.Join(b.Add([]byte(key), "batch"), e.Emit(t.Context(), key, "emit")); err != nil {
		t.Fatal(err)
	}
	send()
	want := map[int32][]string{0: {"first", "open", "open", "all"}, 1: {"first", "open", "open", "all"}, 2: {"all"}, 3: {"all"}, 4: {"all"}}
	at := FNV.Of([]byte(key), 5)
	want[at] = append([]string{"emit"}, append(want[at], "batch")...)
	if got := words(t, l); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %v, want %v", got, want)
	}
}
