package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/log/embedded"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// A world is a log in memory with faults, a clock that only the test moves, and
// emitters of one id that number what they emit. Nothing in it has a goroutine,
// so a seed replays the same history.
type world struct {
	t     *testing.T
	rand  *rand.Rand
	fs    *vfs.MemFS
	now   time.Time
	log   *embedded.Log
	calm  bool // no more faults
	born  int  // emitters made
	fates map[string]int
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, rand: rand.New(rand.NewPCG(seed, 1)), fs: vfs.NewCrashableMem(),
		now: time.UnixMilli(1_585_915_200_000), fates: map[string]int{},
	}
	w.open()
	return w
}

func (w *world) open() {
	l, err := embedded.Open("log", embedded.Options{
		FS: w.fs, Now: func() time.Time { return w.now }, ID: "log", Deterministic: true, Faults: w.fate,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.log = l
}

// fate lets every third attempt go wrong, in every way there is.
func (w *world) fate(embedded.Attempt) embedded.Fate {
	if w.calm || w.rand.IntN(3) > 0 {
		return embedded.Fate{Holes: int64(w.rand.IntN(2))}
	}
	f := embedded.Fate{
		Outcome: embedded.Outcome(w.rand.IntN(int(embedded.Prepared) + 1)),
		Holes:   int64(w.rand.IntN(3)),
		After:   time.Duration(w.rand.IntN(1000)) * time.Millisecond,
		Crash:   w.rand.IntN(10) == 0,
	}
	w.fates[fmt.Sprint("outcome ", f.Outcome)]++
	return f
}

// restart opens the log again after it crashed, with what was synced and some
// of what was not.
func (w *world) restart() {
	_ = w.log.Close()
	w.fs = w.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(w.rand.Uint64(), 2))})
	w.open()
}

// A numberer emits the numbers from where the cursor says.
type numberer struct {
	*Emitter[int64]
	next  int64 // to be emitted; -1: the cursor is not known yet
	batch *Batch[int64]
	dead  bool
}

func (w *world) numberer() *numberer {
	w.born++
	for {
		e, err := NewEmitter(&Log{w.log}, "numbers", codec.Int64, EmitterOptions{
			ID: "numberer", Cursors: "cursors", Partitions: 3, MaxBytes: 4 << 10,
			Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return w.now },
			Instance: "instance" + strconv.Itoa(w.born),
		})
		if err == nil {
			return &numberer{Emitter: e, next: -1, batch: e.NewBatch()}
		}
		w.restart()
	}
}

// act hands over a few numbers, or finds out where to begin.
func (w *world) act(n *numberer, limit int64) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // whatever would wait returns at once
	if n.next < 0 {
		select {
		case <-n.core.machine.cursors.ready:
		default:
			return
		}
		value, ok, err := n.Cursor(context.Background(), "number")
		if err != nil {
			return
		}
		n.next = 0
		if ok {
			n.next = must(strconv.ParseInt(string(value), 10, 64))
		}
	}
	for range min(w.rand.Int64N(20), limit-n.next) {
		var key []byte
		if w.rand.IntN(4) > 0 {
			key = fmt.Appendf(nil, "key %d", n.next%7)
		}
		if err := n.batch.Add(key, n.next); err != nil {
			w.t.Fatal(err)
		}
		n.next++
		n.batch.Cursor("number", strconv.AppendInt(nil, n.next, 10))
	}
	if err := n.Send(ctx, n.batch); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, log.ErrFenced) && !errors.Is(err, log.ErrClosed) {
		w.t.Fatal(err)
	}
}

// step drives the machine as Run does.
func (w *world) step(n *numberer) error {
	if n.dead {
		return nil
	}
	_, err := n.core.machine.step(context.Background(), w.now)
	if err != nil {
		n.core.queue.end(err)
		n.core.machine.close()
		n.dead = true
	}
	return err
}

// all reads every committed number, and the committed cursor.
func (w *world) all() (numbers map[int32][]int64, cursor int64) {
	ctx := context.Background()
	numbers = map[int32][]int64{}
	w.read("numbers", 3, func(p int32, rec *record.Record) {
		numbers[p] = append(numbers[p], must(codec.Int64.Decode(rec.Value)))
	})
	w.read("cursors", 1, func(_ int32, rec *record.Record) {
		if string(rec.Key) == "numberer/number" {
			cursor = must(strconv.ParseInt(string(rec.Value), 10, 64))
		}
	})
	if open := must(w.log.OpenTransactions(ctx)); len(open) > 0 {
		w.t.Errorf("open transactions: %v", open)
	}
	return numbers, cursor
}

// read reads a topic from start to end.
func (w *world) read(topic string, partitions int32, f func(int32, *record.Record)) {
	r := w.log.NewReader(log.ReaderOptions{})
	defer r.Close()
	for p := range partitions {
		r.Seek(record.Partition{Topic: topic, Number: p}, 0)
	}
	for {
		fetched := must(r.Poll())
		if len(fetched) == 0 {
			return
		}
		for _, got := range fetched {
			if got.Err != nil {
				w.t.Fatal(got.Err)
			}
			for _, b := range got.Batches {
				for records := b.Reader(); records.Next(); {
					f(got.Partition.Number, records.Record())
				}
			}
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Whatever happens to transactions, to the log and to emitters, each number is
// committed once, all before the committed cursor and none behind it. Emitters
// that were replaced go on for a while, and may cost the new one its life, but
// no number.
func TestEmitterIsExactlyOnceUnderEveryFault(t *testing.T) {
	const limit = 500
	total := map[string]int{}
	for seed := range uint64(100) {
		w := newWorld(t, seed)
		w.emit(seed, limit)
		numbers, cursor := w.all()
		check(t, seed, numbers, cursor, limit)
		_ = w.log.Close()
		for k, v := range w.fates {
			total[k] += v
		}
	}
	t.Log(total)
}

// emit runs emitters until all numbers are committed.
func (w *world) emit(seed uint64, limit int64) {
	const troubled, atMost = 2000, 20000 // rounds
	n := w.numberer()
	var zombies []*numberer
	for round := 0; !n.done(limit); round++ {
		if round == atMost {
			w.t.Fatalf("seed %d: no end", seed)
		}
		w.calm = round > troubled
		w.now = w.now.Add(time.Duration(w.rand.IntN(200)) * time.Millisecond)
		if !w.calm && len(zombies) > 0 && w.rand.IntN(10) == 0 && seed%2 == 0 {
			z := zombies[w.rand.IntN(len(zombies))]
			w.act(z, limit)
			for range w.rand.IntN(6) {
				_ = w.step(z)
			}
		}
		w.act(n, limit)
		err := w.step(n)
		switch {
		case errors.Is(err, log.ErrFenced):
			if seed%2 == 1 {
				w.t.Fatalf("seed %d: fenced, but nobody else ran: %v", seed, err)
			}
			w.fates["fenced"]++
			n = w.numberer()
		case err != nil || w.log.Tick(context.Background()) != nil:
			w.fates["log died"]++
			w.restart()
			zombies, n = nil, w.numberer()
		case !w.calm && (w.rand.IntN(50) == 0 || n.inDoubt() && w.rand.IntN(3) == 0):
			w.fates["replaced"]++
			zombies, n = append(zombies, n), w.numberer()
		}
	}
	w.calm = true
}

func (n *numberer) inDoubt() bool { f := n.core.machine.flight; return f != nil && f.doubt }

// done: all numbers were handed over and committed.
func (n *numberer) done(limit int64) bool {
	return n.next == limit && n.batch.load.empty() && n.core.machine.idle()
}

func check(t *testing.T, seed uint64, numbers map[int32][]int64, cursor, limit int64) {
	t.Helper()
	var all []int64
	for p, got := range numbers {
		all = append(all, got...)
		if !slices.IsSorted(got) {
			t.Errorf("seed %d: partition %d is out of order: %v", seed, p, got)
		}
	}
	slices.Sort(all)
	if int64(len(all)) != limit || all[0] != 0 || all[limit-1] != limit-1 || len(slices.Compact(all)) != int(limit) {
		t.Errorf("seed %d: numbers are lost or doubled: %v", seed, all)
	}
	if cursor != limit {
		t.Errorf("seed %d: cursor %d, want %d", seed, cursor, limit)
	}
}

func TestEmitterBackoffGrowsAndIsTheSameAgain(t *testing.T) {
	m := &emitMachine{o: &EmitterOptions{Instance: "x"}}
	for m.failures = range 100 {
		full := min(50*time.Millisecond<<min(m.failures, 10), 5*time.Second)
		if got := m.backoff(); got > full || got < full/2 || got != m.backoff() {
			t.Fatalf("after %d failures: %v", m.failures, got)
		}
	}
}
