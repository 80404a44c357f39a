// Package instance is one member of a group with its threads: it keeps the
// membership, divides what it is given among the threads, and gives back what
// is taken away only when no thread has it any more. Like the threads it is a
// machine that is stepped and never blocks.
package instance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	cfg       Config
	member    log.Member
	given     []assign.Task        // by the last claim
	place     map[assign.Task]int  // of given, by thread
	releasing bool                 // something was taken away and is not released yet
	owned     map[assign.Task]bool // as last reported
}

// New joins the group.
func New(cfg Config) (*Instance, error) {
	i := &Instance{cfg: cfg, place: map[assign.Task]int{}}
	cfg.Join.Metadata = assign.Encode(nil)
	cfg.Join.Assign = func(members []log.MemberInfo) map[string][]byte { return divide(members, cfg.Tasks) }
	m, err := cfg.Log.Join(cfg.Group, cfg.Join)
	if err != nil {
		return nil, fmt.Errorf("join group %s: %w", cfg.Group, err)
	}
	i.member = m
	return i, nil
}

// divide is the group's assignor. A member that cannot be understood, of
// another version say, is given nothing.
func divide(members []log.MemberInfo, tasks []assign.Task) map[string][]byte {
	var known []assign.Member
	for _, m := range members {
		owns, err := assign.Decode(m.Metadata)
		given, err2 := assign.Decode(m.Assignment)
		if err != nil || err2 != nil {
			continue
		}
		for _, t := range given {
			if !slices.Contains(owns, t) {
				owns = append(owns, t)
			}
		}
		known = append(known, assign.Member{ID: m.ID, Owns: owns})
	}
	plan := map[string][]byte{}
	for id, tasks := range assign.Plan(known, tasks) {
		plan[id] = assign.Encode(tasks)
	}
	return plan
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
		i.given, i.releasing, i.owned = nil, false, nil
		clear(i.place)
		for _, t := range i.cfg.Threads {
			t.Lose()
		}
		i.member.Rejoin(assign.Encode(nil))
		return nil
	}
	given, err := assign.Decode(c.Assignment)
	if err != nil {
		return fmt.Errorf("assignment of group %s: %w", i.cfg.Group, err)
	}
	i.given, i.releasing = given, true
	for n, tasks := range i.spread() {
		i.cfg.Threads[n].Assign(c.GroupClaim, tasks)
	}
	return nil
}

// spread divides the tasks given among the threads: each stays where it is,
// new ones go where there are fewest of their kind.
func (i *Instance) spread() [][]assign.Task {
	per := make([][]assign.Task, len(i.cfg.Threads))
	place := make(map[assign.Task]int, len(i.given))
	put := func(t assign.Task, n int) {
		place[t] = n
		per[n] = append(per[n], t)
	}
	for _, t := range i.given {
		if n, ok := i.place[t]; ok {
			put(t, n)
		}
	}
	for _, t := range i.given {
		if _, ok := place[t]; !ok {
			put(t, fewest(per, t.Sub))
		}
	}
	i.place = place
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

// report tells the group what this instance owns, when that has changed, and
// asks for a rebalance when everything that was taken away is released.
func (i *Instance) report() bool {
	owned := map[assign.Task]bool{}
	var list []assign.Task
	waiting := false
	for _, t := range i.cfg.Threads {
		for _, id := range t.Owned() {
			owned[id] = true
			list = append(list, id)
			waiting = waiting || !slices.Contains(i.given, id)
		}
	}
	slices.SortFunc(list, assign.Task.Compare)
	released := false
	for id := range i.owned {
		released = released || !owned[id]
	}
	changed := released || len(owned) != len(i.owned)
	switch {
	case i.releasing && !waiting:
		i.releasing = false
		if released {
			i.member.Rejoin(assign.Encode(list))
		} else {
			i.member.Update(assign.Encode(list))
		}
	case changed && !waiting:
		i.member.Update(assign.Encode(list))
	default:
		return false
	}
	i.owned = owned
	return true
}

// Owned tells whether any thread still has a task.
func (i *Instance) Owned() bool {
	return slices.ContainsFunc(i.cfg.Threads, func(t *thread.Thread) bool { return len(t.Owned()) > 0 })
}

// Leave ends the membership, so that others can take over at once.
func (i *Instance) Leave(ctx context.Context) error { return i.member.Leave(ctx) }
