package thread

import (
	"fmt"
	"time"

	"github.com/tagtide/tagtide/stream/internal/table"
)

// followCommits is how many commit intervals of changelog a standby gathers
// before it applies them: what it has folded in memory counts when it is
// promoted, and a key written in each interval is applied once.
const followCommits = 10

// promote makes a standby the task's owner. Its copies go on, up to the ends
// that its preparation finds.
func (t *Thread) promote(r *run) {
	r.standby, r.leaving, r.near = false, false, false
	r.state = Preparing
	r.job, r.found = nil, nil // a standby's preparation finds too little
}

// demote makes a task that is released a standby. It keeps its tables open, and
// goes on with a restore that was under way.
func (t *Thread) demote(r *run) {
	if r.task != nil {
		t.halt(r)
		r.state = Preparing
	}
	r.task, r.queues, r.committed = nil, nil, nil
	r.standby, r.leaving = true, false
	if r.state == Restoring {
		r.state = Following
	}
}

// restart prepares a task anew that has gone astray, as soon as no apply of it
// is under way.
func (t *Thread) restart(r *run) {
	if r.astray && !r.leaving && t.clean(r) {
		t.halt(r)
		r.state, r.astray = Preparing, false
	}
}

// follow keeps a standby's tables up with their changelogs.
func (t *Thread) follow(r *run, now time.Time) (busy bool, err error) {
	for _, c := range r.copies {
		did, err := t.keepUp(r, c, now)
		if err != nil {
			return false, r.fatal("follow "+c.changelog.Topic, err)
		}
		busy = busy || did
	}
	if near := r.lag() <= t.cfg.Near; near != r.near {
		if r.near = near; near && t.cfg.Changed != nil {
			t.cfg.Changed()
		}
	}
	return busy, nil
}

// keepUp applies what was taken of one changelog when that is much, or when its
// time has come.
func (t *Thread) keepUp(r *run, c *copying, now time.Time) (busy bool, err error) {
	if c.job != nil {
		ended, err := c.job.Done()
		if !ended || err != nil {
			return false, err
		}
		c.job, busy = nil, true
	}
	if !t.located(r, c, now) {
		return busy, nil
	}
	if fold, folds := c.follower.(*refold); folds {
		t.rest(c, fold)
	} else if stopped := now.Sub(c.visited); !c.visited.IsZero() && stopped > table.Horizon(t.cfg.Topics.Get(c.changelog.Topic)) {
		r.astray, busy = true, true // while the process was stopped deletes may have gone
	}
	c.visited = now
	if r.astray {
		return busy, nil
	}
	t.resume(c)
	if !c.follower.Full() && (!c.gathered() || now.Before(t.applyAt(c))) {
		return busy, nil
	}
	seen := now
	if c.follower.Len() == 0 {
		seen = c.read
	}
	c.given = now
	t.apply(c, seen, c.follower.Next() >= c.target)
	return true, nil
}

// gathered tells whether there is anything to apply: records, or, when all
// there is has been read, a checkpoint that does not tell so.
func (c *copying) gathered() bool {
	return c.follower.Len() > 0 || c.follower.Next() >= c.extent.Stable && !c.follower.Settled(c.read)
}

// applyAt is when what a standby has gathered is applied.
func (t *Thread) applyAt(c *copying) time.Time {
	return c.given.Add(followCommits * t.cfg.CommitInterval)
}

// followAt is when a run has something to apply by the clock; zero: never.
func (t *Thread) followAt(r *run) (first time.Time) {
	if r.state != Following || r.leaving {
		return first
	}
	for _, c := range r.copies {
		if at := t.applyAt(c); c.job == nil && c.gathered() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// lag is how many changelog positions a run's tables lack, -1 if that is not
// known.
func (r *run) lag() (n int64) {
	switch r.state {
	case Running:
		return 0
	case Preparing:
		return -1
	}
	for _, c := range r.copies {
		n += max(0, max(c.extent.End, c.target)-c.follower.Next())
	}
	return n
}

// ID is the transactional id of one thread of an instance.
func ID(group, instance string, n int) string { return fmt.Sprintf("%s-%s-%d", group, instance, n) }
