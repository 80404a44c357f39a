package thread

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/tagtide/tagtide/stream/internal/assign"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
	"github.com/tagtide/tagtide/stream/internal/table"
	"github.com/tagtide/tagtide/stream/internal/task"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// A refold makes a folded table from its input again: it steps the records once
// more, with everything off but the table, up to a limit that the group has
// committed. Beyond it nothing is the group's yet, and a table that knew of it
// would take it for handled.
//
// Without a table it begins where Replay says, or where the group has begun, if
// that is later: what is before was never handled.
//
//	input   ───────┬──────────────────┬──────────────┬──────▶
//	      stream time − Replay    checkpoint       limit
//	      begins here without     begins here
//	      a table
//
// Kafka Streams uses a source topic as changelog alike (optimized source
// KTables), but only where the table is the topic; here it may be anything that
// a step makes of it.
type refold struct {
	kept   store.Table
	about  topology.Fold
	index  int // of the table in the topology
	id     assign.Task
	source task.Source

	tab   *table.Table // from the end of the job that looks where to begin
	task  *task.Task   // likewise
	from  int64        // where it began
	next  int64        // position behind all that was stepped
	given int64        // position of the last Change
	limit int64
	idle  bool // not read: it is at its limit

	lost    bool  // where to begin is not known yet, nor what is there
	found   bool  // written by the job that looks for it
	begin   int64 // likewise
	retryAt time.Time
}

// Next implements follower.
func (f *refold) Next() int64 { return f.next }

// Len implements follower.
func (f *refold) Len() int {
	if f.lost {
		return 0
	}
	return f.tab.Len()
}

// Full implements follower.
func (f *refold) Full() bool {
	return !f.lost && (f.tab.Len() >= table.ChunkKeys || f.tab.Bytes() >= table.ChunkBytes)
}

// Applied implements follower.
func (f *refold) Applied() int64 {
	kept := f.kept.Checkpoint().Next
	if f.Len() == 0 && kept >= f.given {
		return f.next
	}
	return max(kept, f.from)
}

// Settled implements follower.
func (f *refold) Settled(time.Time) bool { return f.next == f.kept.Checkpoint().Next }

// Take implements follower: it steps what is before the limit.
func (f *refold) Take(fetched log.Fetched) error {
	for _, b := range fetched.Batches {
		r := b.Reader()
		for r.Next() {
			rec := r.Record()
			if rec.Offset < f.next || rec.Offset >= f.limit {
				continue
			}
			if err := f.task.Step(0, rec); err != nil {
				return err
			}
		}
		if err := r.Err(); err != nil {
			return err
		}
	}
	f.next = max(f.next, min(fetched.Next, f.limit))
	return nil
}

// Change implements follower.
func (f *refold) Change(now time.Time) store.Change {
	if f.tab.Sealed() {
		f.tab.Applied()
	}
	f.tab.Seal()
	f.given = f.next
	return f.tab.Change(f.next, now)
}

// done returns the table, at the end.
func (f *refold) done() *table.Table {
	if f.tab.Sealed() {
		f.tab.Applied()
	}
	return f.tab
}

// Sweep implements follower.
func (f *refold) Sweep(c *store.Change) error { return f.tab.Sweep(c) }

// foldedFrom is the source of the task that table i is folded from; -1 if it is not.
func (r *run) foldedFrom(i int) int {
	input := r.tables[i].Fold.Input
	if input == "" {
		return -1
	}
	return slices.IndexFunc(r.sources, func(p record.Partition) bool { return p.Topic == input })
}

// foldable is the part of an input that a table may be folded from: up to what
// the group has committed. Of a group that has not committed anything it is
// empty, and lies where the group begins.
func (t *Thread) foldable(r *run, tab int, extent log.Range) log.Range {
	at := r.foldedFrom(tab)
	limit := r.prepared.committed[at]
	if limit < 0 && !r.standby {
		limit = r.prepared.positions[at]
		return log.Range{Start: limit, Stable: limit, End: limit}
	}
	limit = max(limit, 0)
	return log.Range{Start: min(extent.Start, limit), Stable: limit, End: limit}
}

// startRefold begins to fold a table's input again. Where is found out by a job.
func (t *Thread) startRefold(r *run, tab int, c *copying) {
	c.follower = &refold{
		kept: r.kept[tab], about: r.tables[tab].Fold, index: tab, id: r.id, source: t.source(r, r.foldedFrom(tab)),
		from: c.from, next: c.from, limit: c.target, lost: true,
	}
}

// located tells whether a copy knows where to begin. If not, it goes on looking,
// a standby only when the group has begun.
func (t *Thread) located(r *run, c *copying, now time.Time) bool {
	fold, ok := c.follower.(*refold)
	switch {
	case !ok || !fold.lost:
		return true
	case fold.found:
		fold.lost = false
		fold.next = min(max(fold.begin, c.extent.Start), fold.limit)
		fold.from, c.from = fold.next, fold.next
		t.restores.Seek(c.changelog, fold.next)
		return true
	case now.Before(fold.retryAt), r.standby && fold.limit == 0:
		return false
	}
	fold.retryAt = now.Add(retryPause)
	c.job = &Job{}
	limit := fold.limit // of now: it may move on meanwhile
	t.cfg.Runner.Go("locate", c.job, func(ctx context.Context) error {
		err := t.load(ctx, fold, c.changelog, limit, now)
		if errors.Is(err, log.ErrUnavailable) {
			return nil // it will be tried again
		}
		fold.found = err == nil
		return err
	})
	return false
}

// load reads what is there of a table, and finds where to begin: at its
// checkpoint, or, if it has none, where the topology says. It blocks.
func (t *Thread) load(ctx context.Context, fold *refold, input record.Partition, limit int64, now time.Time) (err error) {
	if fold.tab, err = table.NewAging(fold.kept, fold.about.Keep); err != nil {
		return err
	}
	fold.source.Folded = fold.tab
	fold.task = task.Refold(fold.id, fold.source, fold.index)
	fold.begin = fold.from
	if fold.kept.Checkpoint().Next > 0 || fold.from >= limit {
		return nil
	}
	first := func(timestamp int64) (int64, error) {
		at, err := t.cfg.Log.PositionAt(ctx, timestamp, input)
		return at[input], err
	}
	if fold.begin, err = locateReplay(first, limit, fold.about.Replay, now); err != nil {
		return err
	}
	began, err := t.began(ctx, fold.kept.Changelog())
	fold.begin = max(fold.begin, began)
	return err
}

// replayParts is how exactly it is found where a replay begins: no more than one
// of so many parts of it too early, which costs as many records more to step.
const replayParts = 1024

// locateReplay finds the first record that is not older than replay, back from
// the stream time at limit, or one a little before that: each question, for the
// first record at or after a timestamp, is a call, and a task may be waiting. The
// stream time is the largest timestamp before limit, and so the largest for which
// there is a record before limit that is not older. Mostly that is about now.
func locateReplay(first func(timestamp int64) (int64, error), limit int64, replay time.Duration, now time.Time) (int64, error) {
	begin, err := first(math.MinInt64)
	if err != nil || begin >= limit {
		return min(begin, limit), err
	}
	const never = int64(1) << 52
	low, high := int64(0), never // stream time is at or above low, and below high
	guess, part := min(max(now.UnixMilli(), 0), never/2), max(1, replay.Milliseconds()/replayParts)
	for reach := part; low+part < high; reach = min(2*reach, never) {
		middle := low + (high-low)/2
		switch {
		case high == never:
			middle = min(middle, guess+reach)
		case low == 0:
			middle = max(middle, guess-reach)
		}
		at, err := first(middle)
		if err != nil {
			return 0, err
		}
		if at < limit {
			low = middle
		} else {
			high = middle
		}
	}
	if low <= replay.Milliseconds() {
		return begin, nil
	}
	return first(low - replay.Milliseconds())
}

// BeganKey is the key of the record that tells where a group has begun to handle
// an input, in decimal, if that is not with the oldest record. It stands in the
// topic of the table that is folded from the input, in the partition with the
// input's number.
const BeganKey = "began"

// patience is how long a job waits to read something that is there.
const patience = 2 * time.Second

// began reads where the group has begun; 0 if that is not told. It blocks.
func (t *Thread) began(ctx context.Context, p record.Partition) (began int64, err error) {
	ends, err := t.cfg.Log.Ends(ctx, p)
	if err != nil {
		return 0, err
	}
	reader := t.cfg.Log.NewReader(log.ReaderOptions{})
	defer reader.Close()
	reader.Seek(p, ends[p].Start)
	for next := ends[p].Start; next < ends[p].Stable; {
		fetched, err := reader.Poll()
		for _, f := range fetched {
			if err = errors.Join(err, f.Err); err != nil {
				return 0, err
			}
			if began, err = lastBeginning(f, began); err != nil {
				return 0, err
			}
			next = f.Next
		}
		if err == nil && len(fetched) == 0 {
			select {
			case <-reader.Ready():
			case <-ctx.Done():
				err = ctx.Err()
			case <-time.After(patience):
				err = fmt.Errorf("%w: %s partition %d cannot be read", log.ErrUnavailable, p.Topic, p.Number)
			}
		}
		if err != nil {
			return 0, err
		}
	}
	return began, nil
}

// lastBeginning is the last beginning among what was fetched, or the earlier one.
func lastBeginning(f log.Fetched, earlier int64) (began int64, err error) {
	began = earlier
	for _, b := range f.Batches {
		r := b.Reader()
		for r.Next() {
			if rec := r.Record(); string(rec.Key) == BeganKey {
				n, err := strconv.ParseUint(string(rec.Value), 10, 63)
				if began = int64(n); err != nil {
					return 0, fmt.Errorf("%s partition %d offset %d does not tell where the group has begun: %w", f.Partition.Topic, f.Partition.Number, rec.Offset, err)
				}
			}
		}
		if err := r.Err(); err != nil {
			return 0, err
		}
	}
	return began, nil
}

// skip goes on behind records that the input has lost before they were folded.
func (t *Thread) skip(c *copying, fold *refold, there log.Range) {
	t.cfg.Logger.Warn("the input has lost records from which a local table would be made again; it may not know of all that was handled",
		"topic", c.changelog.Topic, "partition", c.changelog.Number, "from", fold.next, "to", there.Start)
	fold.next = min(max(fold.next, there.Start), fold.limit)
	t.restores.Seek(c.changelog, fold.next)
}

// rest stops reading for a standby's table that is at its limit.
func (t *Thread) rest(c *copying, fold *refold) {
	if !fold.idle && fold.next >= fold.limit {
		fold.idle = true
		t.restores.Drop(c.changelog)
	}
}

// extend lets a refold go on to a new limit. One that has come to the old one is
// not read any more, or is read from behind it on: what it was given of that, it
// has not taken.
func (t *Thread) extend(c *copying, fold *refold, limit int64) {
	stopped := fold.next >= fold.limit && !fold.lost
	fold.limit = max(fold.limit, limit)
	c.target = fold.limit
	c.extent.Stable, c.extent.End = fold.limit, fold.limit
	if stopped && fold.next < fold.limit {
		fold.idle = false
		t.restores.Seek(c.changelog, fold.next)
	}
}

// heard takes in what a fetch tells of the changelog. That of a folded table has
// more than may be read.
func (c *copying) heard(r log.Range, now time.Time) {
	c.read = now
	if _, folds := c.follower.(*refold); folds {
		c.extent.Start = min(r.Start, c.extent.End)
		return
	}
	c.extent = r
}

// committed asks how far the group is in the inputs that tables of a task are
// folded from; -1 where it is nowhere.
func (t *Thread) committed(ctx context.Context, r *run) ([]int64, error) {
	inputs := t.folded(r)
	if len(inputs) == 0 {
		return nil, nil
	}
	at, err := t.cfg.Log.Positions(ctx, t.cfg.Topology.Group, inputs...)
	if err != nil {
		return nil, err
	}
	committed := make([]int64, len(r.sources))
	for i, source := range r.sources {
		committed[i] = -1
		if next, ok := at[source]; ok {
			committed[i] = next
		}
	}
	return committed, nil
}

// folded are the inputs that tables of a task are folded from.
func (t *Thread) folded(r *run) (inputs []record.Partition) {
	for _, tab := range t.subs[r.id.Sub].Tables {
		if at := r.foldedFrom(tab); at >= 0 {
			inputs = append(inputs, r.sources[at])
		}
	}
	return inputs
}

// A limiter asks how far the group is, for the standbys of a thread.
type limiter struct {
	job   *Job
	found map[record.Partition]int64 // by job
	next  time.Time                  // not before that
}

// limitEvery is how often a standby hears how far the group is.
const limitEvery = time.Second

// limit lets the standbys' refolds go on as far as the group has.
func (t *Thread) limit(now time.Time) (bool, error) {
	l := &t.limiter
	if l.job != nil {
		done, err := l.job.Done()
		if done {
			l.job = nil
			t.extendAll(l.found)
		}
		return done, err
	}
	var inputs []record.Partition
	for _, r := range t.runs {
		if r.standby && r.state == Following && !r.leaving {
			inputs = append(inputs, t.folded(r)...)
		}
	}
	if len(inputs) == 0 || now.Before(l.next) {
		return false, nil
	}
	l.job, l.next, l.found = &Job{}, now.Add(limitEvery), nil
	t.cfg.Runner.Go("positions", l.job, func(ctx context.Context) error {
		found, err := t.cfg.Log.Positions(ctx, t.cfg.Topology.Group, inputs...)
		if err == nil {
			l.found = found
		}
		return nil // what is not known now is asked for again
	})
	return true, nil
}

func (t *Thread) extendAll(committed map[record.Partition]int64) {
	for _, r := range t.runs {
		for _, c := range r.copies {
			fold, folds := c.follower.(*refold)
			if limit, known := committed[c.changelog]; folds && known && r.standby {
				t.extend(c, fold, limit)
			}
		}
	}
}

// limitAt is when limit has something to do by the clock alone; zero: never.
func (t *Thread) limitAt() time.Time {
	for _, r := range t.runs {
		if r.standby && r.state == Following && !r.leaving && t.limiter.job == nil && len(t.folded(r)) > 0 {
			return t.limiter.next
		}
	}
	return time.Time{}
}
