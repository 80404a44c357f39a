package thread

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/tagtide/tagtide/stream/internal/assign"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
	"github.com/tagtide/tagtide/stream/internal/table"
	"github.com/tagtide/tagtide/stream/internal/task"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// A State is where a task is in its life.
type State int

// The states of a task.
const (
	Preparing State = iota // finding out where to begin
	Restoring              // bringing its tables up to the changelogs' ends
	Running
	Closing   // committing the last interval before it is released
	Following // as a standby, which is prepared before that
)

func (s State) String() string {
	return [...]string{"preparing", "restoring", "running", "closing", "following"}[s]
}

// A run is one task on this thread.
type run struct {
	id      assign.Task
	state   State
	leaving bool // to be released
	standby bool // not owned: only followed
	near    bool // a standby that has caught up, and Changed was told
	astray  bool // a standby that cannot go on from where it is

	sources []record.Partition
	tables  []topology.Table // of the topology
	kept    []store.Table    // by the topology's index of tables; nil where the task has none

	job      *Job      // of preparing
	found    *prepared // by job
	prepared prepared
	retryAt  time.Time
	waits    time.Time // since when the log does not tell where to begin, or since that was last told of
	began    time.Time // to restore

	folded []*refold  // that have come to their limits
	copies []*copying // tables being restored, and joined ones that are followed for ever
	task   *task.Task // from Restoring's end on
	queues []queue    // by source: fetched and not stepped
	// committed is, by source, the position of the last decided commit.
	committed []int64
	stable    []int64 // by source: where committed reading ends, when last fetched
}

// A queue holds what was fetched of one source and not yet stepped.
type queue struct {
	fetched log.Fetched
	batch   int           // of fetched.Batches: the next one to open
	reader  record.Reader // of the batch before it
	open    bool          // reader has not ended
	full    bool          // fetched has not been worked off
}

// prepared is what preparing finds out, in this order: positions first, for
// after a stable answer under our generation nobody else can move them or
// write the changelogs; then the changelogs' ends, which so cover every commit
// that those positions belong to.
// A standby only needs the extents, and of inputs that tables are folded from
// the committed positions.
type prepared struct {
	positions []int64     // by source
	committed []int64     // by source; -1 where the position is not the group's yet
	extents   []log.Range // by table of the sub-topology
}

func (t *Thread) newRun(id assign.Task) *run {
	return &run{id: id, sources: t.sources(id), tables: t.cfg.Topology.Tables, kept: make([]store.Table, len(t.cfg.Topology.Tables))}
}

// prepare moves on every task that is finding out where to begin.
func (t *Thread) prepare(now time.Time) (busy bool, err error) {
	for _, r := range t.runs {
		t.restart(r)
		if r.state != Preparing || r.astray || r.leaving || now.Before(r.retryAt) || t.producer == nil && !r.standby {
			continue
		}
		did, err := t.prepareRun(r, now)
		if err != nil {
			return false, err
		}
		busy = busy || did
	}
	return busy, nil
}

func (t *Thread) prepareRun(r *run, now time.Time) (bool, error) {
	if r.job == nil {
		r.job, r.found = &Job{}, &prepared{}
		found, lookUp := r.found, t.lookUp
		if r.standby {
			lookUp = t.lookUpExtents
		}
		t.cfg.Runner.Go("prepare", r.job, func(ctx context.Context) (err error) {
			*found, err = lookUp(ctx, r)
			return err
		})
		return true, nil
	}
	done, err := r.job.Done()
	if !done {
		return false, nil
	}
	r.job = nil
	switch {
	case errors.Is(err, log.ErrUnstable) || errors.Is(err, log.ErrUnavailable):
		t.tellWaiting(r, now, err)
		r.retryAt = now.Add(retryPause)
		if errors.Is(err, log.ErrUnstable) {
			t.freer.stuck(now)
			if now.Sub(r.waits) < unstableFor {
				r.retryAt = now.Add(unstablePause)
			}
		}
		return true, nil
	case err != nil:
		return false, r.fatal("find out where to begin", err)
	}
	r.prepared, r.waits = *r.found, time.Time{}
	return true, t.startRestore(r, now)
}

// Positions that are about to change mostly are those of a task's last owner,
// who has committed them: then brokers are about to say so. They are asked again
// soon for a while; nobody works on the task meanwhile.
const (
	unstablePause = 20 * time.Millisecond
	unstableFor   = time.Second
)

// tellAfter is how long a task waits for the log before operators hear of it,
// and then hear of it again.
const tellAfter = 10 * time.Second

// tellWaiting tells that a task cannot begin yet. For a moment that is usual.
func (t *Thread) tellWaiting(r *run, now time.Time, err error) {
	if r.waits.IsZero() {
		r.waits = now
	}
	if now.Sub(r.waits) >= tellAfter {
		r.waits = now
		t.cfg.Logger.Warn("a task cannot begin: the log does not tell where", "task", r.id.String(), "error", err)
	}
}

// lookUpExtents asks the log where the task's changelogs end, and how far the
// group is.
func (t *Thread) lookUpExtents(ctx context.Context, r *run) (p prepared, err error) {
	if p.committed, err = t.committed(ctx, r); err != nil {
		return p, err
	}
	ends, err := t.cfg.Log.Ends(ctx, t.changelogs(r)...)
	for _, changelog := range t.changelogs(r) {
		p.extents = append(p.extents, ends[changelog])
	}
	return p, err
}

// lookUp asks the log where the task's sources go on and where its changelogs
// end. It runs beside the thread. Whoever has really lost its positions finds
// them lost twice: between two questions the task may have gone to somebody
// else, who has committed on and purged what was before.
func (t *Thread) lookUp(ctx context.Context, r *run) (prepared, error) {
	all := append(t.ownChangelogs(r), r.sources...)
	committed, err := t.cfg.Log.Positions(ctx, t.cfg.Topology.Group, all...)
	if err != nil {
		return prepared{}, fmt.Errorf("read the group's positions: %w", err)
	}
	p, lost := t.locate(ctx, r, committed)
	if !errors.Is(lost, ErrLost) {
		return p, lost
	}
	again, err := t.cfg.Log.Positions(ctx, t.cfg.Topology.Group, all...)
	if err != nil || maps.Equal(again, committed) {
		return prepared{}, cmp.Or(err, lost)
	}
	return prepared{}, fmt.Errorf("%w: they moved", log.ErrUnstable)
}

// locate finds the places of a task whose committed positions are given.
func (t *Thread) locate(ctx context.Context, r *run, committed map[record.Partition]int64) (p prepared, err error) {
	ends, err := t.cfg.Log.Ends(ctx, append(t.changelogs(r), r.sources...)...)
	if err != nil {
		return p, err
	}
	if slices.ContainsFunc(r.sources, func(s record.Partition) bool { _, ok := committed[s]; return ok }) {
		err = t.sameTables(r, committed, ends)
	} else {
		err = t.neverHandled(ctx, r)
	}
	if err != nil {
		return p, err
	}
	for i, source := range r.sources {
		next, ok := committed[source]
		p.committed = append(p.committed, next)
		if !ok {
			p.committed[i] = -1
			if next, err = t.firstPosition(ctx, r, i, ends[source]); err != nil {
				return p, err
			}
		} else if next < ends[source].Start || next > ends[source].End {
			return p, lostPosition(source, fmt.Sprintf("its position %d is outside of what is there, %d to %d", next, ends[source].Start, ends[source].End))
		}
		p.positions = append(p.positions, next)
	}
	for _, changelog := range t.changelogs(r) {
		p.extents = append(p.extents, ends[changelog])
	}
	return p, nil
}

// sameTables holds the changelogs of a task that has handled something to being
// those that were written: with the positions of its sources it commits how far
// its changelogs get. Positions go with a topic that is deleted; should they
// outlive it, or be committed once more with the first records of the one that
// came in its place, they are behind that one's end.
func (t *Thread) sameTables(r *run, committed map[record.Partition]int64, ends map[record.Partition]log.Range) error {
	for _, changelog := range t.ownChangelogs(r) {
		at, ok := committed[changelog]
		switch {
		case !ok:
			return lostPosition(changelog, "records were handled, but what was counted of them is not there: the topic is new, or was deleted and created again")
		case at > ends[changelog].End:
			return lostPosition(changelog, fmt.Sprintf("it ends at %d, and was written up to %d: it was deleted and created again, or brokers have lost its end", ends[changelog].End, at))
		}
	}
	return nil
}

// neverHandled holds a task without any position in its sources to having no
// rows either: both come in one transaction. With rows, what it read is another
// topic now.
func (t *Thread) neverHandled(ctx context.Context, r *run) error {
	written, err := t.written(ctx, t.ownChangelogs(r))
	if err != nil || !written {
		return err
	}
	return lostPosition(r.sources[0], "its position is gone, but what was counted from it is there: positions expire when a group is away for long, and go with a topic that is deleted, as it may have been, and created again")
}

// ErrLost is wrapped by the error of a group that cannot know any more what it
// has counted already.
var ErrLost = errors.New("cannot tell what was handled already")

func lostPosition(p record.Partition, why string) error {
	return fmt.Errorf("%w: %s partition %d: %s; records may be missing or would be handled twice, so the group must begin anew: use reset", ErrLost, p.Topic, p.Number, why)
}

// firstPosition is where a source begins of which nothing was ever committed.
// That is only believed if the group has committed positions elsewhere, or has
// never written a table: both come in one transaction.
func (t *Thread) firstPosition(ctx context.Context, r *run, source int, extent log.Range) (int64, error) {
	p := r.sources[source]
	written, err := t.anythingWritten(ctx)
	if err != nil {
		return 0, err
	}
	known := t.cfg.Begun.Load() || !written
	if !known {
		if known, err = t.anyPosition(ctx); err != nil {
			return 0, err
		}
		t.cfg.Begun.Store(known)
	}
	loop := t.cfg.Topology.Sources[t.subs[r.id.Sub].Sources[source]].Loop
	switch {
	case !known:
		return 0, lostPosition(p, "the group's positions are gone, but its tables are not empty")
	case loop && extent.Start > 0:
		return 0, lostPosition(p, "the group's position is gone, and so is the loop's beginning")
	case loop:
		return 0, nil
	}
	return t.startPosition(ctx, p, extent)
}

// anythingWritten tells whether any table of the group has ever got a record.
func (t *Thread) anythingWritten(ctx context.Context) (bool, error) {
	var ps []record.Partition
	for _, tab := range t.cfg.Topology.Tables {
		if tab.Logged() {
			ps = append(ps, t.all(tab.Topic)...)
		}
	}
	return t.written(ctx, ps)
}

// written tells whether any of the partitions has ever got a record. Its end
// alone does not tell: an aborted transaction moves that too.
func (t *Thread) written(ctx context.Context, ps []record.Partition) (bool, error) {
	if len(ps) == 0 {
		return false, nil
	}
	ends, err := t.cfg.Log.Ends(ctx, ps...)
	if err != nil {
		return false, err
	}
	first, err := t.cfg.Log.PositionAt(ctx, math.MinInt64, ps...)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(ps, func(p record.Partition) bool { return first[p] < ends[p].End }), nil
}

// anyPosition tells whether the group has a position in anything it reads.
func (t *Thread) anyPosition(ctx context.Context) (bool, error) {
	var ps []record.Partition
	for _, s := range t.cfg.Topology.Sources {
		ps = append(ps, t.all(s.Topic)...)
	}
	known, err := t.cfg.Log.Positions(ctx, t.cfg.Topology.Group, ps...)
	return len(known) > 0, err
}

func (t *Thread) all(topic string) []record.Partition {
	ps := make([]record.Partition, t.cfg.Topics.Get(topic).Partitions)
	for i := range ps {
		ps[i] = record.Partition{Topic: topic, Number: int32(i)}
	}
	return ps
}

// startPosition is where an input begins. A partition that was added to an input
// in which the group has begun is handled from its first record on.
func (t *Thread) startPosition(ctx context.Context, p record.Partition, extent log.Range) (int64, error) {
	if t.cfg.Start == (Start{}) {
		return extent.Start, nil
	}
	begun, err := t.cfg.Log.Positions(ctx, t.cfg.Topology.Group, t.all(p.Topic)...)
	switch {
	case err != nil:
		return 0, err
	case len(begun) > 0:
		return extent.Start, nil
	case t.cfg.Start.Newest:
		return extent.Stable, nil
	}
	at, err := t.cfg.Log.PositionAt(ctx, t.cfg.Start.At.UnixMilli(), p)
	return at[p], err
}

// changelogs of the task's tables, owned or joined, in the topology's order: of
// one that is folded from an input that input.
func (t *Thread) changelogs(r *run) []record.Partition {
	var ps []record.Partition
	for _, tab := range t.subs[r.id.Sub].Tables {
		ps = append(ps, record.Partition{Topic: t.cfg.Topology.Tables[tab].Changelog(), Number: r.id.Partition})
	}
	return ps
}

// ownChangelogs are those that the task writes.
func (t *Thread) ownChangelogs(r *run) (ps []record.Partition) {
	for _, tab := range t.subs[r.id.Sub].Tables {
		if about := t.cfg.Topology.Tables[tab]; about.Logged() {
			ps = append(ps, record.Partition{Topic: about.Topic, Number: r.id.Partition})
		}
	}
	return ps
}

// start lets a restored task run.
func (t *Thread) start(r *run) {
	tables := make([]*table.Table, len(t.cfg.Topology.Tables))
	for i, kept := range r.kept {
		if kept == nil {
			continue
		}
		cache := 0 // a joined table changes behind our back
		if t.cfg.Topology.Tables[i].Owned {
			cache = t.cfg.CacheBytes
		}
		if r.tables[i].Fold.Input == "" {
			tables[i] = table.New(kept, cache)
		}
	}
	for _, fold := range r.folded { // as it is: it knows what is there
		tables[fold.index] = fold.done()
	}
	r.folded = nil
	var sources []task.Source
	for i := range r.sources {
		sources = append(sources, t.source(r, i))
	}
	for i, tab := range tables {
		if at := r.foldedFrom(i); tab != nil && at >= 0 {
			sources[at].Folded = tab
		}
	}
	r.task = task.New(r.id, sources, tables, t.cfg.Failure, t.sink)
	r.task.Lookups = t.cfg.Program.Lookups
	r.queues = make([]queue, len(sources))
	r.stable = make([]int64, len(sources))
	r.committed = slices.Clone(r.prepared.committed)
	for i, next := range r.prepared.positions {
		r.task.Seek(i, next)
		t.inputs.Seek(r.sources[i], next)
	}
	r.state = Running
	t.cfg.Logger.Debug("task runs", "task", r.id.String())
}

// source is what a task steps the records of its source i with.
func (t *Thread) source(r *run, i int) task.Source {
	s := t.subs[r.id.Sub].Sources[i]
	return task.Source{Partition: r.sources[i], Handler: t.cfg.Program.Handlers[s]}
}

// rewind takes a running task back to Preparing, without anything that is not
// committed.
func (t *Thread) rewind(r *run) {
	t.halt(r)
	r.task, r.queues, r.committed = nil, nil, nil
	r.state = Preparing
}

// halt stops a task's reading. No apply of it may be under way.
func (t *Thread) halt(r *run) {
	for _, p := range r.sources {
		t.inputs.Drop(p)
	}
	for _, c := range r.copies {
		t.restores.Drop(c.changelog)
	}
	r.copies = nil
}

func (r *run) close() {
	for i, kept := range r.kept {
		if kept != nil {
			_ = kept.Close() // gives it back; nothing is written
			r.kept[i] = nil
		}
	}
}

// release gives back the tasks that are to leave and have nothing uncommitted.
func (t *Thread) release(time.Time) (bool, error) {
	if t.committing != nil {
		return false, nil
	}
	if t.lost {
		t.drop()
	}
	before, demoted := len(t.runs), false
	t.runs = slices.DeleteFunc(t.runs, func(r *run) bool {
		if !r.leaving && !t.stopping || !t.clean(r) {
			return false
		}
		if !r.standby && !t.stopping && slices.Contains(t.wanted.Follow, r.id) {
			t.demote(r)
			demoted = true
			return false
		}
		t.halt(r)
		r.close()
		return true
	})
	changed := demoted || len(t.runs) != before
	if t.lost && !slices.ContainsFunc(t.runs, func(r *run) bool { return !r.standby }) {
		t.lost, changed = false, true
		t.adopt()
	}
	if changed {
		t.publishOwned()
	}
	return changed, nil
}

// clean tells whether a task can be let go: no job of it is under way, and
// everything it stepped is committed.
func (t *Thread) clean(r *run) bool {
	if !ended(&r.job) {
		return false
	}
	for _, c := range r.copies {
		if !ended(&c.job) {
			return false
		}
	}
	return r.task == nil || !r.staged() && !r.moved()
}

// staged tells whether a table has writes that are not committed.
func (r *run) staged() bool {
	return slices.ContainsFunc(r.task.Tables, func(tab *table.Table) bool { return tab != nil && tab.Dirty() })
}

// moved tells whether a source's position is not the committed one.
func (r *run) moved() bool {
	for i := range r.task.Sources {
		if r.task.Next(i) != r.committed[i] {
			return true
		}
	}
	return false
}

// ended forgets a job that has ended, and tells whether none is under way.
func ended(j **Job) bool {
	if *j != nil {
		if done, _ := (*j).Done(); !done {
			return false
		}
		*j = nil
	}
	return true
}
