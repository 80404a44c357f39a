package embedded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/tagtide/tagtide/stream/internal/crashfs"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// A history is a log with small memory tables that lives through everything
// there is, and knows what must be found after a crash at any moment:
//
//	step 1       step 2       step 3
//	├────────────┼────────────┼──── …
//	             dump 2   ▲   dump 3
//	                      └ a crash here leaves one of the two
type history struct {
	t    testing.TB
	log  *Log
	rng  *rand.Rand
	step int // of the records' values

	mu    sync.Mutex
	dumps []string // after each step
}

var (
	tweets = []record.Partition{{Topic: "tweets"}, {Topic: "tweets", Number: 1}}
	table  = record.Partition{Topic: "table"}
)

const historyGroup = "g"

// small makes flushes and compactions happen all the time.
func small(o *pebble.Options) {
	o.MemTableSize = 64 << 10
	for i := range o.TargetFileSizes {
		o.TargetFileSizes[i] = 32 << 10
	}
}

func historyOptions(fs vfs.FS, fate *Fate) Options {
	return Options{
		FS: fs, ID: "history", Deterministic: true, tune: func(o *pebble.Options) {
			small(o)
			o.DisableAutomaticCompactions = false
			o.L0StopWritesThreshold = 100
		},
		Now: func() time.Time { return time.Unix(1600000000, 0) },
		Faults: func(Attempt) Fate {
			f := *fate
			*fate = Fate{}
			return f
		},
	}
}

// done notes that a step is over.
func (h *history) done() {
	d, err := dump(h.log)
	if err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dumps = append(h.dumps, d)
}

// live makes the steps.
func (h *history) live(fate *Fate) {
	ctx := context.Background()
	must := func(err error) {
		h.t.Helper()
		if err != nil {
			h.t.Fatal(err)
		}
	}
	must(h.log.CreateTopic(ctx, log.Topic{Name: "tweets", Partitions: 2}))
	h.done()
	must(h.log.CreateTopic(ctx, log.Topic{Name: "table", Partitions: 1, Cleanup: log.Compact, MinDirtyRatio: 0.01}))
	h.done()
	must(h.log.CreateTopic(ctx, log.Topic{Name: "grows", Partitions: 1}))
	h.done()
	p, err := h.log.Producer(ctx, "x")
	must(err)
	h.done()
	for i := range 40 {
		_, err := p.Commit(ctx, h.txn(i))
		must(err)
		h.done()
		switch i % 10 {
		case 1:
			must(h.log.AddPartitions(ctx, "grows", int32(i/10+2)))
		case 3:
			must(h.log.Purge(ctx, map[record.Partition]int64{tweets[0]: h.log.topics["tweets"].partitions[0].next / 2}))
		case 5:
			must(h.log.Compact(ctx))
		case 7:
			*fate = Fate{Outcome: LeftOpen}
			if _, err := p.Commit(ctx, h.txn(i)); !errors.Is(err, log.ErrInDoubt) {
				h.t.Fatal(err)
			}
			h.done()
			p, err = h.log.Producer(ctx, "x")
			must(err)
		case 9:
			must(h.log.CreateTopic(ctx, log.Topic{Name: fmt.Sprint("t", i)}))
			h.done()
			must(h.log.DeleteTopic(ctx, fmt.Sprint("t", i)))
		}
		h.done()
	}
}

// txn writes to all partitions and moves a position, all with the step's number.
func (h *history) txn(i int) *log.Txn {
	h.step++
	x := &log.Txn{Claim: log.GroupClaim{Group: historyGroup, Generation: -1}, Positions: map[record.Partition]int64{}}
	for _, to := range []record.Partition{tweets[0], tweets[1], table} {
		b := &record.Builder{MaxBatchBytes: 2000}
		for range 1 + h.rng.IntN(8) {
			value := fmt.Sprintf("%d %s", h.step, strings.Repeat("x", h.rng.IntN(1000)))
			b.Append(int64(i), fmt.Append(nil, h.rng.IntN(20)), []byte(value))
		}
		x.Writes = append(x.Writes, log.Write{Partition: to, Records: b})
		x.Positions[to] = int64(h.step)
	}
	return x
}

// dump is everything that the contract shows of a log: of the compacted topic
// only the table it folds to.
func dump(l *Log) (string, error) {
	ctx := context.Background()
	var s strings.Builder
	topics, err := l.Topics(ctx)
	if err != nil {
		return "", err
	}
	for _, topic := range topics {
		for n := range topic.Partitions {
			p := record.Partition{Topic: topic.Name, Number: n}
			ends, err := l.Ends(ctx, p)
			if err != nil {
				return "", err
			}
			texts, err := contents(l, p, ends[p])
			if err != nil {
				return "", err
			}
			if topic.Cleanup&log.Compact != 0 {
				texts = foldTexts(texts)
			}
			fmt.Fprintf(&s, "%s/%d id %s %+v\n%s\n", p.Topic, n, topic.ID, ends[p], texts)
		}
	}
	open, err := l.OpenTransactions(ctx)
	positions, unstable := l.Positions(ctx, historyGroup, tweets[0], tweets[1], table)
	fmt.Fprintln(&s, "open", open, "positions", positions, unstable, "producers", l.producers)
	return s.String(), err
}

// contents reads a partition as "offset:key=value", values cut short.
func contents(l *Log, p record.Partition, bounds log.Range) (texts []string, err error) {
	r := l.NewReader(log.ReaderOptions{})
	defer r.Close()
	r.Seek(p, bounds.Start)
	for at := bounds.Start; at < bounds.Stable; {
		all, err := r.Poll()
		if err != nil {
			return nil, err
		}
		for _, b := range all[0].Batches {
			for it := b.Reader(); it.Next(); {
				value, _, _ := strings.Cut(string(it.Record().Value), " ")
				if it.Record().Offset >= bounds.Start {
					texts = append(texts, fmt.Sprintf("%d:%s=%s", it.Record().Offset, it.Record().Key, value))
				}
			}
		}
		if at = all[0].Next; all[0].Err != nil {
			return nil, all[0].Err
		}
	}
	return texts, nil
}

func foldTexts(texts []string) []string {
	last := map[string]string{}
	for _, s := range texts {
		_, record, _ := strings.Cut(s, ":")
		key, _, _ := strings.Cut(record, "=")
		last[key] = s
	}
	return slices.Sorted(maps.Values(last))
}

// A moment is a file system as a crash leaves it, and which steps were done.
type moment struct {
	fs    *vfs.MemFS
	steps int
	op    string
}

// TestCrashAtAnyWriteLeavesWholeSteps takes the disk away before any write to
// it, once with all that was not synced lost and once with parts of it there.
func TestCrashAtAnyWriteLeavesWholeSteps(t *testing.T) {
	for _, unsynced := range []int{0, 50} {
		t.Run(fmt.Sprintf("%d percent of unsynced data survive", unsynced), func(t *testing.T) {
			const seed = 7
			rng := rand.New(rand.NewPCG(seed, seed))
			mem := crashfs.New()
			h := &history{t: t, rng: rand.New(rand.NewPCG(seed, 1))}
			var moments []moment
			fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
					h.mu.Lock()
					defer h.mu.Unlock()
					cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rng}
					moments = append(moments, moment{mem.CrashClone(cfg), len(h.dumps), fmt.Sprint(op.Kind, " ", op.Path)})
				}
				return nil
			}))
			var fate Fate
			l, err := Open("log", historyOptions(fs, &fate))
			if err != nil {
				t.Fatal(err)
			}
			h.log = l
			h.done()
			h.live(&fate)
			if m := l.db.Metrics(); m.Flush.Count < 3 || m.Compact.Count < 1 || m.BlobFiles.LiveCount < 1 {
				t.Errorf("too little happened beneath: %s", m)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			for _, m := range moments {
				h.check(m)
			}
			t.Logf("%d writes, %d steps", len(moments), len(h.dumps))
		})
	}
}

// check opens what a crash left.
func (h *history) check(m moment) {
	var fate Fate
	l, err := Open("log", historyOptions(m.fs, &fate))
	if err != nil {
		h.t.Fatalf("after %d steps, before %s: %v", m.steps, m.op, err)
	}
	defer l.Close()
	found, err := dump(l)
	if err != nil {
		h.t.Fatalf("after %d steps, before %s: %v", m.steps, m.op, err)
	}
	before, after := h.dumps[max(m.steps-1, 0)], h.dumps[min(m.steps, len(h.dumps)-1)]
	if found != before && found != after {
		h.t.Fatalf("after %d steps, before %s:\nfound  %s\nbefore %s\nafter  %s", m.steps, m.op, found, before, after)
	}
	if _, err := l.Producer(context.Background(), "x"); err != nil {
		h.t.Fatal(err)
	}
}

// TestFailingWritesLoseNothing lets every write to the disk fail from some
// moment on. Nothing may panic or hang, what was answered is there afterwards,
// and the error names the reason.
func TestFailingWritesLoseNothing(t *testing.T) {
	reason := errors.New("no space left on device")
	for first := 1; first < 800; first += 31 {
		mem := vfs.NewCrashableMem()
		h := &history{t: t, rng: rand.New(rand.NewPCG(1, 1))}
		var mu sync.Mutex
		ops := 0
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
				return nil
			}
			if ops++; ops >= first {
				return reason
			}
			return nil
		}))
		if answered := h.untilFailure(fs, reason); answered != "" {
			h.recover(mem, answered, first)
		}
	}
}

// untilFailure commits until that fails, and returns what was there before.
func (h *history) untilFailure(fs vfs.FS, reason error) (answered string) {
	ctx := context.Background()
	var fate Fate
	l, err := Open("log", historyOptions(fs, &fate))
	if err != nil {
		if !errors.Is(err, reason) {
			h.t.Fatal(err)
		}
		return ""
	}
	h.log = l
	err = errors.Join(
		l.CreateTopic(ctx, log.Topic{Name: "tweets", Partitions: 2}),
		l.CreateTopic(ctx, log.Topic{Name: "table", Partitions: 1}),
	)
	p, err2 := l.Producer(ctx, "x")
	for i := 0; err == nil && err2 == nil && i < 1000; i++ {
		if d, dead := dump(l); dead == nil {
			answered = d
		}
		_, err2 = p.Commit(ctx, h.txn(i))
	}
	if err = errors.Join(err, err2); !errors.Is(err, reason) {
		h.t.Errorf("failed with %v, which does not name the reason", err)
	}
	if _, err := l.Topics(ctx); !errors.Is(err, log.ErrClosed) || !errors.Is(err, reason) {
		h.t.Errorf("a failed log answers %v", err)
	}
	l.Close()
	return answered
}

func (h *history) recover(mem *vfs.MemFS, answered string, first int) {
	var fate Fate
	l, err := Open("log", historyOptions(mem.CrashClone(vfs.CrashCloneCfg{}), &fate))
	if err != nil {
		h.t.Fatalf("failure at write %d: %v", first, err)
	}
	defer l.Close()
	found, err := dump(l)
	if err != nil {
		h.t.Fatal(err)
	}
	got, want := strings.Split(found, "\n"), strings.Split(answered, "\n")
	for i := range want {
		// The commit that failed may be there: the lines of records then go on.
		if strings.HasPrefix(want[i], "[") && !strings.HasPrefix(got[i], strings.TrimSuffix(want[i], "]")) {
			h.t.Fatalf("failure at write %d:\nfound    %s\nanswered %s", first, got[i], want[i])
		}
	}
}
