package thread

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// slice is how many records are stepped before the thread looks around again.
const slice = 1024

// fetch reads inputs, when all that was fetched before has been stepped.
func (t *Thread) fetch(time.Time) (bool, error) {
	for _, r := range t.runs {
		for i := range r.queues {
			if r.queues[i].full {
				return false, nil
			}
		}
	}
	fetched, err := t.inputs.Poll()
	if err != nil {
		return false, fmt.Errorf("read inputs: %w", err)
	}
	for _, f := range fetched {
		if err := t.enqueue(f); err != nil {
			return false, err
		}
	}
	return len(fetched) > 0, nil
}

func (t *Thread) enqueue(f log.Fetched) error {
	for _, r := range t.runs {
		for i, p := range r.sources {
			if p != f.Partition || r.task == nil || r.leaving {
				continue
			}
			switch {
			case errors.Is(f.Err, log.ErrOutOfRange):
				t.stray(p, f)
				return nil
			case errors.Is(f.Err, log.ErrUnknownTopic):
				return r.fatal(fmt.Sprintf("read %s partition %d, which was there: the topic was deleted, or may not be seen any more", p.Topic, p.Number), f.Err)
			case f.Err != nil:
				return r.fatal(fmt.Sprintf("read %s partition %d", p.Topic, p.Number), f.Err)
			}
			r.stable[i] = f.Range.Stable
			r.queues[i] = queue{fetched: f, full: true}
			return nil
		}
	}
	return nil
}

// stray notes that what a task is to read next is not there any more: the group
// has gone on without us, and we have not heard of it yet; or records were
// removed that nobody had handled. Looking the positions up again will tell.
func (t *Thread) stray(p record.Partition, f log.Fetched) {
	t.cfg.Logger.Warn("the next records are gone, going back to what is committed", "topic", p.Topic, "partition", p.Number,
		"position", f.From, "start", f.Range.Start, "end", f.Range.End)
	t.inputs.Drop(p)
	t.strayed = true
}

// goBack takes everything back to what is committed, after it has strayed.
func (t *Thread) goBack(time.Time) (bool, error) {
	if !t.strayed || t.committing != nil {
		return false, nil
	}
	t.count.dropped++
	t.drop()
	return true, nil
}

// process steps what was fetched: a slice of records, the tasks in turn, as
// long as the open interval has room.
func (t *Thread) process(now time.Time) (busy bool, err error) {
	if t.strayed {
		return false, nil
	}
	left := slice
	for _, r := range t.runs {
		if r.state != Running || r.leaving || t.stopping {
			continue
		}
		for i := range r.queues {
			if left <= 0 || t.full() {
				return busy, nil
			}
			n, err := r.step(i, left)
			if err != nil {
				return false, err
			}
			left -= n
			busy = busy || n > 0
		}
	}
	return busy, nil
}

// step steps up to limit records of one source, and moves its position over
// what the batches did not have.
func (r *run) step(source, limit int) (n int, err error) {
	q := &r.queues[source]
	for q.full && n < limit {
		if !q.open && !q.next() {
			r.task.Seek(source, max(r.task.Next(source), q.fetched.Next))
			*q = queue{}
			return n + 1, nil
		}
		for n < limit && q.reader.Next() {
			rec := q.reader.Record()
			if rec.Offset < r.task.Next(source) {
				continue
			}
			n++
			if err := r.task.Step(source, rec); err != nil {
				return n, err
			}
		}
		if n < limit {
			q.open = false
			if err := q.reader.Err(); err != nil {
				return n, r.fatal("read "+r.sources[source].Topic, err)
			}
		}
	}
	return n, nil
}

// next opens the next batch of what was fetched, if there is one.
func (q *queue) next() bool {
	if q.batch == len(q.fetched.Batches) {
		return false
	}
	q.reader, q.open = q.fetched.Batches[q.batch].Reader(), true
	q.batch++
	return true
}

// staged is about how many bytes the open interval holds.
func (t *Thread) staged() int {
	n := t.sink.Bytes()
	for _, r := range t.runs {
		if r.task == nil {
			continue
		}
		for _, tab := range r.task.Tables {
			if tab != nil {
				n += tab.Bytes()
			}
		}
	}
	return n
}

// full tells that the open interval must be committed before more is stepped.
func (t *Thread) full() bool { return t.staged() >= t.cfg.MaxStaged }

// dirty tells whether there is anything to commit: positions, or what visits
// have left.
func (t *Thread) dirty() bool {
	if t.sink.Bytes() > 0 || t.visiting() {
		return true
	}
	return slices.ContainsFunc(t.runs, func(r *run) bool { return r.task != nil && (r.moved() || r.staged()) })
}
