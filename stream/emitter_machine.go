package stream

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// An emitMachine commits what an emitter's queue holds. It is driven in steps,
// by [Emitter.Run] or by a simulation, and starts no goroutines.
//
//	        ┌─────────────────── in doubt ───────────────────┐
//	        ▼                                                │
//	take over the id ──▶ read the cursors ──▶ take loads ──▶ commit
//	                                              ▲          │
//	                                              └─ done ───┘
//
// Every transaction writes, beside its records and cursors, its mark: who wrote
// it and which of his transactions it is. After a transaction whose outcome is
// unknown, the marks tell it: once a new producer of the id has ended whatever
// was open, the mark in the table is that of the transaction (it committed),
// or the one before (it did not, and is committed again), or a third (another
// emitter ran under the id in between, and this one must not go on).
type emitMachine struct {
	o       *EmitterOptions
	log     log.Log
	topic   string
	queue   *emitQueue
	cursors *cursorTable
	metrics *emitterMetrics
	logger  *slog.Logger
	// partitions of the topic, for all to read. Invariant: it only grows.
	partitions atomic.Int32

	producer log.Producer  // nil: the id has to be taken over
	reading  *cursorReader // nil: the cursors are known
	flight   *emitFlight   // nil: nothing is under way
	// Invariant: mark is the last transaction's that is known to be committed.
	mark     string
	sequence uint64 // of the last transaction made

	last     time.Time // of the last commit's begin
	lookAt   time.Time // when to ask for the topic's partitions
	retryAt  time.Time
	failures int   // in a row
	failure  error // the last one
}

// An emitFlight is a transaction from its making until its outcome is known.
type emitFlight struct {
	loads   []*emitLoad
	cursors []emitCursor
	txn     log.Txn
	mark    string
	doubt   bool // its outcome is unknown
	doubted bool // it was in doubt before: someone may still hold its memory
}

func newEmitMachine(l log.Log, topic string, o *EmitterOptions, q *emitQueue, metrics *emitterMetrics) *emitMachine {
	return &emitMachine{
		o: o, log: l, topic: topic, queue: q, metrics: metrics,
		cursors: newCursorTable(), logger: o.Logger.With("emitter", o.ID),
	}
}

// step does the next thing there is to do at now, if any. An error is final.
func (m *emitMachine) step(ctx context.Context, now time.Time) (progress bool, err error) {
	if now.Before(m.retryAt) {
		return false, nil
	}
	m.retryAt = time.Time{}
	switch {
	case m.producer == nil:
		progress, err = true, m.takeOver(ctx)
	case m.reading != nil:
		progress, err = m.read(ctx, now)
	case m.flight == nil:
		m.look(ctx, now)
		return m.take(now), nil
	default:
		progress, err = true, m.commit(ctx, now)
	}
	if err == nil {
		m.failures, m.failure = 0, nil
		return progress, nil
	}
	return true, m.judge(now, err)
}

// wake is when step has something to do by the clock alone; zero: never.
func (m *emitMachine) wake() time.Time {
	if !m.retryAt.IsZero() {
		return m.retryAt
	}
	if m.reading != nil {
		return m.reading.since.Add(cursorsLate)
	}
	due := m.last.Add(m.o.CommitInterval)
	if waiting, _ := m.queue.due(); waiting && (m.lookAt.IsZero() || due.Before(m.lookAt)) {
		return due
	}
	return m.lookAt
}

// readable receives when there may be more cursors to read.
func (m *emitMachine) readable() <-chan struct{} {
	if m.reading == nil {
		return nil
	}
	return m.reading.reader.Ready()
}

// idle tells whether everything handed over is committed.
func (m *emitMachine) idle() bool {
	waiting, _ := m.queue.due()
	return m.flight == nil && !waiting
}

// why adds to an error what went wrong last, if anything did.
func (m *emitMachine) why(err error) error { return errors.Join(err, m.failure) }

func (m *emitMachine) close() {
	m.stopReading()
	if m.producer != nil {
		_ = m.producer.Close() // nothing is open: every outcome was taken
		m.producer = nil
	}
}

// takeOver gets a producer of the id, which ends what earlier ones left open.
func (m *emitMachine) takeOver(ctx context.Context) error {
	p, err := m.log.Producer(ctx, m.o.ID)
	if err != nil {
		return fmt.Errorf("take over the id: %w", err)
	}
	m.producer = p
	if m.o.Cursors == "" {
		m.cursors.replace(nil)
		return nil
	}
	m.reading, err = readCursors(ctx, m.log, m.cursorPartition(), m.o.ID)
	if err != nil {
		m.dropProducer()
	}
	return err
}

func (m *emitMachine) cursorPartition() record.Partition { return record.Partition{Topic: m.o.Cursors} }

// read goes on reading the cursors and, at their end, learns from them what
// became of a transaction in doubt.
func (m *emitMachine) read(ctx context.Context, now time.Time) (progress bool, err error) {
	progress, done, err := m.reading.step()
	if err != nil {
		m.dropProducer()
		return true, err
	}
	if !done {
		if m.reading.stuck(now) {
			m.logger.Warn("the cursors end behind an open transaction of somebody else; waiting for its end",
				"topic", m.o.Cursors, "transactions", m.reading.holders(ctx, m.log))
		}
		return progress, nil
	}
	mark, cursors := m.reading.mark, m.reading.cursors
	m.stopReading()
	return true, m.decide(mark, cursors)
}

// decide compares the mark in the table with those that can be expected.
func (m *emitMachine) decide(mark string, cursors map[string][]byte) error {
	m.cursors.replace(cursors)
	f := m.flight
	switch {
	case f == nil:
		m.mark = mark
	case mark == f.mark:
		m.logger.Info("the transaction had committed after all")
		m.finish()
	case mark == m.mark:
		m.logger.Info("the transaction had not committed; committing it again")
		f.doubt = false
	default:
		return fmt.Errorf("%w: the last transaction under the id is %q, neither %q nor %q: another emitter ran under it",
			log.ErrFenced, mark, f.mark, m.mark)
	}
	return nil
}

// How often the machine asks how many partitions there are, and how long it
// waits for the answer.
const (
	lookEvery  = 2 * time.Second
	lookWithin = time.Second
)

// look asks from time to time whether the topic has got more partitions. An
// error is of no consequence: commits tell of brokers that do not answer.
func (m *emitMachine) look(ctx context.Context, now time.Time) {
	if now.Before(m.lookAt) {
		return
	}
	m.lookAt = now.Add(lookEvery)
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	counts, err := m.log.Partitions(ctx, m.topic)
	if had, has := m.partitions.Load(), counts[m.topic]; err == nil && has > had {
		m.partitions.Store(has)
		m.logger.Info("partitions were added to the topic", "topic", m.topic, "had", had, "has", has)
	}
}

// take makes a transaction of what waits, if it is time.
func (m *emitMachine) take(now time.Time) bool {
	waiting, atOnce := m.queue.due()
	if !waiting || !atOnce && now.Before(m.last.Add(m.o.CommitInterval)) {
		return false
	}
	f := &emitFlight{loads: m.queue.take()}
	for _, load := range f.loads {
		for i, part := range load.parts {
			if part != nil && part.Count() > 0 {
				p := record.Partition{Topic: m.topic, Number: int32(i)}
				f.txn.Writes = append(f.txn.Writes, log.Write{Partition: p, Records: part})
			}
		}
		for _, c := range load.cursors {
			f.setCursor(c)
		}
	}
	if m.o.Cursors != "" {
		m.sequence++
		f.mark = m.o.Instance + " " + strconv.FormatUint(m.sequence, 10)
		f.txn.Writes = append(f.txn.Writes, m.writeCursors(f))
	}
	m.flight = f
	return true
}

// setCursor sets a cursor; later ones of a name win.
func (f *emitFlight) setCursor(c emitCursor) {
	for i := range f.cursors {
		if f.cursors[i].name == c.name {
			f.cursors[i] = c
			return
		}
	}
	f.cursors = append(f.cursors, c)
}

func (m *emitMachine) writeCursors(f *emitFlight) log.Write {
	b := &record.Builder{}
	now := m.o.Now().UnixMilli()
	b.Append(now, markKey(m.o.ID), []byte(f.mark))
	for _, c := range f.cursors {
		b.Append(now, cursorKey(m.o.ID, c.name), c.value)
	}
	return log.Write{Partition: m.cursorPartition(), Records: b}
}

// commit commits the transaction under way.
func (m *emitMachine) commit(ctx context.Context, now time.Time) error {
	m.last = now
	begin := time.Now()
	_, err := m.producer.Commit(ctx, &m.flight.txn)
	m.metrics.ended(time.Since(begin), err)
	switch {
	case err == nil:
		m.finish()
	case errors.Is(err, log.ErrInDoubt):
		m.dropProducer()
		m.flight.doubt, m.flight.doubted = true, true
	}
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// finish ends the transaction under way: it is committed.
func (m *emitMachine) finish() {
	f := m.flight
	m.flight, m.mark = nil, f.mark
	m.cursors.update(f.cursors)
	m.metrics.finished(f)
	m.queue.commit(f.loads, !f.doubted)
}

func (m *emitMachine) dropProducer() {
	m.stopReading()
	_ = m.producer.Close()
	m.producer = nil
}

func (m *emitMachine) stopReading() {
	if m.reading != nil {
		m.reading.reader.Close()
		m.reading = nil
	}
}

// judge returns the errors that are final, and lets the others pass with time.
func (m *emitMachine) judge(now time.Time, err error) error {
	switch {
	case errors.Is(err, log.ErrFenced):
		return fmt.Errorf("another emitter runs under the id %s: %w", m.o.ID, err)
	case errors.Is(err, log.ErrInDoubt) && m.o.Cursors == "":
		return fmt.Errorf("%w, and cannot be learned without EmitterOptions.Cursors", err)
	case errors.Is(err, log.ErrTooLarge), errors.Is(err, log.ErrClosed), errors.Is(err, log.ErrDamaged):
		return err
	}
	pause := m.backoff()
	m.failures++
	m.failure = err
	m.retryAt = now.Add(pause)
	if errors.Is(err, log.ErrInDoubt) {
		m.logger.Warn("the outcome of a transaction is unknown; asking the log", "error", err)
	} else {
		m.logger.Warn("nothing is lost; trying again", "in", pause, "failures", m.failures, "error", err)
	}
	return nil
}

// backoff doubles from 50 ms to 5 s, less up to a half. The jitter is drawn
// from the instance, so that a simulation repeats it.
func (m *emitMachine) backoff() time.Duration {
	full := min(50*time.Millisecond<<min(m.failures, 10), 5*time.Second)
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, m.o.Instance, m.sequence, m.failures) // a hash takes everything
	return full - full/2*time.Duration(h.Sum32()%1024)/1024
}
