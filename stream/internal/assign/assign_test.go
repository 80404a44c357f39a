package assign_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tagtide/tagtide/stream/internal/assign"
)

// A group is members that do what plans say: they take up what they are given,
// release what they are not when they get round to it, and copy tables.
type group struct {
	assign.Group
	members map[string]*assign.Member
	joined  int
}

// near is how many records a copy may lack; a copy that nobody keeps lacks far.
const (
	near = 100
	far  = 1_000_000
)

func drawGroup(t *rapid.T) *group {
	g := &group{members: map[string]*assign.Member{}}
	stateless := rapid.Int32Range(-1, 2).Draw(t, "stateless")
	for sub := range rapid.Int32Range(1, 3).Draw(t, "subs") {
		for p := range rapid.Int32Range(1, 8).Draw(t, "partitions") {
			g.Tasks = append(g.Tasks, assign.Task{Sub: sub, Partition: p})
		}
	}
	g.Stateful = func(t assign.Task) bool { return t.Sub != stateless }
	g.Standbys, g.WarmUps, g.Near = rapid.IntRange(0, 2).Draw(t, "standbys"), rapid.IntRange(1, 3).Draw(t, "warm-ups"), near
	return g
}

// join adds a member, which may find copies on its disk.
func (g *group) join(t *rapid.T, threads int) {
	m := &assign.Member{ID: fmt.Sprint("m", g.joined), Threads: threads, Lags: map[assign.Task]int64{}}
	g.joined++
	for _, task := range g.Tasks {
		switch rapid.IntRange(0, 3).Draw(t, "copy") {
		case 0:
			m.Lags[task] = rapid.Int64Range(0, far).Draw(t, "lag")
		case 1:
			m.Lags[task] = far
		}
	}
	g.members[m.ID] = m
}

func (g *group) plan() map[string]assign.Order {
	var members []assign.Member
	for _, m := range g.members {
		members = append(members, *m)
	}
	return assign.Plan(members, g.Group)
}

// obey makes every member release what it was not given, take up what it was,
// and copy for a while, which some get further with than others. It tells
// whether anybody has reason to ask for another plan.
func (g *group) obey(t *rapid.T, plan map[string]assign.Order) (again bool) {
	for id, m := range g.members {
		o := plan[id]
		again = again || len(o.Release) > 0
		m.Owns, m.Follows = slices.Clone(o.Tasks), slices.Clone(o.Follow)
		for _, task := range o.Tasks {
			m.Lags[task] = 0
		}
		for _, task := range o.Follow {
			if _, known := m.Lags[task]; !known {
				m.Lags[task] = far
			}
			m.Lags[task] = max(0, m.Lags[task]-rapid.Int64Range(far/4, far).Draw(t, "copied"))
			again = again || slices.Contains(o.WarmUps, task)
		}
	}
	return again
}

func (g *group) caughtUp(id string, task assign.Task) bool {
	lag, known := g.members[id].Lags[task]
	return !g.Stateful(task) || known && lag <= near
}

// check holds a plan to the package's invariants.
func (g *group) check(t *rapid.T, plan map[string]assign.Order) {
	owner := map[assign.Task]string{}
	warm := 0
	for id, o := range plan {
		warm += len(o.WarmUps)
		for _, task := range o.Tasks {
			if other, twice := owner[task]; twice {
				t.Fatalf("task %s is given to %s and %s", task, other, id)
			}
			owner[task] = id
			for other, m := range g.members {
				if other != id && slices.Contains(m.Owns, task) {
					t.Fatalf("task %s is given to %s while %s has it", task, id, other)
				}
			}
			if slices.Contains(o.Follow, task) {
				t.Fatalf("%s has task %s and is to copy it", id, task)
			}
		}
		for _, task := range o.WarmUps {
			if !slices.Contains(o.Follow, task) || g.caughtUp(id, task) {
				t.Fatalf("%s is to warm task %s up: it does not copy it, or has caught up", id, task)
			}
		}
		if !slices.IsSorted(slices.Collect(texts(o.Tasks))) {
			t.Fatalf("%v is not sorted", o.Tasks)
		}
	}
	if warm > g.WarmUps {
		t.Fatalf("%d warm-ups at once, %d may be", warm, g.WarmUps)
	}
	g.checkMoves(t, plan, owner)
	g.checkFree(t, owner)
}

func texts(tasks []assign.Task) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, t := range tasks {
			if !yield(fmt.Sprintf("%03d_%03d", t.Sub, t.Partition)) {
				return
			}
		}
	}
}

// checkMoves holds that nobody loses a task that balance does not demand, nor
// one that nobody is ready to take over.
func (g *group) checkMoves(t *rapid.T, plan map[string]assign.Order, owner map[assign.Task]string) {
	threads := 0
	for _, m := range g.members {
		threads += m.Threads
	}
	for id, m := range g.members {
		kept := 0
		for _, task := range m.Owns {
			if owner[task] == id {
				kept++
				continue
			}
			ready := false
			for other := range g.members {
				ready = ready || other != id && g.caughtUp(other, task)
			}
			if !ready {
				t.Fatalf("%s loses task %s, which nobody has caught up with", id, task)
			}
		}
		if share := len(g.Tasks) * m.Threads / threads; kept < len(m.Owns) && kept < share-1 {
			t.Fatalf("%s had %d tasks and keeps %d, its share is %d", id, len(m.Owns), kept, share)
		}
	}
}

// checkFree holds that what nobody has is given away at once, to a member that
// need not restore it, if there is one.
func (g *group) checkFree(t *rapid.T, owner map[assign.Task]string) {
	for _, task := range g.Tasks {
		owned, ready := false, false
		for id, m := range g.members {
			owned = owned || slices.Contains(m.Owns, task)
			ready = ready || g.caughtUp(id, task)
		}
		switch id, given := owner[task]; {
		case owned:
		case !given:
			t.Fatalf("task %s is given to nobody", task)
		case ready && !g.caughtUp(id, task):
			t.Fatalf("task %s is given to %s, who has to restore it, and others need not", task, id)
		}
	}
}

// checkSettled holds what is true once nobody moves: no member has more tasks
// for its threads than it would leave another one with, all standbys are there,
// not on the owner, and spread.
func (g *group) checkSettled(t *rapid.T) {
	all, stateful := 0, 0
	copies := map[assign.Task]int{}
	for id, m := range g.members {
		all += len(m.Owns)
		for other, o := range g.members {
			if len(m.Owns)*o.Threads > (len(o.Owns)+1)*m.Threads {
				t.Fatalf("settled with %d tasks for %d threads at %s and %d for %d at %s", len(m.Owns), m.Threads, id, len(o.Owns), o.Threads, other)
			}
		}
		for _, task := range m.Follows {
			copies[task]++
			if slices.Contains(m.Owns, task) || !g.Stateful(task) {
				t.Fatalf("%s copies task %s, which it owns, or which has no tables", id, task)
			}
		}
	}
	for _, task := range g.Tasks {
		if !g.Stateful(task) {
			continue
		}
		stateful++
		if want := min(g.Standbys, len(g.members)-1); copies[task] != want {
			t.Fatalf("settled with %d standbys of task %s, want %d", copies[task], task, want)
		}
	}
	if all != len(g.Tasks) {
		t.Fatalf("settled with %d of %d tasks owned", all, len(g.Tasks))
	}
	g.checkSpread(t)
}

// checkSpread holds that no standby is with a member that has many, where one
// with few could have it.
func (g *group) checkSpread(t *rapid.T) {
	for id, m := range g.members {
		for _, task := range m.Follows {
			for other, o := range g.members {
				if slices.Contains(o.Owns, task) || slices.Contains(o.Follows, task) || o.Threads != m.Threads {
					continue
				}
				if len(m.Follows) > len(o.Follows)+3 {
					t.Fatalf("%s has %d standbys, %s among them, and %s has %d", id, len(m.Follows), task, other, len(o.Follows))
				}
			}
		}
	}
}

// settle plans and obeys until nobody asks for another plan.
func (g *group) settle(t *rapid.T) {
	// Each round either releases something, or lets some warm-up get on, which
	// has caught up after at most four.
	for limit := 10 + 8*len(g.Tasks); ; limit-- {
		plan := g.plan()
		g.check(t, plan)
		if !g.obey(t, plan) {
			break
		}
		if limit == 0 {
			t.Fatal("the group does not settle")
		}
	}
	g.checkSettled(t)
	again := g.plan()
	if !reflect.DeepEqual(again, g.plan()) {
		t.Fatal("two plans of the same group differ")
	}
	for id, o := range again {
		if m := g.members[id]; !slices.Equal(o.Tasks, m.Owns) || !slices.Equal(o.Follow, m.Follows) {
			t.Fatalf("a settled group moves: %s has %v and %v, and is given %v", id, m.Owns, m.Follows, o)
		}
	}
}

func TestPlansAreSafeStickyAndBalanced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGroup(t)
		equal := rapid.Bool().Draw(t, "equal")
		for range rapid.IntRange(1, 8).Draw(t, "changes") {
			threads := 1
			if !equal {
				threads = rapid.IntRange(1, 4).Draw(t, "threads")
			}
			if ids := slices.Sorted(maps.Keys(g.members)); len(ids) > 1 && rapid.Bool().Draw(t, "leave") {
				delete(g.members, rapid.SampledFrom(ids).Draw(t, "who"))
			} else {
				g.join(t, threads)
			}
			if rapid.Bool().Draw(t, "hasty") { // the next change comes before all has settled
				plan := g.plan()
				g.check(t, plan)
				g.obey(t, plan)
				continue
			}
			g.settle(t)
		}
		g.settle(t)
	})
}
