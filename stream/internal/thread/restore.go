package thread

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
	"github.com/tagtide/tagtide/stream/internal/table"
)

// copying brings one table of a task up to its changelog: up to target and no
// further for one of ours, for ever for a joined one.
type copying struct {
	changelog record.Partition
	follower  *table.Follower
	from      int64 // where it began
	target    int64 // a restore is done at this position, whatever record stands there
	forever   bool
	job       *Job // of the apply under way
	paused    bool // not read: a chunk is full, and cannot be applied yet

	extent log.Range // when last read
	read   time.Time // when that was
	given  time.Time // when the last apply began; of a standby
	// visited is when a standby was last stepped, zero before that.
	visited time.Time
}

// startRestore opens the task's tables and begins to read their changelogs.
func (t *Thread) startRestore(r *run, now time.Time) error {
	for i, tab := range t.subs[r.id.Sub].Tables {
		changelog := record.Partition{Topic: t.cfg.Topology.Tables[tab].Topic, Number: r.id.Partition}
		extent, own := r.prepared.extents[i], t.cfg.Topology.Tables[tab].Owned
		if len(r.copies) > i { // it was a standby, and goes on from where it is
			c := r.copies[i]
			c.from, c.target, c.forever = c.follower.Applied(), extent.End, r.standby || !own
			continue
		}
		if err := t.open(r, tab, changelog, extent, now); err != nil {
			return r.fatal("open table "+changelog.Topic, err)
		}
		c := &copying{
			changelog: changelog, from: max(r.kept[tab].Checkpoint().Next, extent.Start),
			target: extent.End, forever: r.standby || !own, extent: extent, read: now, given: now,
		}
		c.follower = table.NewFollower(r.kept[tab], c.from)
		t.restores.Seek(changelog, c.from)
		r.copies = append(r.copies, c)
	}
	r.state, r.began = Restoring, now
	if r.standby {
		r.state = Following
	}
	return nil
}

// open opens a table in the store and makes sure that it can be followed on.
func (t *Thread) open(r *run, tab int, changelog record.Partition, extent log.Range, now time.Time) error {
	topic := t.cfg.Topics.Get(changelog.Topic)
	kept := r.kept[tab]
	if kept == nil {
		var err error
		id := store.Identity{LogID: t.cfg.Log.ID(), TopicID: topic.ID, Partitions: topic.Partitions, Partitioner: t.cfg.Topology.Partitioner(topic.Name).String()}
		if t.cfg.Topology.Tables[tab].PerPartition {
			id.Partitions = 0
		}
		kept, err = t.cfg.Store.Open(changelog, id)
		if err != nil {
			return err
		}
		r.kept[tab] = kept
		if why := kept.Wiped(); why != "" {
			t.cfg.Logger.Warn("local table is not this group's any more, restoring it from the changelog",
				"table", changelog.Topic, "partition", changelog.Number, "reason", why)
		}
	}
	why := table.Check(kept.Checkpoint(), extent, now, table.Horizon(topic))
	if why == "" {
		return nil
	}
	t.cfg.Logger.Warn("local table cannot be used, restoring it from the changelog",
		"table", changelog.Topic, "partition", changelog.Number, "reason", why)
	return kept.Wipe()
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
			if r.standby && errors.Is(f.Err, log.ErrOutOfRange) {
				t.restores.Drop(c.changelog)
				r.astray = true
				return nil
			}
			if f.Err != nil {
				return r.fatal("restore from "+f.Partition.Topic, f.Err)
			}
			c.extent, c.read = f.Range, now
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
	change := c.follower.Change(now)
	if r.state == Running {
		return true, true, t.cfg.Store.Apply([]store.Change{change}, false)
	}
	c.job = &Job{}
	t.cfg.Runner.Go("restore", c.job, func(context.Context) error {
		return t.cfg.Store.Apply([]store.Change{change}, reached) // a kill must not undo a whole restore
	})
	return true, false, nil
}
