// Package assign decides which member owns which task, and who keeps warm
// copies of its tables. It is pure: members and tasks in, orders out, the same
// on every machine. The ideas are those of Kafka Streams' KIP-441.
//
// Invariants of a plan:
//   - every task has at most one owner, and none while its last owner has not
//     released it: a task that moves is first taken from one member (this
//     plan), then given to another (the next one, after the release);
//   - sticky: no task moves unless balance demands it. Balanced means that no
//     member has so many tasks for its threads that one of them would be better
//     off with another member; with as many threads each, within one task;
//   - a task with tables moves only to a member that has them nearly complete.
//     One that has not becomes a warm-up: it copies the tables while the task
//     stays where it is, and asks for a rebalance when it has caught up. No more
//     than Group.WarmUps do so at a time;
//   - a task nobody owns is given away at once: to a member that has its tables
//     nearly complete, also beyond balance, else as balance demands;
//   - standbys and warm-ups are never on the owner's member.
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

// Tasks are those of so many partitions, by sub-topology; sorted.
func Tasks(partitions []int32) (tasks []Task) {
	for sub, n := range partitions {
		for p := range n {
			tasks = append(tasks, Task{Sub: int32(sub), Partition: p})
		}
	}
	return tasks
}

// Partitions is how many partitions each sub-topology has of which these are
// all tasks.
func Partitions(tasks []Task) (partitions []int32) {
	for _, t := range tasks {
		for int(t.Sub) >= len(partitions) {
			partitions = append(partitions, 0)
		}
		partitions[t.Sub] = max(partitions[t.Sub], t.Partition+1)
	}
	return partitions
}

// A Group is what there is to assign, and how.
type Group struct {
	Tasks []Task // sorted
	// Stateful tells which tasks have tables; nil for none.
	Stateful func(Task) bool
	// Standbys that each task with tables is to have.
	Standbys int
	// WarmUps that may be under way at a time; they come on top of standbys.
	WarmUps int
	// Near is how many changelog records tables may lack to count as caught up.
	Near int64
}

func (g *Group) stateful(t Task) bool { return g.Stateful != nil && g.Stateful(t) }

// A Member is what the plan needs to know of one.
type Member struct {
	ID      string
	Owns    []Task         // what it has now and has not released
	Follows []Task         // whose tables it copies now
	Lags    map[Task]int64 // changelog records that its copy lacks; unknown where it says nothing
	Threads int            // how much it can work on at once; at least 1 is assumed
	// Instance is what its transactional ids are made of, Endpoint where it
	// answers queries; both may be empty.
	Instance, Endpoint string
}

// An Order is what a plan tells one member.
type Order struct {
	// Tasks to have, sorted.
	Tasks []Task
	// Release are the tasks, sorted, that the plan takes from the member. Nobody
	// else gets them before the member has reported that it has them no more.
	Release []Task
	// Follow are the tasks, sorted, whose tables to copy.
	Follow []Task
	// WarmUps are those of Follow, sorted, for which to ask for a rebalance
	// once they have caught up.
	WarmUps []Task
	// Partitions that somebody in the group knows of, by sub-topology. Whoever
	// knows of fewer is to look.
	Partitions []int32
	// Idle: there is not enough work for this member, and there will not be
	// before another one leaves.
	Idle bool
	// Hosts are all members, by id, the same in all orders of a plan; none if
	// the plan does not know all of them.
	Hosts []Host
}

// A Host is one member, as the others learn of it.
type Host struct {
	Instance, Endpoint string
	Threads            int
	Tasks              []Task // that it is given
}

// Plan returns the order of each member. Tasks that are owned but not among the
// group's are taken away.
func Plan(members []Member, g Group) map[string]Order {
	p := newPlan(members, g)
	p.aim()
	p.give()
	p.spreadStandbys()
	for _, m := range p.members {
		m.idle = m.quota == 0 && len(m.given) == 0
	}
	return p.orders()
}

// Stand returns the orders by which every member keeps what it alone owns and
// follows, and nothing moves: for a group of which not all members are known.
func Stand(members []Member, g Group) map[string]Order {
	p := newPlan(members, g)
	for _, t := range p.group.Tasks {
		if o := p.owner[t]; o != nil {
			o.keep(t)
		}
	}
	for _, m := range p.members {
		for _, t := range m.Follows {
			if p.group.stateful(t) && !slices.Contains(m.given, t) {
				m.standbys = append(m.standbys, t)
			}
		}
	}
	orders := p.orders()
	for id, o := range orders {
		o.Hosts = nil
		orders[id] = o
	}
	return orders
}

// planned is a member with what the plan has for it so far.
type planned struct {
	Member
	quota      int // tasks it should have when everything has settled
	idle       bool
	aimed      map[int32]int // tasks aimed at it, by sub-topology
	count      int           // of those
	given      []Task        // to have now
	warm, next []Task        // to copy before they are given to it: slowly, and as soon as they are released
	standbys   []Task
}

func (m *planned) threads() int { return max(1, m.Threads) }

func (m *planned) keep(t Task) { m.given = append(m.given, t) }

func (m *planned) aim(t Task) { m.count++; m.aimed[t.Sub]++ }

func (m *planned) follows(t Task) bool { return slices.Contains(m.Follows, t) }

// has tells whether the plan has the task for the member, in whatever part.
func (m *planned) has(t Task) bool {
	return slices.Contains(m.given, t) || slices.Contains(m.next, t) || slices.Contains(m.warm, t) || slices.Contains(m.standbys, t)
}

// A plan under way.
type plan struct {
	group   Group
	members []*planned // by id
	// owner of each task that is owned; nil if two members claim it, as may be
	// after a failure: then neither keeps it, and it is free in the next plan.
	owner  map[Task]*planned
	target map[Task]*planned // who should have the task when all has settled
}

func newPlan(members []Member, g Group) *plan {
	p := &plan{group: g, owner: map[Task]*planned{}, target: map[Task]*planned{}}
	for _, m := range members {
		p.members = append(p.members, &planned{Member: m, aimed: map[int32]int{}})
	}
	slices.SortFunc(p.members, func(a, b *planned) int { return cmp.Compare(a.ID, b.ID) })
	known := make(map[Task]bool, len(g.Tasks))
	for _, t := range g.Tasks {
		known[t] = true
	}
	for _, m := range p.members {
		for _, t := range m.Owns {
			if _, twice := p.owner[t]; twice {
				p.owner[t] = nil
			} else if known[t] {
				p.owner[t] = m
			}
		}
	}
	return p
}

// near tells whether a task can run on a member without a restore to speak of.
func (p *plan) near(m *planned, t Task) bool {
	if !p.group.stateful(t) {
		return true
	}
	lag, known := m.Lags[t]
	return known && lag <= p.group.Near
}

// lag orders members by what they lack of a task; those that do not know last.
func (m *planned) lag(t Task) int64 {
	if lag, known := m.Lags[t]; known {
		return lag
	}
	return 1<<63 - 1
}

// apportion shares n units out among the members, by their threads (D'Hondt's
// method): each unit to the member that then has the fewest for its threads.
// Among equals to one that still has more than it was allotted, which so need
// not give it up.
func (p *plan) apportion(n int, has func(*planned) int, give func(*planned)) {
	got := make(map[*planned]int, len(p.members))
	for range n {
		to := slices.MinFunc(p.members, func(a, b *planned) int {
			return cmp.Or(cmp.Compare((got[a]+1)*b.threads(), (got[b]+1)*a.threads()),
				cmp.Compare(min(0, got[a]-has(a)), min(0, got[b]-has(b))), cmp.Compare(a.ID, b.ID))
		})
		got[to]++
		give(to)
	}
}
