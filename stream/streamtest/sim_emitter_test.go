package streamtest

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

const (
	emitterPrefix = "emitter-"
	simCursors    = "cursors"
	simCursor     = "source"
	indexHeader   = "index"
)

// emitting is a process that emits the posts of a source, over its lives.
type emitting struct {
	w      *world
	id     string
	source []sourced

	life    int
	emitter *stream.Emitter[[]byte]
	driver  *stream.EmitterDriver // nil: down
	next    int                   // of source to hand over; -1: not known yet
}

// sourced is a post of a source.
type sourced struct{ key, value []byte }

func newEmitting(w *world, n int) *emitting {
	e := &emitting{w: w, id: fmt.Sprintf("%s%d", emitterPrefix, n)}
	for i := range w.conf.posts {
		e.source = append(e.source, w.drawPost(fmt.Sprintf("%d.%d", n, i)))
	}
	return e
}

// drawPost makes a post up.
func (w *world) drawPost(id string) sourced {
	var p sourced
	if w.rng.IntN(3) > 0 {
		p.key = strconv.AppendInt(nil, int64(w.rng.IntN(20)), 10)
	}
	if w.conf.shape.keep > 0 {
		id = []string{"", "", "", "u", "d"}[w.rng.IntN(5)] + id
	}
	if w.chance(w.conf.poison) {
		id = []string{"!", lateError, latePanic}[w.rng.IntN(3)] + id
	}
	p.value = []byte(id)
	signs := "+++-"
	if w.conf.onlyPlus {
		signs = "++++"
	}
	for range w.rng.IntN(4) {
		p.value = fmt.Appendf(p.value, " %ct%d", signs[w.rng.IntN(4)], w.rng.IntN(w.conf.tags))
	}
	return p
}

func (w *world) actEmitter(kind int, e *emitting, but string) {
	switch {
	case e.id == but:
	case e.driver == nil:
		e.start()
	case kind == actFeed:
		e.feed(1 + w.rng.IntN(6))
	case kind == actEmit:
		e.step()
	case kind == actKillEmitter && w.depth == 0:
		w.tracef("%s is killed", e.id)
		e.kill()
	}
}

func (e *emitting) start() {
	w := e.w
	e.life++
	w.tracef("%s starts, life %d", e.id, e.life)
	em, err := stream.NewEmitter(stream.NewLog(&wire{Log: w.log, w: w, owner: e.id}), simInput, codec.Bytes, stream.EmitterOptions{
		ID: e.id, Cursors: simCursors, CommitInterval: w.conf.commit, NoCreate: true, Logger: logger,
		Now: func() time.Time { return w.now }, Instance: fmt.Sprintf("%s.%d", e.id, e.life),
	})
	if w.dead {
		return
	}
	w.must(err, "start %s", e.id)
	e.emitter, e.driver, e.next = em, em.Driver(), -1
}

func (e *emitting) kill() {
	if e.driver != nil {
		e.driver.Close()
		e.driver = nil
	}
}

// feed hands posts over, in one piece, with the cursor behind them.
func (e *emitting) feed(n int) {
	if !e.driver.Begun() {
		return
	}
	if e.next < 0 {
		cursor, _, err := e.emitter.Cursor(e.w.ctx, simCursor)
		e.w.must(err, "cursor of %s", e.id)
		e.next, _ = strconv.Atoi(string(cursor)) // none: 0
	}
	n = min(n, len(e.source)-e.next)
	if n == 0 {
		return
	}
	b := e.emitter.NewBatch()
	for i := range n {
		p := e.source[e.next+i]
		err := b.Add(p.key, p.value, stream.Header{Key: indexHeader, Value: strconv.AppendInt(nil, int64(e.next+i), 10)})
		e.w.must(err, "add")
	}
	e.next += n
	b.Cursor(simCursor, strconv.AppendInt(nil, int64(e.next), 10))
	e.w.must(e.emitter.Send(e.w.ctx, b), "send")
	e.w.tracef("%s is given posts up to %d", e.id, e.next)
}

func (e *emitting) step() bool {
	busy, err := e.driver.Step(e.w.ctx, e.w.now)
	if !e.w.dead && err != nil {
		e.w.violated("engine", "%s ends: %v", e.id, err)
	}
	return busy
}

// done tells whether all of the source is committed.
func (e *emitting) done() bool {
	return e.driver != nil && e.next == len(e.source) && e.driver.Idle()
}

// foreign is somebody else who writes to the input: records that no emitter of
// ours would make, in transactions of his own.
type foreign struct {
	w        *world
	producer log.Producer
	sent     int
}

const foreignID = emitterPrefix + "foreign"

func (f *foreign) act() {
	w := f.w
	wire := &wire{Log: w.log, w: w, owner: foreignID}
	if f.producer == nil {
		p, err := wire.Producer(w.ctx, foreignID)
		if err == nil {
			f.producer = p
		}
		return
	}
	var t log.Txn
	for range 1 + w.rng.IntN(2) {
		b := &record.Builder{}
		for range w.rng.IntN(3) {
			p := w.drawPost(fmt.Sprintf("f%d", f.sent))
			f.sent++
			if w.chance(w.conf.poison) {
				p.value = nil
			}
			b.Append(w.now.UnixMilli(), p.key, p.value)
		}
		t.Writes = append(t.Writes, log.Write{Partition: record.Partition{Topic: simInput, Number: w.rng.Int32N(w.conf.inputs)}, Records: b})
	}
	_, err := f.producer.Commit(w.ctx, &t)
	if errors.Is(err, log.ErrInDoubt) || errors.Is(err, log.ErrFenced) {
		f.producer = nil
	}
}
