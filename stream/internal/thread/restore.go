package thread

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
	"github.com/tagtide/tagtide/stream/internal/table"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// copying brings one table of a task up to its changelog: up to target and no
// further for one of ours, for ever for a joined one.
type copying struct {
	changelog record.Partition
	follower  follower
	from      int64 // where it began
	target    int64 // a restore is done at this position, whatever record stands there
	forever   bool
	job       *Job // of the apply under way, or of what looks for the beginning
	paused    bool // not read: a chunk is full, and cannot be applied yet

	extent log.Range // when last read
	read   time.Time // when that was
	given  time.Time // when the last apply began; of a standby
	// visited is when a standby was last stepped, zero before that.
	visited time.Time
}

// A follower makes a table of what is read of its changelog. That of a logged
// or joined table is a [table.Follower], that of a folded one a [refold].
type follower interface {
	// Next is the position behind all that was taken.
	Next() int64
	// Len is the number of keys taken and not yet given to an apply; Full tells
	// that they are enough for one.
	Len() int
	Full() bool
	// Applied is the position up to which everything is in the store.
	Applied() int64
	// Settled tells whether the checkpoint is as good as one could be, if seen
	// is when Next was found to be all there is.
	Settled(seen time.Time) bool
	// Take takes what was fetched at Next.
	Take(log.Fetched) error
	// Change is what was taken since the last Change, which is applied.
	Change(now time.Time) store.Change
	// Sweep adds to a change, from the goroutine that applies it.
	Sweep(*store.Change) error
}

// startRestore opens the task's tables and begins to read their changelogs.
func (t *Thread) startRestore(r *run, now time.Time) error {
	for i, tab := range t.subs[r.id.Sub].Tables {
		about := t.cfg.Topology.Tables[tab]
		changelog := record.Partition{Topic: about.Changelog(), Number: r.id.Partition}
		extent, own := r.prepared.extents[i], about.Owned
		if about.Fold.Input != "" {
			extent = t.foldable(r, tab, extent)
		}
		if len(r.copies) > i { // it was a standby, and goes on from where it is
			c := r.copies[i]
			c.from, c.target, c.forever = c.follower.Applied(), extent.End, r.standby || !own
			if fold, folds := c.follower.(*refold); folds {
				t.extend(c, fold, extent.End)
			}
			continue
		}
		if err := t.open(r, tab, extent, now); err != nil {
			return r.fatal("open table "+about.Topic, err)
		}
		c := &copying{
			changelog: changelog, from: max(r.kept[tab].Checkpoint().Next, extent.Start),
			target: extent.End, forever: r.standby || !own, extent: extent, read: now, given: now,
		}
		if about.Fold.Input != "" {
			t.startRefold(r, tab, c)
		} else {
			c.follower = table.NewFollower(r.kept[tab], c.from)
			t.restores.Seek(changelog, c.from)
		}
		r.copies = append(r.copies, c)
	}
	r.state, r.began = Restoring, now
	if r.standby {
		r.state = Following
	}
	return nil
}

// open opens a table in the store and makes sure that it can be followed on.
func (t *Thread) open(r *run, tab int, extent log.Range, now time.Time) error {
	about := t.cfg.Topology.Tables[tab]
	name, topic := record.Partition{Topic: about.Topic, Number: r.id.Partition}, t.cfg.Topics.Get(about.Changelog())
	kept := r.kept[tab]
	if kept == nil {
		var err error
		if kept, err = t.cfg.Store.Open(name, t.identity(about, topic)); err != nil {
			return err
		}
		r.kept[tab] = kept
		if why := kept.Wiped(); why != "" {
			t.cfg.Logger.Warn("local table is not this group's any more, restoring it from the changelog",
				"table", name.Topic, "partition", name.Number, "reason", why)
		}
	}
	horizon := table.Horizon(topic)
	if about.Fold.Input != "" {
		horizon = math.MaxInt64 // an input is not compacted
	}
	why := table.Check(kept.Checkpoint(), extent, t.cfg.Log.Markers(), now, horizon)
	if why == "" {
		return nil
	}
	t.cfg.Logger.Warn("local table cannot be used, restoring it from the changelog",
		"table", name.Topic, "partition", name.Number, "reason", why)
	return kept.Wipe()
}

// identity is what a table's bytes belong to.
func (t *Thread) identity(about topology.Table, changelog log.Topic) store.Identity {
	id := store.Identity{LogID: t.cfg.Log.ID(), TopicID: changelog.ID}
	if !about.PerPartition {
		id.Partitions, id.Partitioner = changelog.Partitions, t.cfg.Topology.Partitioner(changelog.Name).String()
	}
	return id
}

// restore reads changelogs, and starts the tasks whose tables have reached
// their targets.
func (t *Thread) restore(now time.Time) (busy bool, err error) {
	fetched, err := t.restores.Poll()
	if err != nil {
		return false, fmt.Errorf("read changelogs: %w", err)
	}
	for _, f := range fetched {
		if err := t.takeChangelog(f, now); err != nil {
			return false, err
		}
		busy = true
	}
	for _, r := range t.runs {
		if r.state == Preparing || r.leaving {
			continue
		}
		advance := t.restoreRun
		if r.standby {
			advance = t.follow
		}
		did, err := advance(r, now)
		if err != nil {
			return false, err
		}
		busy = busy || did
	}
	return busy, nil
}

func (t *Thread) takeChangelog(f log.Fetched, now time.Time) error {
	for _, r := range t.runs {
		for _, c := range r.copies {
			if c.changelog != f.Partition {
				continue
			}
			if fold, ok := c.follower.(*refold); ok && errors.Is(f.Err, log.ErrOutOfRange) {
				t.skip(c, fold, f.Range)
				return nil
			}
			if r.standby && errors.Is(f.Err, log.ErrOutOfRange) {
				t.restores.Drop(c.changelog)
				r.astray = true
				return nil
			}
			if f.Err != nil {
				return r.fatal("restore from "+f.Partition.Topic, f.Err)
			}
			c.heard(f.Range, now)
			if err := c.follower.Take(f); err != nil {
				return r.fatal("restore from "+f.Partition.Topic, err)
			}
			t.pause(r, c)
			return nil
		}
	}
	return nil
}

// pause stops reading a changelog when a chunk is full while the one before it
// is being applied, or while nobody applies because the task leaves or is being
// prepared. So at most two chunks of a table are in memory.
func (t *Thread) pause(r *run, c *copying) {
	if c.follower.Full() && (c.job != nil || r.leaving || r.state == Preparing) {
		t.restores.Drop(c.changelog)
		c.paused = true
	}
}

func (t *Thread) resume(c *copying) {
	if c.paused {
		t.restores.Seek(c.changelog, c.follower.Next())
		c.paused = false
	}
}

func (t *Thread) restoreRun(r *run, now time.Time) (busy bool, err error) {
	ready := true
	for _, c := range r.copies {
		did, done, err := t.advance(r, c, now)
		if err != nil {
			return false, r.fatal("restore from "+c.changelog.Topic, err)
		}
		busy = busy || did
		ready = ready && done
	}
	if r.state != Restoring || !ready {
		return busy, nil
	}
	t.endRestore(r)
	t.start(r)
	return true, nil
}

// endRestore stops reading the changelogs of our own tables.
func (t *Thread) endRestore(r *run) {
	var kept []*copying
	for _, c := range r.copies {
		if c.forever {
			kept = append(kept, c)
			continue
		}
		t.restores.Drop(c.changelog)
		if fold, folds := c.follower.(*refold); folds {
			r.folded = append(r.folded, fold)
		}
	}
	r.copies = kept
}

// advance applies what was taken when it is much, or all there is. done tells
// that the target is reached and in the store, with a checkpoint that says so
// also where no record stands before the target. A task that runs never has an
// apply under way: what it joins is applied at once.
func (t *Thread) advance(r *run, c *copying, now time.Time) (busy, done bool, err error) {
	if c.job != nil {
		ended, err := c.job.Done()
		if !ended || err != nil {
			return false, false, err
		}
		c.job, busy = nil, true
	}
	if !t.located(r, c, now) {
		return busy, false, nil
	}
	t.resume(c)
	reached := c.follower.Next() >= c.target
	if !reached && c.follower.Next() >= c.extent.Stable {
		t.freer.stuck(now)
	}
	switch {
	case c.follower.Len() == 0 && (!reached || r.state == Running || c.follower.Settled(now)):
		return busy, reached, nil
	case !c.follower.Full() && !reached:
		return busy, false, nil
	}
	if r.state == Running {
		return true, true, t.cfg.Store.Apply([]store.Change{c.follower.Change(now)}, false)
	}
	t.apply(c, now, reached) // a kill must not undo a whole restore, or not much of a folded one
	return true, false, nil
}

// apply begins to apply what was taken, as of now.
func (t *Thread) apply(c *copying, now time.Time, sync bool) {
	change, follower := c.follower.Change(now), c.follower
	c.job = &Job{}
	t.cfg.Runner.Go("restore", c.job, func(context.Context) error {
		if err := follower.Sweep(&change); err != nil {
			return err
		}
		return t.cfg.Store.Apply([]store.Change{change}, sync)
	})
}
