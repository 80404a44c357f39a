package streamtest

import "time"

// What can happen next.
const (
	actFeed = iota
	actEmit
	actForeign
	actStep
	actJob
	actView
	actRead
	actLag
	actTime
	actStart
	actKill
	actStop
	actFreeze
	actOrphan
	actLong
	actJump
	actPowerLoss
	actCompact
	actVisit
	actKillView
	actKillEmitter
	actSkew
	actGrow
	actKinds
)

// run lets things happen, in an order that nobody planned.
func (w *world) run() {
	for range w.conf.acts {
		w.acts++
		w.act("")
		if w.dead {
			w.powerLoss()
		}
	}
}

// meanwhile lets others get in between, while a call of somebody is under way.
func (w *world) meanwhile(owner string) {
	if w.depth > 0 || w.dead || !w.chance(w.conf.meanwhile) {
		return
	}
	w.depth++
	defer func() { w.depth-- }()
	w.tracef(" meanwhile, %s waiting", owner)
	for range 1 + w.rng.IntN(6) {
		if !w.dead {
			w.inBetween++
			w.act(owner)
		}
	}
}

// act lets one thing happen, to anybody but one.
func (w *world) act(but string) {
	kind := w.draw(w.conf.weights[:])
	switch kind {
	case actFeed, actEmit, actKillEmitter:
		w.actEmitter(kind, pick(w, w.emitters), but)
	case actView, actRead, actLag, actKillView:
		if len(w.views) > 0 {
			w.actView(kind, pick(w, w.views), but)
		}
	case actJob:
		w.actJob(but)
	case actStep, actStart, actKill, actStop, actFreeze, actVisit, actSkew:
		if m := pick(w, w.members); m.name != but {
			w.actMember(kind, m)
		}
	case actForeign:
		w.foreign.act()
	case actOrphan:
		w.actOrphan()
	default:
		w.actWorld(kind)
	}
}

// draw picks an index by weight.
func (w *world) draw(weights []int) int {
	sum := 0
	for _, n := range weights {
		sum += n
	}
	n := w.rng.IntN(sum)
	for i, weight := range weights {
		if n -= weight; n < 0 {
			return i
		}
	}
	panic("weights changed")
}

func pick[T any](w *world, from []T) T { return from[w.rng.IntN(len(from))] }

// actWorld lets something happen to all.
func (w *world) actWorld(kind int) {
	switch kind {
	case actTime:
		w.advance(time.Duration(w.rng.Int64N(int64(w.conf.pace))))
	case actLong:
		w.advance(time.Duration(w.rng.Int64N(int64(3 * w.conf.session))))
	case actJump:
		w.advance(time.Duration(w.rng.IntN(40)) * time.Hour)
	case actCompact:
		w.tracef("compact")
		w.compacted = true
		if err := w.log.Compact(w.ctx); !w.dead {
			w.must(err, "compact")
		}
	case actGrow:
		w.grow()
	case actPowerLoss:
		if w.depth == 0 {
			w.powerLoss()
		}
	}
}

// maxInputs is how many partitions the input gets at most.
const maxInputs = 7

// grow adds partitions to the input, unless a table is spread by key as it is.
func (w *world) grow() {
	n := w.conf.inputs + 1 + w.rng.Int32N(2)
	if w.conf.shape.joined || n > maxInputs {
		return
	}
	w.tracef("the input gets %d partitions", n)
	w.happened["partitions added"]++
	err := w.log.AddPartitions(w.ctx, simInput, n)
	if !w.dead {
		w.must(err, "add partitions")
		w.conf.inputs = n
	}
}

// actOrphan lets a request of a dead process arrive.
func (w *world) actOrphan() {
	if len(w.orphans) == 0 {
		return
	}
	n := w.rng.IntN(len(w.orphans))
	o := w.orphans[n]
	w.orphans = append(w.orphans[:n:n], w.orphans[n+1:]...)
	w.tracef("a request of the dead %s arrives", o.from)
	w.happened["orphan"]++
	o.run()
}

func (w *world) actMember(kind int, m *member) {
	switch {
	case !m.up():
		if kind == actStart || kind == actStep && w.acts > 50 && w.rng.IntN(40) == 0 {
			m.start()
		}
	case kind == actFreeze:
		m.freeze()
	case m.frozen(): // for kill too: nobody kills what sleeps, it would hide it
	case kind == actStep:
		m.step()
	case kind == actKill:
		m.kill(w.rng.IntN(2) == 0)
	case kind == actStop:
		m.stop()
	case kind == actVisit:
		m.visit()
	case kind == actSkew:
		// In one life a clock does not go back: Go's is monotonic.
		m.skew += time.Duration(w.rng.IntN(7200)) * time.Second
		m.conf.skew = time.Duration(w.rng.IntN(7200)-3600) * time.Second
		w.tracef("%s has its clock wrong by %s, and by %s in its next life", m.name, m.skew, m.conf.skew)
	}
}
