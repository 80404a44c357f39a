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
	"encoding/binary"
	"errors"
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

// Plan returns the tasks of each member, sorted. Tasks that are owned but not
// among tasks are taken away.
func Plan(members []Member, tasks []Task) map[string][]Task {
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

// wireVersion is the first byte of encoded tasks.
const wireVersion = 1

// ErrWire is wrapped by errors of Decode.
var ErrWire = errors.New("not a list of tasks")

// Encode writes tasks as a group's members exchange them:
//
//	┌─────────┬─────────┬─────────────────────────────┐
//	│ version │ count   │ count × (sub, partition)    │
//	│ 1 byte  │ uvarint │ uvarint, uvarint            │
//	└─────────┴─────────┴─────────────────────────────┘
func Encode(tasks []Task) []byte {
	b := binary.AppendUvarint([]byte{wireVersion}, uint64(len(tasks)))
	for _, t := range tasks {
		b = binary.AppendUvarint(b, uint64(t.Sub))
		b = binary.AppendUvarint(b, uint64(t.Partition))
	}
	return b
}

// Decode reads what Encode wrote. Empty data are no tasks.
func Decode(data []byte) ([]Task, error) {
	if len(data) == 0 {
		return nil, nil
	}
	if data[0] != wireVersion {
		return nil, fmt.Errorf("%w: version %d, want %d", ErrWire, data[0], wireVersion)
	}
	d := decoder{rest: data[1:]}
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		return nil, fmt.Errorf("%w: %d tasks in %d bytes", ErrWire, n, len(d.rest))
	}
	tasks := make([]Task, 0, n)
	for range n {
		tasks = append(tasks, Task{Sub: d.int32(), Partition: d.int32()})
	}
	if d.bad || len(d.rest) > 0 {
		return nil, fmt.Errorf("%w: cut off, or more than announced", ErrWire)
	}
	return tasks, nil
}

type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.bad, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) int32() int32 {
	v := d.uvarint()
	if v > 1<<31-1 {
		d.bad = true
		return 0
	}
	return int32(v)
}
