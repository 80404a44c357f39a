package thread

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
	"github.com/tagtide/tagtide/stream/internal/table"
	"github.com/tagtide/tagtide/stream/internal/task"
)

// An interval is everything between two commits, sealed: one transaction, and
// what it will do to the store.
type interval struct {
	txn     log.Txn
	sink    *task.Sink
	parts   []part
	changed []changed
	visited []visitMark

	job       *Job
	committed bool // the transaction has; written by the job, read after it ended
	since     time.Time
	retryAt   time.Time // not zero: wait until then, or for a newer claim
}

// A part is one task's share of an interval.
type part struct {
	run  *run
	next []int64 // by source
}

// changed is one table with writes in an interval.
type changed struct {
	table   *table.Table
	write   int   // index of its changelog among the writes; -1: it has none
	next    int64 // without a changelog: the position in its input
	records *record.Builder
}

// commit seals the open interval and starts its transaction, when it is due.
func (t *Thread) commit(now time.Time) (bool, error) {
	if t.committing != nil || t.producer == nil || t.lost || t.strayed || !t.dirty() || !t.due(now) {
		return false, nil
	}
	n, err := t.seal()
	if err != nil {
		return false, err
	}
	t.committing = n
	t.send(n, now)
	return true, nil
}

// due tells whether the open interval should be committed now: by the clock,
// by its size, or because a task has to be released.
func (t *Thread) due(now time.Time) bool {
	return t.stopping || t.full() || now.Sub(t.lastCommit) >= t.cfg.CommitInterval ||
		slices.ContainsFunc(t.runs, func(r *run) bool { return r.leaving && r.task != nil && (r.moved() || r.staged()) })
}

// seal closes the open interval; from now on steps go into a new one.
func (t *Thread) seal() (*interval, error) {
	if err := t.sink.Flush(t.cfg.Program.CombinerTopics); err != nil {
		return nil, fmt.Errorf("encode for the loop: %w", err)
	}
	n := &interval{sink: t.sink, visited: t.markVisits()}
	n.txn.Positions = map[record.Partition]int64{}
	t.sink.Each(func(p record.Partition, b *record.Builder) {
		n.txn.Writes = append(n.txn.Writes, log.Write{Partition: p, Records: b})
	})
	t.sink, t.spare = t.spare, nil
	for _, r := range t.runs {
		if r.task != nil {
			n.add(r)
			r.task.Into(t.sink)
		}
	}
	return n, nil
}

// add seals one task into the interval. Every transaction carries all positions
// of its tasks, also those that did not move: the claim that comes with them
// is what fences. Positions in the task's own changelogs tell how far those get
// with it at least, for the marker of the transaction counts on some logs: whoever
// restores from them knows by that whether they are the same.
func (n *interval) add(r *run) {
	p := part{run: r}
	for i, source := range r.sources {
		p.next = append(p.next, r.task.Next(i))
		n.txn.Positions[source] = r.task.Next(i)
	}
	n.parts = append(n.parts, p)
	for i, tab := range r.task.Tables {
		if tab == nil || r.kept[i] == nil {
			continue
		}
		stage := tab.Seal()
		if r.tables[i].Logged() {
			n.txn.Positions[r.kept[i].Changelog()] = r.kept[i].Checkpoint().Next + int64(stage.Len())
		}
		if at := r.foldedFrom(i); at >= 0 {
			// Its position has to follow the group's, also over records that left
			// nothing: what is behind the group may be gone from the input.
			if next := p.next[at]; stage.Len() > 0 || next != r.kept[i].Checkpoint().Next {
				n.changed = append(n.changed, changed{table: tab, write: -1, next: next})
			}
			continue
		}
		if stage.Len() == 0 {
			continue
		}
		c := changed{table: tab, write: len(n.txn.Writes), records: &record.Builder{}}
		stage.Changelog(c.records)
		n.txn.Writes = append(n.txn.Writes, log.Write{Partition: r.kept[i].Changelog(), Records: c.records})
		n.changed = append(n.changed, c)
	}
}

// send starts the interval's transaction under the claim as it is now.
func (t *Thread) send(n *interval, now time.Time) {
	n.txn.Claim = t.claim
	n.job, n.retryAt = &Job{}, time.Time{}
	n.since = now
	producer, at := t.producer, now
	var receipt log.Receipt
	t.cfg.Runner.Go("commit", n.job,
		func(ctx context.Context) (err error) {
			receipt, err = producer.Commit(ctx, &n.txn)
			n.committed = err == nil
			return err
		},
		func(context.Context) error {
			changes, err := n.changes(receipt, at)
			if err != nil {
				return err
			}
			return t.cfg.Store.Apply(changes, true)
		},
	)
}

// changes is what a committed interval does to the store.
func (n *interval) changes(r log.Receipt, now time.Time) ([]store.Change, error) {
	changes := make([]store.Change, 0, len(n.changed))
	for _, c := range n.changed {
		next := c.next
		if c.write >= 0 {
			next = r.Next[c.write]
		}
		change := c.table.Change(next, now)
		if was := change.Table.Checkpoint().Next; c.write >= 0 && next <= was {
			return nil, lostPosition(change.Table.Changelog(), fmt.Sprintf("it was written up to %d, and now up to %d: it was deleted and created again", was, next))
		}
		if err := c.table.Sweep(&change); err != nil {
			return nil, err
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// decide takes the outcome of the transaction under way.
func (t *Thread) decide(now time.Time) (bool, error) {
	n := t.committing
	if n == nil {
		return false, nil
	}
	if n.job == nil {
		return t.resend(n, now), nil
	}
	done, err := n.job.Done()
	if !done {
		return false, nil
	}
	n.job = nil
	if t.cfg.Committed != nil {
		t.cfg.Committed(now.Sub(n.since), err)
	}
	switch {
	case n.committed && err != nil:
		return false, fmt.Errorf("apply a commit to the store: %w", err)
	case err == nil:
		t.settle(n, now)
	case errors.Is(err, log.ErrGeneration):
		n.retryAt = now.Add(retryPause)
	case errors.Is(err, log.ErrUnavailable):
		t.cfg.Logger.Warn("cannot commit for now, trying again", "error", err)
		n.retryAt = now.Add(retryPause)
	case errors.Is(err, log.ErrFenced) || errors.Is(err, log.ErrInDoubt):
		t.cfg.Logger.Warn("commit lost, going back to what is committed", "error", err)
		t.recover(now)
	case t.refuse(err, now):
		t.cfg.Logger.Warn("a topic does not take a record: going back to what is committed, to set aside what it was made of", "error", err)
		t.giveUp()
	default:
		return false, fmt.Errorf("commit: %w", err)
	}
	return true, nil
}

// resend commits a sealed interval again that was refused: under a newer claim
// at once, else after a pause. If the claim is lost it is dropped.
func (t *Thread) resend(n *interval, now time.Time) bool {
	if t.lost {
		t.committing = nil
		t.spare = n.sink
		return true
	}
	if t.claim == n.txn.Claim && now.Before(n.retryAt) {
		return false
	}
	t.send(n, now)
	return true
}

// settle makes a committed interval history.
func (t *Thread) settle(n *interval, now time.Time) {
	for _, p := range n.parts {
		for _, tab := range p.run.task.Tables {
			if tab != nil {
				tab.Applied()
			}
		}
		copy(p.run.committed, p.next)
	}
	t.settleVisits(n.visited)
	n.sink.Reset()
	t.spare, t.committing, t.lastCommit = n.sink, nil, n.since
	t.count.commits++
	if now.Sub(t.refusedAt) >= refusedFor {
		clear(t.refused)
	}
	t.purger.committed(t, n)
}

// refusedFor is how long it is remembered what records a topic does not take:
// longer than it takes to be there again, and no longer, because settings change.
const refusedFor = 30 * time.Second

// refuse notes the record that was too large for its topic, if that is why a
// commit was refused, so that the step that writes it fails. If it was noted
// before, no step writes it, but we do, to a changelog or a combined loop; then
// there is nobody whose policy it could be.
func (t *Thread) refuse(err error, now time.Time) bool {
	var large *log.TooLarge
	if !errors.As(err, &large) {
		return false
	}
	e := task.Emission{Topic: large.Topic, Key: large.Key, Size: large.Size}
	if t.refused[e] {
		return false
	}
	t.refused[e], t.refusedAt = true, now
	return true
}

// recover is the crash path without the crash: drop both intervals, get a new
// producer, begin every task at what is committed.
func (t *Thread) recover(now time.Time) {
	t.giveUp()
	_ = t.producer.Close() // it is dead already
	t.producer = nil
	t.retryAt = now
}

// giveUp drops both intervals and begins every task at what is committed.
func (t *Thread) giveUp() {
	t.spare, t.committing = t.committing.sink, nil
	t.count.dropped++
	t.drop()
}

// drop forgets everything that is not committed. No transaction may be under way.
func (t *Thread) drop() {
	t.strayed = false
	t.sink.Reset()
	if t.spare != nil {
		t.spare.Reset()
	}
	t.dropVisits()
	for _, r := range t.runs {
		if r.task != nil {
			t.rewind(r)
		}
	}
}

// startProducer takes over the transactional id, beside the thread.
func (t *Thread) startProducer() {
	t.producerJob = &Job{}
	t.cfg.Runner.Go("producer", t.producerJob, func(ctx context.Context) (err error) {
		for len(t.retired) > 0 {
			if err := t.fence(ctx, t.retired[0]); err != nil {
				return err
			}
			t.retired = t.retired[1:]
		}
		t.producerNew, err = t.cfg.Log.Producer(ctx, t.cfg.TransactionalID)
		return err
	})
}
