// Package assign decides which member owns which task. It is pure: members and
// tasks in, assignments out, the same on every machine.
//
// Invariants of a plan:
//   - every task has at most one owner, and none while its last owner has not
//     released it: a task that moves is first taken from one member (this
//     plan), then given to another (the next one, after the release);
//   - in a plan where nobody has to release, every task has an owner, and no
//     member has two tasks more than another;
//   - sticky: no task moves unless balance demands it.
package assign

import (
	"cmp"
	"fmt"
	"slices"
)

// A Task is one partition of one sub-topology, the unit of work that is owned.
type Task struct {
	Sub       int32
	Partition int32
}

// String returns the task's name as Kafka Streams writes it, "sub_partition".
func (t Task) String() string { return fmt.Sprintf("%d_%d", t.Sub, t.Partition) }

// Compare orders tasks by sub-topology, then partition.
func (t Task) Compare(o Task) int {
	return cmp.Or(cmp.Compare(t.Sub, o.Sub), cmp.Compare(t.Partition, o.Partition))
}

// A Member is what the plan needs to know of one.
type Member struct {
	ID   string
	Owns []Task // what it has now and has not released
}

// An Order is what a plan tells one member.
type Order struct {
	// Tasks to have, sorted.
	Tasks []Task
	// Release are the tasks, sorted, that the plan takes from the member. Nobody
	// else gets them before the member has reported that it has them no more.
	Release []Task
}

// Plan returns the order of each member. Tasks that are owned but not among
// tasks are taken away.
func Plan(members []Member, tasks []Task) map[string]Order {
	given := distribute(members, tasks)
	orders := make(map[string]Order, len(members))
	for _, m := range members {
		o := Order{Tasks: given[m.ID]}
		for _, t := range m.Owns {
			if !slices.Contains(o.Tasks, t) {
				o.Release = append(o.Release, t)
			}
		}
		slices.SortFunc(o.Release, Task.Compare)
		orders[m.ID] = o
	}
	return orders
}

// distribute decides who has which tasks.
func distribute(members []Member, tasks []Task) map[string][]Task {
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	owner := owners(members, tasks)
	plan := keep(members, tasks, owner)
	for _, t := range tasks {
		if _, owned := owner[t]; !owned {
			to := lightest(members, plan, t.Sub)
			plan[to] = append(plan[to], t)
		}
	}
	for id := range plan {
		slices.SortFunc(plan[id], Task.Compare)
	}
	return plan
}

// owners tells who has each task now. Two members may claim one after a
// failure; then neither keeps it, and it is free in the next round.
func owners(members []Member, tasks []Task) map[Task]string {
	known := make(map[Task]bool, len(tasks))
	for _, t := range tasks {
		known[t] = true
	}
	owner := map[Task]string{}
	for _, m := range members {
		for _, t := range m.Owns {
			if !known[t] {
				continue
			}
			if _, twice := owner[t]; twice {
				owner[t] = ""
				continue
			}
			owner[t] = m.ID
		}
	}
	return owner
}

// keep gives every member what it already has, up to its fair share.
func keep(members []Member, tasks []Task, owner map[Task]string) map[string][]Task {
	plan := make(map[string][]Task, len(members))
	for _, m := range members {
		plan[m.ID] = nil
	}
	for _, t := range tasks {
		if id := owner[t]; id != "" {
			plan[id] = append(plan[id], t)
		}
	}
	share, extra := len(tasks)/max(len(members), 1), len(tasks)%max(len(members), 1)
	for _, m := range slices.SortedFunc(slices.Values(members), func(a, b Member) int {
		return cmp.Or(cmp.Compare(len(plan[b.ID]), len(plan[a.ID])), cmp.Compare(a.ID, b.ID))
	}) {
		limit := share
		if extra > 0 {
			limit, extra = share+1, extra-1
		}
		plan[m.ID] = shed(plan[m.ID], limit)
	}
	return plan
}

// shed takes tasks away until limit are left, each time one of the
// sub-topology that has most, so that the kinds of work stay mixed.
func shed(tasks []Task, limit int) []Task {
	for len(tasks) > limit {
		count := map[int32]int{}
		for _, t := range tasks {
			count[t.Sub]++
		}
		drop := 0
		for i, t := range tasks {
			if count[t.Sub] >= count[tasks[drop].Sub] {
				drop = i
			}
		}
		tasks = slices.Delete(tasks, drop, drop+1)
	}
	return tasks
}

// lightest returns the member with the fewest tasks; among those, with the
// fewest of the sub-topology; among those, the first by id.
func lightest(members []Member, plan map[string][]Task, sub int32) string {
	of := func(id string) (n int) {
		for _, t := range plan[id] {
			if t.Sub == sub {
				n++
			}
		}
		return n
	}
	best := slices.MinFunc(members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(len(plan[a.ID]), len(plan[b.ID])), cmp.Compare(of(a.ID), of(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	return best.ID
}
