package streamtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/log/embedded"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// A wire is the log as one process sees it: calls can fail on it, others can
// get in between, and what is committed over it is told to the model.
type wire struct {
	log.Log
	w     *world
	owner string
	dead  bool      // the process; what is under way may still arrive
	store *simStore // of the process
	// starting: an operator starts the process again if it cannot, so it can.
	starting bool
}

func (l *wire) trouble() error {
	l.w.meanwhile(l.owner)
	if l.w.chance(l.w.conf.unavailable) {
		return log.ErrUnavailable
	}
	return nil
}

// Positions implements [log.Log].
func (l *wire) Positions(ctx context.Context, group string, ps ...record.Partition) (map[record.Partition]int64, error) {
	if err := l.trouble(); err != nil {
		return nil, err
	}
	return l.Log.Positions(ctx, group, ps...)
}

// Ends implements [log.Log].
func (l *wire) Ends(ctx context.Context, ps ...record.Partition) (map[record.Partition]log.Range, error) {
	l.w.meanwhile(l.owner)
	return l.Log.Ends(ctx, ps...)
}

// Partitions implements [log.Log].
func (l *wire) Partitions(ctx context.Context, names ...string) (map[string]int32, error) {
	if err := l.trouble(); err != nil && !l.starting {
		return nil, err
	}
	return l.Log.Partitions(ctx, names...)
}

// AddPartitions implements [log.Log].
func (l *wire) AddPartitions(ctx context.Context, name string, n int32) error {
	l.w.meanwhile(l.owner)
	l.w.happened["partitions added to a table"]++
	l.w.tracef("  %s adds partitions to %s, so that it has %d", l.owner, name, n)
	return l.Log.AddPartitions(ctx, name, n)
}

// Purge implements [log.Log]. It holds I6: no purge passes its consumer.
func (l *wire) Purge(ctx context.Context, before map[record.Partition]int64) error {
	if err := l.trouble(); err != nil {
		return err
	}
	for p, next := range before {
		if at := l.w.model.positions[p]; next > at {
			l.w.violated("I6", "%s purges %v up to %d, but the group is at %d", l.owner, p, next, at)
		}
	}
	l.w.tracef("  %s purges %s", l.owner, printMap(before))
	l.w.happened["purge"]++
	return l.Log.Purge(ctx, before)
}

// NewReader implements [log.Log]. Some readers get little at a time.
func (l *wire) NewReader(o log.ReaderOptions) log.Reader {
	if l.w.conf.smallReads {
		o = log.ReaderOptions{MaxBytes: 1 + l.w.rng.IntN(400), MaxPartitionBytes: 1 + l.w.rng.IntN(200)}
	}
	return &wireReader{l.Log.NewReader(o), l}
}

type wireReader struct {
	log.Reader
	wire *wire
}

// Seek implements [log.Reader]. It holds I9: while a table is open nothing of
// its changelog is read twice, whoever is owner, standby, promoted or demoted,
// unless nobody looked for so long that deletes may have gone.
func (r *wireReader) Seek(p record.Partition, next int64) {
	if t := r.wire.table(p); t != nil && p.Topic != onceTopic && t.looked() && next < t.reached {
		r.wire.w.violated("I9", "%s reads %v again from %d on, and had come to %d", r.wire.owner, p, next, t.reached)
	}
	r.Reader.Seek(p, next)
}

// table is the open copy of a changelog, if there is one.
func (l *wire) table(p record.Partition) *simTable {
	if l.store == nil {
		return nil
	}
	return l.store.open[p]
}

// Poll implements [log.Reader].
func (r *wireReader) Poll() ([]log.Fetched, error) {
	fetched, err := r.Reader.Poll()
	happened := r.wire.w.happened
	for _, f := range fetched {
		if t := r.wire.table(f.Partition); t != nil && f.Err == nil && t.looked() {
			t.reached = max(t.reached, f.Next)
		}
		switch {
		case f.Err != nil:
			happened["read: "+short(errors.Unwrap(f.Err))]++
		case len(f.Batches) == 0:
			happened["read: only the position moved"]++
		}
	}
	return fetched, err
}

// Producer implements [log.Log].
func (l *wire) Producer(ctx context.Context, id string) (log.Producer, error) {
	if err := l.trouble(); err != nil {
		return nil, err
	}
	p, err := l.Log.Producer(ctx, id)
	l.w.settleOpen(id)
	if err != nil {
		return nil, err
	}
	l.w.tracef("  %s is producer %s", l.owner, id)
	return &wireProducer{Producer: p, wire: l, id: id}, nil
}

type wireProducer struct {
	log.Producer
	wire *wire
	id   string
}

// Close implements [log.Producer]. That of a dead process is never heard of.
func (p *wireProducer) Close() error {
	if p.wire.dead {
		return nil
	}
	return p.Producer.Close()
}

// Commit implements [log.Producer].
func (p *wireProducer) Commit(ctx context.Context, t *log.Txn) (log.Receipt, error) {
	w := p.wire.w
	e := w.effectOf(p.id, t)
	fate := w.drawFate(p.id)
	w.fate = fate
	receipt, err := p.Producer.Commit(ctx, t)
	w.fate = embedded.Fate{}
	if _, alive := w.log.Topics(ctx); fate.Crash && alive != nil {
		w.dead = true
	}
	w.tracef("  commit by %s: %s, fate %s: %v", p.id, e, printFate(fate), short(err))
	w.happened["commit: "+outcome(fate, err)]++
	switch happened(fate, err) {
	case committed_:
		w.checkReceipt(e, receipt, err)
		w.model.commit(e)
	case open_:
		w.open = append(w.open, &openTxn{effect: e, state: fate.Outcome})
	}
	return receipt, err
}

// What became of an attempt to commit.
type became int

const (
	nothing_ became = iota
	committed_
	open_
)

// outcome names what was answered.
func outcome(f embedded.Fate, err error) string {
	for _, known := range []error{log.ErrFenced, log.ErrGeneration, log.ErrUnavailable} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if errors.Is(err, log.ErrInDoubt) {
		return "in doubt, " + printFate(embedded.Fate{Outcome: f.Outcome})
	}
	return short(err)
}

// happened tells what became of an attempt, from its fate and the answer.
func happened(f embedded.Fate, err error) became {
	switch {
	case err == nil:
		return committed_
	case !errors.Is(err, log.ErrInDoubt):
		return nothing_
	}
	switch f.Outcome {
	case embedded.Commits, embedded.Moved, embedded.LostAfter:
		return committed_
	case embedded.LeftOpen, embedded.Delayed, embedded.Prepared:
		return open_
	}
	return nothing_
}

// checkReceipt checks that a transaction went where it was expected to go.
func (w *world) checkReceipt(e *effect, r log.Receipt, err error) {
	for i, write := range e.writes {
		if n := len(write.recs); err == nil && n > 0 && r.Next[i] != write.recs[n-1].offset+1 {
			w.violated("receipt", "%s wrote to %v up to %d, expected %d", e.id, write.partition, r.Next[i], write.recs[n-1].offset+1)
		}
	}
}

// effectOf takes a transaction apart, before it is committed: its records get
// the places behind the ends of their partitions.
func (w *world) effectOf(id string, t *log.Txn) *effect {
	e := &effect{id: id, claim: t.Claim}
	next, written := map[record.Partition]int64{}, map[record.Partition]int64{}
	for _, write := range t.Writes {
		p := write.Partition
		written[p] += int64(write.Records.Count())
		if _, ok := next[p]; !ok {
			next[p] = w.ends(p).End
		}
		ew := effectWrite{partition: p}
		for _, b := range write.Records.Seal(next[p], record.NoProducer) {
			r := b.Reader()
			for r.Next() {
				x := r.Record()
				ew.recs = append(ew.recs, rec{offset: x.Offset, key: x.Key, value: x.Value, time: x.Timestamp, headers: slices.Clone(x.Headers)})
			}
			w.must(r.Err(), "read what %s writes", id)
			next[p] = b.Next()
		}
		e.writes = append(e.writes, ew)
	}
	for _, p := range slices.SortedFunc(maps.Keys(t.Positions), comparePartitions) {
		if stable := w.ends(p).Stable; t.Positions[p] > stable+written[p] {
			w.violated("I6", "%s is about to commit position %d of %v, which is stable up to %d, with %d records more to come", id, t.Positions[p], p, stable, written[p])
		}
		e.moves = append(e.moves, move{p, t.Positions[p]})
	}
	return e
}

func comparePartitions(a, b record.Partition) int {
	if c := strings.Compare(a.Topic, b.Topic); c != 0 {
		return c
	}
	return int(a.Number - b.Number)
}

// An openTxn was begun, and the model does not know its end yet.
type openTxn struct {
	effect *effect
	state  embedded.Outcome
}

// settleOpen finds out what became of the transactions that were open and are
// not any more: by the contract, a new producer of the id commits what was
// decided and aborts the rest; by itself, in time, also commits what was
// delayed.
func (w *world) settleOpen(byProducer string) {
	still, err := w.log.OpenTransactions(w.ctx)
	if errors.Is(err, log.ErrClosed) {
		return
	}
	w.must(err, "list open transactions")
	var ended []*openTxn
	w.open = slices.DeleteFunc(w.open, func(o *openTxn) bool {
		if slices.ContainsFunc(still, func(s log.OpenTransaction) bool { return s.TransactionalID == o.effect.id }) {
			return false
		}
		ended = append(ended, o)
		return true
	})
	for _, o := range ended {
		commit := o.state == embedded.Prepared || o.state == embedded.Delayed && o.effect.id != byProducer
		w.tracef("  open transaction of %s ended, committed %t", o.effect.id, commit)
		if commit {
			w.model.commit(o.effect)
		}
	}
}

// drawFate decides what becomes of the next attempt to commit.
func (w *world) drawFate(id string) embedded.Fate {
	f := embedded.Fate{}
	if w.healed {
		return f
	}
	if w.chance(w.conf.holes) {
		f.Holes = int64(1 + w.rng.IntN(3))
	}
	if !w.chance(w.conf.fates) {
		return f
	}
	outcomes := []embedded.Outcome{embedded.Refused, embedded.Aborted, embedded.LostBefore, embedded.LostAfter, embedded.LeftOpen, embedded.Delayed, embedded.Prepared}
	if !strings.HasPrefix(id, emitterPrefix) {
		outcomes = append(outcomes, embedded.Moved, embedded.Moved)
	}
	f.Outcome = outcomes[w.rng.IntN(len(outcomes))]
	f.After = time.Duration(w.rng.IntN(3000)) * time.Millisecond
	f.Crash = w.chance(w.conf.logCrash)
	return f
}

// faults is what the log asks.
func (w *world) faults(embedded.Attempt) embedded.Fate { return w.fate }

func printFate(f embedded.Fate) string {
	names := []string{"commits", "refused", "aborted", "moved", "lost before", "lost after", "left open", "delayed", "prepared"}
	s := names[f.Outcome]
	if f.Holes > 0 {
		s += fmt.Sprintf(" +%d holes", f.Holes)
	}
	if f.Crash {
		s += " and crash"
	}
	return s
}

func (e *effect) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "generation %d", e.claim.Generation)
	for _, w := range e.writes {
		if n := len(w.recs); n > 0 {
			fmt.Fprintf(&b, " %s/%d[%d,%d]", w.partition.Topic, w.partition.Number, w.recs[0].offset, w.recs[n-1].offset)
		}
	}
	for _, m := range e.moves {
		fmt.Fprintf(&b, " %s/%d→%d", m.partition.Topic, m.partition.Number, m.next)
	}
	return b.String()
}

func printMap(m map[record.Partition]int64) string {
	var b strings.Builder
	for _, p := range slices.SortedFunc(maps.Keys(m), comparePartitions) {
		fmt.Fprintf(&b, "%s/%d→%d ", p.Topic, p.Number, m[p])
	}
	return b.String()
}

func short(err error) string {
	if err == nil {
		return "ok"
	}
	return err.Error()
}
