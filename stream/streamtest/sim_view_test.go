package streamtest

import (
	"errors"
	"fmt"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/store/pebblestore"
)

// viewing is a process with a view of the counts, and one who reads from it
// and remembers what he has seen, over all its lives.
//
//	I7   what is read of a tag is a committed version of its count, none before
//	     the one read last; and with lag 0, the count of all that is committed
type viewing struct {
	w    *world
	name string

	view   *stream.View[tally]
	driver *stream.ViewDriver // nil: down
	store  *simStore
	disk   *pebblestore.Disk
	seen   map[string]int // versions read, by tag
	told   map[string]int // versions that changes told of in this life
}

func newViewing(w *world, n int) *viewing {
	return &viewing{w: w, name: fmt.Sprintf("v%d", n), seen: map[string]int{}}
}

func (w *world) actView(kind int, v *viewing, but string) {
	switch {
	case v.name == but:
	case v.driver == nil:
		v.start()
	case kind == actView:
		v.step()
	case kind == actRead:
		v.read(fmt.Sprintf("t%d", w.rng.IntN(w.conf.tags)))
	case kind == actLag:
		v.lag()
	case kind == actKillView && w.depth == 0:
		v.kill(w.rng.IntN(2) == 0)
	}
}

func (v *viewing) start() {
	w := v.w
	w.tracef("%s starts", v.name)
	if w.conf.viewDisk && v.disk == nil {
		v.disk = pebblestore.NewDisk()
	}
	v.store = openSimStore(w, v.name, v.disk)
	v.told = map[string]int{}
	view, err := stream.NewView(stream.NewLog(&wire{Log: w.log, w: w, owner: v.name}), countTopic, tallyCodec{}, stream.ViewOptions[tally]{
		State: stream.NewState(v.store, v.name), Changed: v.changed, Of: w.graph.GroupGraph, Logger: logger,
	})
	w.must(err, "start %s", v.name)
	v.view, v.driver = view, view.Driver()
}

func (v *viewing) kill(lucky bool) {
	if v.driver == nil {
		return
	}
	v.w.tracef("%s is killed", v.name)
	v.disk = v.store.crash(lucky)
	_ = v.driver.Close() // its store is gone
	v.driver = nil
}

func (v *viewing) step() bool {
	busy, err := v.driver.Step(v.w.ctx, v.w.now)
	v.w.tracef("%s steps: busy %t", v.name, busy)
	if v.w.dead {
		return false
	}
	if err != nil {
		v.w.violated("engine", "%s ends: %v", v.name, err)
	}
	return busy
}

// changed holds I7 for what a view tells of by itself.
func (v *viewing) changed(changes []stream.Change[tally]) error {
	for _, c := range changes {
		v.saw(v.told, c.Key, version{c.Value, !c.Deleted})
	}
	return nil
}

// read holds I7 for one tag. Nobody reads before the view has recovered.
func (v *viewing) read(tag string) {
	if !v.driver.Recovered() {
		return
	}
	got, ok, err := v.view.Get(tag)
	v.w.must(err, "read from %s", v.name)
	v.saw(v.seen, tag, version{got, ok})
}

// saw finds the version that was seen, not before the last one seen.
func (v *viewing) saw(seen map[string]int, tag string, got version) {
	versions := v.w.model.versions[tag]
	for n := seen[tag]; n <= len(versions); n++ {
		if n == 0 && !got.ok || n > 0 && versions[n-1] == got {
			seen[tag] = n
			return
		}
	}
	v.w.violated("I7", "%s shows %v for %s, which it is not any more or never was: versions %v, %d seen", v.name, got, tag, versions, seen[tag])
}

// lag holds I7 for a view that says that it has everything.
func (v *viewing) lag() {
	if !v.driver.Recovered() {
		return
	}
	w := v.w
	before, acts := w.committedInput(), w.inBetween
	lag, err := v.driver.Lag(w.ctx)
	w.tracef("%s has lag %d, %v", v.name, lag, short(err))
	if w.dead || errors.Is(err, log.ErrUnavailable) {
		return
	}
	w.must(err, "lag of %s", v.name)
	if lag != 0 {
		return
	}
	for tag, want := range before {
		got, _, err := v.view.Get(tag)
		w.must(err, "read from %s", v.name)
		if w.inBetween == acts && got != want || w.conf.onlyPlus && got.n < want.n {
			w.violated("I7", "%s has lag 0 and shows %v for %s, but %v is committed in the input", v.name, got, tag, want)
		}
	}
}

// committedInput is the oracle's count of everything in the input.
func (w *world) committedInput() map[string]tally {
	counts := map[string]tally{}
	for n := range w.conf.inputs {
		o := &once{shape: w.conf.shape, rows: map[string]onceRow{}}
		for _, r := range w.model.log(partition(simInput, n)).recs {
			p, _ := parsePost(r.value)
			for _, change := range o.see(r, p) {
				w.model.sum(counts, change.tag, change.tally)
			}
		}
	}
	return counts
}
