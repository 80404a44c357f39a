// Package instance is one member of a group with its threads: it keeps the
// membership, divides what it is given among the threads, and gives back what
// is taken away only when no thread has it any more. Like the threads it is a
// machine that is stepped and never blocks.
package instance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tagtide/tagtide/stream/internal/assign"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/thread"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// Config is what an instance needs.
type Config struct {
	Log     log.Log
	Group   string
	Join    log.JoinOptions // Metadata and Assign are set here
	Shape   assign.Group    // of the whole group; its tasks as known now
	Threads []*thread.Thread
	// Instance is what the transactional ids of the threads are made of,
	// Endpoint where this instance answers queries, if it does.
	Instance, Endpoint string
	// Lags asks the log how many changelog records the tables in the store lack,
	// by task; those too that no thread has open. It may block.
	Lags func(context.Context) (map[assign.Task]int64, error)
	// Look asks the log for the tasks of the group: more when partitions were
	// added to what it reads. It may block. An error that wraps
	// topology.ErrPartitions is final.
	Look   func(context.Context) ([]assign.Task, error)
	Runner thread.Runner
	Logger *slog.Logger
}

// An Instance belongs to one goroutine, Hosts excepted.
type Instance struct {
	cfg      Config
	tasks    []assign.Task // of the group, as far as is known here
	member   log.Member
	order    assign.Order  // of the last claim
	seen     uint64        // which order that was
	release  bool          // it took something away, and that has not been reported as released
	warm     []assign.Task // of order.WarmUps, those that have not been reported as caught up
	lost     bool          // the group has given us up, and the threads still have something
	claimed  bool          // since it joined, or was given up
	reported []byte        // last

	// lags are what the tables in the store lack, as far as is known.
	lags      map[assign.Task]int64
	lagsJob   *thread.Job
	lagsFound map[assign.Task]int64 // by lagsJob
	lagsAt    time.Time             // when to ask again

	lookJob *thread.Job
	found   []assign.Task // by lookJob
	lookAt  time.Time     // when to look again
	grew    bool          // tasks did, and that has not been reported
	trouble string        // why the last look failed, as operators were told

	hosts atomic.Pointer[[]assign.Host]
}

// New returns an instance that has not joined its group.
func New(cfg Config) *Instance {
	return &Instance{cfg: cfg, tasks: cfg.Shape.Tasks, lags: map[assign.Task]int64{}}
}

// Join joins the group. It is to be called once, when nothing is left to be done
// before tasks can run: from here on the group waits for this instance.
func (i *Instance) Join(ctx context.Context) error {
	cfg := i.cfg
	lags, err := cfg.Lags(ctx)
	if err != nil { // for now nobody knows what is in the store
		cfg.Logger.Warn("cannot tell how far behind the local tables are", "group", cfg.Group, "error", err)
	} else {
		i.lags = lags
	}
	i.reported = assign.EncodeReport(i.describe())
	cfg.Join.Metadata = i.reported
	cfg.Join.Assign = func(members []log.MemberInfo) map[string][]byte { return divide(members, cfg.Shape) }
	m, err := cfg.Log.Join(cfg.Group, cfg.Join)
	if err != nil {
		return fmt.Errorf("join group %s: %w", cfg.Group, err)
	}
	i.member = m
	return nil
}

// Joined tells whether Join has succeeded. Before that only Leave may be called,
// which then does nothing.
func (i *Instance) Joined() bool { return i.member != nil }

// Ready receives after Step may have something to do.
func (i *Instance) Ready() <-chan struct{} { return i.member.Ready() }

// How often the instance looks at its standbys, asks the log about tables that
// no thread has open, and whether there are more partitions.
const (
	standbysEvery = time.Second
	lagsEvery     = 30 * time.Second
	lookEvery     = 2 * time.Second
)

// Step takes over a new claim and reports what was released or has caught up.
// It is to be called after Ready received, after threads did something, when a
// job has ended, and at wake. An error is final.
func (i *Instance) Step(now time.Time) (busy bool, wake time.Time, err error) {
	claim, changed, err := i.member.Poll()
	if errors.Is(err, log.ErrFenced) {
		return false, wake, fmt.Errorf("another instance of group %s runs as %q; give one of them another instance id: %w", i.cfg.Group, i.cfg.Join.InstanceID, err)
	}
	if err != nil {
		return false, wake, fmt.Errorf("membership of group %s: %w", i.cfg.Group, err)
	}
	if changed {
		if err := i.take(claim); err != nil {
			return false, wake, err
		}
		i.lagsAt = now
	}
	i.refresh(now)
	if err := i.look(now); err != nil {
		return false, wake, err
	}
	return i.report() || changed, now.Add(standbysEvery), nil
}

// take hands a new claim to the threads.
func (i *Instance) take(c log.Claim) error {
	if c.Lost {
		i.cfg.Logger.Warn("the group has given this instance up, its tasks are dropped", "group", i.cfg.Group, "generation", c.Generation)
		i.order.Tasks, i.seen, i.release, i.warm, i.lost, i.claimed = nil, 0, false, nil, true, false
		for _, t := range i.cfg.Threads {
			t.Lose()
		}
		return nil
	}
	order, err := assign.DecodeOrder(c.Assignment)
	if err != nil {
		return fmt.Errorf("assignment of group %s: %w", i.cfg.Group, err)
	}
	if err := i.decline(&order); err != nil {
		return err
	}
	first := !i.claimed
	i.claimed = true
	if first && i.cfg.Join.InstanceID != "" && !complete(&order) {
		i.grew = true // it may have waited for what only this life knows
	}
	if first && i.cfg.Join.InstanceID != "" && !i.near(order.Tasks) {
		i.refuse(c)
		return nil
	}
	if order.Idle && !i.order.Idle {
		i.cfg.Logger.Info("the group has more instances than work for them: this one waits until another leaves",
			"group", i.cfg.Group, "tasks", len(i.tasks), "standbys_here", len(order.Follow))
	}
	i.tell(c, order)
	i.order, i.seen, i.release, i.warm = order, assign.Sum(c.Assignment), len(order.Release) > 0, order.WarmUps
	i.hosts.Store(&order.Hosts)
	hosts := hosts(order.Hosts)
	for n, a := range i.spread() {
		a.Hosts = hosts
		i.cfg.Threads[n].Assign(c.GroupClaim, a)
	}
	return nil
}

// decline takes out of an order what this instance does not know of yet, and
// looks for it: others have found partitions that were added. What it does not
// report to own is given to it again.
func (i *Instance) decline(o *assign.Order) error {
	mine := assign.Partitions(i.tasks)
	for _, t := range slices.Concat(o.Tasks, o.Follow) {
		if int(t.Sub) >= len(mine) {
			return fmt.Errorf("assignment of group %s: task %s is not one of this program's; all instances must run the same graph over the same topics", i.cfg.Group, t)
		}
	}
	strange := func(t assign.Task) bool { return t.Partition >= mine[t.Sub] }
	for _, tasks := range []*[]assign.Task{&o.Tasks, &o.Follow, &o.WarmUps} {
		*tasks = slices.DeleteFunc(*tasks, strange)
	}
	for sub, n := range o.Partitions {
		switch {
		case sub >= len(mine) || n > mine[sub]:
			i.lookAt = time.Time{}
		case n < mine[sub]: // it is the order to an earlier life, which knew less
			i.grew = true
		}
	}
	return nil
}

// complete tells whether an order's plan has given all tasks to somebody. One
// that has not waits for reports: for one of a static instance in vain, if it
// has stepped into the claim of its life before, whose report it is.
func complete(o *assign.Order) bool {
	given := 0
	for _, h := range o.Hosts {
		given += len(h.Tasks)
	}
	return given == len(assign.Tasks(o.Partitions))
}

// near tells whether the tables of all these tasks are here, and lack little.
func (i *Instance) near(tasks []assign.Task) bool {
	return !slices.ContainsFunc(tasks, func(t assign.Task) bool {
		lag, known := i.lags[t]
		return i.cfg.Shape.Stateful(t) && (!known || lag > i.cfg.Shape.Near)
	})
}

// refuse has the group plan anew, by what is here now. A static instance steps
// into the claim of its life before, and nobody has looked if that one's tables
// are still here, or if others have a copy.
func (i *Instance) refuse(c log.Claim) {
	i.cfg.Logger.Info("this instance's tasks of before are not taken: their tables are not here", "group", i.cfg.Group, "generation", c.Generation)
	i.seen = assign.Sum(c.Assignment)
	i.reported = assign.EncodeReport(i.describe())
	i.member.Rejoin(i.reported)
}

// tell tells operators what an order changes here; most change nothing.
func (i *Instance) tell(c log.Claim, order assign.Order) {
	if slices.Equal(order.Tasks, i.order.Tasks) && slices.Equal(order.Follow, i.order.Follow) && !i.lost {
		return
	}
	i.cfg.Logger.Info("tasks of this instance", "group", i.cfg.Group, "generation", c.Generation, "of", len(i.tasks),
		"tasks", fmt.Sprint(order.Tasks), "standbys", fmt.Sprint(order.Follow), "to_release", len(order.Release))
}

func hosts(all []assign.Host) map[string]int {
	if len(all) == 0 {
		return nil
	}
	m := make(map[string]int, len(all))
	for _, h := range all {
		m[h.Instance] = h.Threads
	}
	return m
}

// spread divides what was given among the threads: each task stays where it is,
// as a standby or as one that was to leave and has not; new ones go where there
// are fewest of their kind.
func (i *Instance) spread() []thread.Assignment {
	per := make([]thread.Assignment, len(i.cfg.Threads))
	held := map[assign.Task]int{}
	for n, thread := range i.cfg.Threads {
		for _, t := range thread.Held() {
			held[t] = n
		}
	}
	// What stays goes first: new ones go beside it.
	for _, stays := range []bool{true, false} {
		each(i.order.Tasks, held, stays, func(t assign.Task, n int) {
			if !stays {
				n = fewest(per, t.Sub)
			}
			per[n].Tasks = append(per[n].Tasks, t)
		})
		each(i.order.Follow, held, stays, func(t assign.Task, n int) {
			if !stays {
				n = fewest(per, t.Sub)
			}
			per[n].Follow = append(per[n].Follow, t)
		})
	}
	return per
}

// each calls f for the tasks that some thread holds, with its number, or for
// those that none does.
func each(tasks []assign.Task, held map[assign.Task]int, there bool, f func(t assign.Task, n int)) {
	for _, t := range tasks {
		if n, ok := held[t]; ok == there {
			f(t, n)
		}
	}
}

// fewest is the thread with the fewest tasks and standbys of a kind, then with
// the fewest.
func fewest(per []thread.Assignment, sub int32) int {
	load := func(n int) (same, all int) {
		for _, t := range slices.Concat(per[n].Tasks, per[n].Follow) {
			if t.Sub == sub {
				same++
			}
			all++
		}
		return same, all
	}
	best := 0
	for n := range per {
		same, all := load(n)
		if s, a := load(best); same < s || same == s && all < a {
			best = n
		}
	}
	return best
}

// Owned tells whether any thread still has a task.
func (i *Instance) Owned() bool {
	return slices.ContainsFunc(i.cfg.Threads, func(t *thread.Thread) bool { return len(t.Owned()) > 0 })
}

// Hosts tells who is in the group and has which tasks, as of the last claim.
// Safe from any goroutine.
func (i *Instance) Hosts() []assign.Host {
	if hosts := i.hosts.Load(); hosts != nil {
		return *hosts
	}
	return nil
}

// Leave ends the membership, so that others can take over at once.
func (i *Instance) Leave(ctx context.Context) error {
	if !i.Joined() {
		return nil
	}
	return i.member.Leave(ctx)
}

// report tells the group what this instance owns and follows, when that has
// changed. When everything that was taken away is released it asks for a
// rebalance, also when a warm-up has caught up, when there are more tasks, and
// after it was given up, when everything is dropped. It tells whether it asked.
func (i *Instance) report() bool {
	r := i.describe()
	if i.lost && len(r.Owns) > 0 {
		return false
	}
	report := assign.EncodeReport(r)
	released := i.release && !slices.ContainsFunc(r.Owns, func(t assign.Task) bool { return !slices.Contains(i.order.Tasks, t) })
	warm := len(i.warm)
	i.warm = slices.DeleteFunc(slices.Clone(i.warm), func(t assign.Task) bool { return i.caughtUp(r, t) })
	switch {
	case released || i.lost || i.grew || len(i.warm) < warm:
		i.release, i.lost, i.grew = i.release && !released, false, false
		i.member.Rejoin(report)
		i.reported = report
		return true
	case !bytes.Equal(report, i.reported):
		i.member.Update(report)
		i.reported = report
	}
	return false
}

// caughtUp tells whether a standby can take its task over, as far as we know.
func (i *Instance) caughtUp(r assign.Report, t assign.Task) bool {
	lag, known := r.Lags[t]
	return known && lag <= i.cfg.Shape.Near && slices.Contains(r.Follows, t)
}

// describe is what there is to report.
func (i *Instance) describe() assign.Report {
	r := assign.Report{
		Seen: i.seen, Partitions: assign.Partitions(i.tasks), Threads: len(i.cfg.Threads), Instance: i.cfg.Instance, Endpoint: i.cfg.Endpoint,
	}
	for _, t := range i.cfg.Threads {
		r.Owns = append(r.Owns, t.Owned()...)
		s := t.Status()
		for _, task := range slices.Concat(s.Tasks, s.Standbys) {
			if task.Lag >= 0 {
				i.lags[task.ID] = task.Lag
			}
		}
		for _, task := range s.Standbys {
			r.Follows = append(r.Follows, task.ID)
		}
	}
	slices.SortFunc(r.Owns, assign.Task.Compare)
	slices.SortFunc(r.Follows, assign.Task.Compare)
	r.Lags = i.lags
	return r
}

// refresh asks the log about the tables in the store from time to time.
func (i *Instance) refresh(now time.Time) {
	if i.lagsJob != nil {
		done, err := i.lagsJob.Done()
		if !done {
			return
		}
		i.lagsJob = nil
		if err != nil {
			i.cfg.Logger.Debug("cannot tell how far behind the local tables are", "group", i.cfg.Group, "error", err)
		} else {
			i.lags = i.lagsFound
		}
	}
	if now.Before(i.lagsAt) {
		return
	}
	i.lagsAt = now.Add(lagsEvery)
	i.lagsJob = &thread.Job{}
	i.cfg.Runner.Go("lags", i.lagsJob, func(ctx context.Context) (err error) {
		i.lagsFound, err = i.cfg.Lags(ctx)
		return err
	})
}

// look asks from time to time whether there are more tasks.
func (i *Instance) look(now time.Time) error {
	if i.lookJob != nil {
		done, err := i.lookJob.Done()
		if !done {
			return nil
		}
		i.lookJob = nil
		if errors.Is(err, topology.ErrPartitions) {
			return err
		}
		i.tellTrouble(err)
		if err == nil && len(i.found) > len(i.tasks) {
			i.cfg.Logger.Info("partitions were added to what the group reads", "group", i.cfg.Group, "tasks", len(i.found), "before", len(i.tasks))
			i.tasks, i.grew = i.found, true
		}
	}
	if now.Before(i.lookAt) {
		return nil
	}
	i.lookAt = now.Add(lookEvery)
	i.lookJob = &thread.Job{}
	i.cfg.Runner.Go("look", i.lookJob, func(ctx context.Context) (err error) {
		i.found, err = i.cfg.Look(ctx)
		return err
	})
	return nil
}

// tellTrouble tells operators why partitions cannot be found or added, each
// reason once. That the log does not answer for a while, others tell.
func (i *Instance) tellTrouble(err error) {
	switch {
	case err == nil:
		i.trouble = ""
	case errors.Is(err, log.ErrUnavailable):
	case err.Error() != i.trouble:
		i.trouble = err.Error()
		i.cfg.Logger.Warn("cannot go on to partitions that were added, if any were; trying again", "group", i.cfg.Group, "error", err)
	}
}
