package streamtest

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/log/embedded"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// A world is one run of the simulation: a log, a group, those who write and
// read, a clock, and a scheduler that lets one of them do one thing at a time.
// Everything that is decided is drawn from rng, so a seed is a history.
type world struct {
	ctx   context.Context
	seed  uint64
	rng   *rand.Rand
	now   time.Time
	conf  *conf
	graph *simGraph
	model *model

	disk *embedded.Disk
	log  *embedded.Log
	fate embedded.Fate // of the next attempt to commit
	open []*openTxn
	dead bool // the log: it crashed, and everybody with it

	members  []*member
	emitters []*emitting
	views    []*viewing
	foreign  *foreign
	orphans  []orphan
	whole    map[string]int64 // by simTable.name: from where on a folded table is all that it should be

	depth     int // of calls that others got in between
	inBetween int // times that they did
	healed    bool
	compacted bool
	trace     []byte
	acts      int
	happened  map[string]int // of what, how often: a simulation of nothing is green too
	party     int            // members of the last plan, -1 while one has joined since
	noticed   func()         // raises a violation that was found inside the log
}

// begun is when every world begins.
var begun = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newWorld(seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 0x7a67))
	w := &world{ctx: context.Background(), seed: seed, rng: rng, now: begun, conf: drawConf(rng), disk: embedded.NewDisk(), happened: map[string]int{}, whole: map[string]int64{}}
	w.tracef("%s", w.conf)
	w.graph = newSimGraph(w.conf.shape)
	w.model = newModel(w, w.conf.shape, map[string]int32{simInput: w.conf.inputs, loopTopic: w.conf.loops, countTopic: w.conf.loops})
	w.openLog()
	w.createTopic(log.Topic{Name: simInput, Partitions: w.conf.inputs, Cleanup: log.Delete})
	w.createTopic(log.Topic{Name: simCursors, Partitions: 1, Cleanup: log.Compact})
	for n, c := range w.conf.members {
		w.members = append(w.members, &member{w: w, conf: c, name: fmt.Sprintf("m%d", n)})
	}
	for n := range w.conf.emitters {
		w.emitters = append(w.emitters, newEmitting(w, n))
	}
	for n := range w.conf.views {
		w.views = append(w.views, newViewing(w, n))
	}
	w.foreign = &foreign{w: w}
	w.members[0].start()
	return w
}

func (w *world) openLog() {
	l, err := w.disk.Open(embedded.Options{
		Now: func() time.Time { return w.now }, ID: "sim", CacheBytes: 1 << 20,
		TransactionTimeout: 30 * time.Second, Deterministic: true, Faults: w.faults,
	})
	w.must(err, "open the log")
	w.log, w.dead = l, false
}

func (w *world) createTopic(t log.Topic) {
	w.must(w.log.CreateTopic(w.ctx, t), "create topic %s", t.Name)
}

// close ends a run.
func (w *world) close() {
	for _, m := range w.members {
		m.vanish()
	}
	for _, e := range w.emitters {
		e.kill()
	}
	for _, v := range w.views {
		v.kill(false)
	}
	_ = w.log.Close() // also of one that has crashed
}

// ends are the extents of a partition, as the log itself has them.
func (w *world) ends(p record.Partition) log.Range {
	ends, err := w.log.Ends(w.ctx, p)
	if err != nil {
		return log.Range{} // it has crashed, and what was asked for does not matter
	}
	return ends[p]
}

func (w *world) stable(p record.Partition) int64 { return w.ends(p).Stable }

// chance draws.
func (w *world) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

// advance moves the clock, and lets the log do what the time has come for.
func (w *world) advance(d time.Duration) {
	w.now = w.now.Add(d)
	w.tracef("time +%s", d)
	w.tick()
}

func (w *world) tick() {
	err := w.log.Tick(w.ctx)
	if w.dead {
		return
	}
	w.must(err, "tick")
	w.compacted = true // ticks compact
	w.settleOpen("")
}

// powerLoss ends every process and the log, and opens the log again on what
// was synced.
func (w *world) powerLoss() {
	w.tracef("power loss")
	for _, m := range w.members {
		m.kill(false)
	}
	for _, e := range w.emitters {
		e.kill()
	}
	for _, v := range w.views {
		v.kill(false)
	}
	w.foreign.producer = nil
	w.orphans = nil
	old := w.log
	w.disk = w.disk.Crash()
	_ = old.Close() // of a machine that has lost its power
	w.openLog()
}

// An orphan is a request of a dead process that is still on its way.
type orphan struct {
	from string
	run  func()
}

// violation is what a run panics with when something that must hold does not.
type violation struct{ invariant, what string }

func (w *world) violated(invariant, format string, args ...any) {
	panic(violation{invariant, fmt.Sprintf(format, args...)})
}

func (w *world) must(err error, format string, args ...any) {
	if err != nil {
		w.violated("error", "%s: %v", fmt.Sprintf(format, args...), err)
	}
}

// tracef writes a line of the history.
func (w *world) tracef(format string, args ...any) {
	if raise := w.noticed; raise != nil {
		w.noticed = nil
		raise()
	}
	w.trace = fmt.Appendf(w.trace, "%9s ", w.now.Sub(begun))
	w.trace = fmt.Appendf(w.trace, format, args...)
	w.trace = append(w.trace, '\n')
}

// hash is the history's.
func (w *world) hash() uint64 {
	h := fnv.New64a()
	h.Write(w.trace)
	return h.Sum64()
}

// logger drops what the engine has to say: the trace says more.
var logger = slog.New(slog.DiscardHandler)
