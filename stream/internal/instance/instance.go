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
	"maps"
	"slices"

	"github.com/tagtide/tagtide/stream/internal/assign"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/thread"
)

// Config is what an instance needs.
type Config struct {
	Log     log.Log
	Group   string
	Join    log.JoinOptions // Metadata and Assign are set here
	Tasks   []assign.Task   // of the whole group
	Threads []*thread.Thread
	Logger  *slog.Logger
}

// An Instance belongs to one goroutine.
type Instance struct {
	cfg      Config
	member   log.Member
	given    []assign.Task // by the last claim
	seen     uint64        // which order that was
	release  bool          // it took something away, and that has not been reported as released
	lost     bool          // the group has given us up, and the threads still have something
	reported []byte        // last
}

// New joins the group.
func New(cfg Config) (*Instance, error) {
	i := &Instance{cfg: cfg, reported: assign.EncodeReport(assign.Report{})}
	cfg.Join.Metadata = i.reported
	cfg.Join.Assign = func(members []log.MemberInfo) map[string][]byte { return divide(members, cfg.Tasks) }
	m, err := cfg.Log.Join(cfg.Group, cfg.Join)
	if err != nil {
		return nil, fmt.Errorf("join group %s: %w", cfg.Group, err)
	}
	i.member = m
	return i, nil
}

// divide is the group's assignor. While there is a member that cannot be
// understood, of another version say, nothing moves: it may be working on
// anything that nobody else owns, so it is given again what it was given last,
// and the others keep what they have.
func divide(members []log.MemberInfo, tasks []assign.Task) map[string][]byte {
	var known []assign.Member
	plan := map[string][]byte{}
	for _, m := range members {
		owns, err := owned(m)
		if err != nil {
			plan[m.ID] = m.Assignment
			continue
		}
		known = append(known, assign.Member{ID: m.ID, Owns: owns})
	}
	orders := assign.Plan(known, tasks)
	if len(plan) > 0 {
		orders = standing(known, tasks)
	}
	for id, order := range orders {
		plan[id] = assign.EncodeOrder(order)
	}
	return plan
}

// standing is the plan in which every member keeps what it alone owns.
func standing(members []assign.Member, tasks []assign.Task) map[string]assign.Order {
	owners := map[assign.Task]int{}
	for _, m := range members {
		for _, t := range m.Owns {
			owners[t]++
		}
	}
	orders := map[string]assign.Order{}
	for _, m := range members {
		keep := slices.DeleteFunc(slices.Clone(tasks), func(t assign.Task) bool {
			return owners[t] != 1 || !slices.Contains(m.Owns, t)
		})
		maps.Copy(orders, assign.Plan([]assign.Member{m}, keep))
	}
	return orders
}

// owned is what a member may own: what it reports, and unless it has seen the
// last order, what was in that, because it may have taken that up since, or not
// have released it.
func owned(m log.MemberInfo) ([]assign.Task, error) {
	report, err := assign.DecodeReport(m.Metadata)
	if err != nil || report.Seen == assign.Sum(m.Assignment) {
		return report.Owns, err
	}
	last, err := assign.DecodeOrder(m.Assignment)
	for _, t := range slices.Concat(last.Tasks, last.Release) {
		if !slices.Contains(report.Owns, t) {
			report.Owns = append(report.Owns, t)
		}
	}
	return report.Owns, err
}

// Ready receives after Step may have something to do.
func (i *Instance) Ready() <-chan struct{} { return i.member.Ready() }

// Step takes over a new claim and reports what was released. It is to be called
// after Ready received, and after threads did something. An error is final.
func (i *Instance) Step() (busy bool, err error) {
	claim, changed, err := i.member.Poll()
	if errors.Is(err, log.ErrFenced) {
		return false, fmt.Errorf("another instance of group %s runs as %q; give one of them another instance id: %w", i.cfg.Group, i.cfg.Join.InstanceID, err)
	}
	if err != nil {
		return false, fmt.Errorf("membership of group %s: %w", i.cfg.Group, err)
	}
	if changed {
		if err := i.take(claim); err != nil {
			return false, err
		}
	}
	return i.report() || changed, nil
}

// take hands a new claim to the threads.
func (i *Instance) take(c log.Claim) error {
	if c.Lost {
		i.cfg.Logger.Warn("the group has given this instance up, its tasks are dropped", "group", i.cfg.Group, "generation", c.Generation)
		i.given, i.seen, i.release, i.lost = nil, 0, false, true
		for _, t := range i.cfg.Threads {
			t.Lose()
		}
		return nil
	}
	order, err := assign.DecodeOrder(c.Assignment)
	if err != nil {
		return fmt.Errorf("assignment of group %s: %w", i.cfg.Group, err)
	}
	for _, t := range order.Tasks {
		if !slices.Contains(i.cfg.Tasks, t) {
			return fmt.Errorf("assignment of group %s: task %s is not one of this program's; all instances must run the same graph over the same topics", i.cfg.Group, t)
		}
	}
	i.given, i.seen, i.release = order.Tasks, assign.Sum(c.Assignment), len(order.Release) > 0
	for n, tasks := range i.spread() {
		i.cfg.Threads[n].Assign(c.GroupClaim, tasks)
	}
	return nil
}

// spread divides the tasks given among the threads: each stays where it is,
// also one that was to leave and has not; new ones go where there are fewest of
// their kind.
func (i *Instance) spread() [][]assign.Task {
	per := make([][]assign.Task, len(i.cfg.Threads))
	placed := make(map[assign.Task]bool, len(i.given))
	for n, thread := range i.cfg.Threads {
		for _, t := range thread.Owned() {
			if slices.Contains(i.given, t) {
				per[n] = append(per[n], t)
				placed[t] = true
			}
		}
	}
	for _, t := range i.given {
		if !placed[t] {
			n := fewest(per, t.Sub)
			per[n] = append(per[n], t)
		}
	}
	return per
}

// fewest is the thread with the fewest tasks of a kind, then with the fewest.
func fewest(per [][]assign.Task, sub int32) int {
	load := func(n int) (same, all int) {
		for _, t := range per[n] {
			if t.Sub == sub {
				same++
			}
		}
		return same, len(per[n])
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

// report tells the group what this instance owns, when that has changed. When
// everything that was taken away is released it asks for a rebalance, and also
// after it was given up, when everything is dropped.
func (i *Instance) report() bool {
	var owns []assign.Task
	for _, t := range i.cfg.Threads {
		owns = append(owns, t.Owned()...)
	}
	if i.lost && len(owns) > 0 {
		return false
	}
	slices.SortFunc(owns, assign.Task.Compare)
	report := assign.EncodeReport(assign.Report{Owns: owns, Seen: i.seen})
	released := i.release && !slices.ContainsFunc(owns, func(t assign.Task) bool { return !slices.Contains(i.given, t) })
	switch {
	case released || i.lost:
		i.release, i.lost = false, false
		i.member.Rejoin(report)
	case !bytes.Equal(report, i.reported):
		i.member.Update(report)
	default:
		return false
	}
	i.reported = report
	return true
}

// Owned tells whether any thread still has a task.
func (i *Instance) Owned() bool {
	return slices.ContainsFunc(i.cfg.Threads, func(t *thread.Thread) bool { return len(t.Owned()) > 0 })
}

// Leave ends the membership, so that others can take over at once.
func (i *Instance) Leave(ctx context.Context) error { return i.member.Leave(ctx) }
