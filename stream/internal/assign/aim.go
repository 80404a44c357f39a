package assign

import (
	"cmp"
	"slices"
)

// aim finds a target for every task: balanced, with as few moves from today's
// owners as that takes, and of those the ones that copies of tables make cheap.
func (p *plan) aim() {
	if len(p.members) == 0 {
		return
	}
	owned := map[*planned][]Task{}
	var free []Task
	for _, t := range p.group.Tasks {
		switch o, taken := p.owner[t]; {
		case !taken:
			free = append(free, t)
		case o != nil:
			owned[o] = append(owned[o], t)
		}
	}
	p.apportion(len(p.group.Tasks), func(m *planned) int { return len(owned[m]) }, func(m *planned) { m.quota++ })
	for _, m := range p.members {
		kept, shed := p.shed(m, owned)
		for _, t := range kept {
			p.target[t] = m
			m.aim(t)
		}
		free = append(free, shed...)
	}
	p.place(free)
}

// shed splits what a member owns into what it keeps, as much as its quota, and
// the rest: of the tasks that can move most cheaply, those of the sub-topology
// that it has most of, so that the kinds of work stay mixed.
func (p *plan) shed(m *planned, owned map[*planned][]Task) (kept, rest []Task) {
	kept = slices.Clone(owned[m])
	count := map[int32]int{}
	cost := map[Task]int{}
	for _, t := range kept {
		count[t.Sub]++
		if len(kept) > m.quota {
			cost[t] = p.moving(t, func(to *planned) bool { return to != m && len(owned[to]) < to.quota })
		}
	}
	for len(kept) > m.quota {
		drop := 0
		for i, t := range kept {
			was := kept[drop]
			if cmp.Or(cmp.Compare(cost[t], cost[was]), cmp.Compare(count[was.Sub], count[t.Sub])) <= 0 {
				drop = i
			}
		}
		count[kept[drop].Sub]--
		rest = append(rest, kept[drop])
		kept = slices.Delete(kept, drop, drop+1)
	}
	return kept, rest
}

// The cost of moving a task to the best of some members.
const (
	atOnce  = iota // it has the tables, or there are none
	begun          // it copies them
	anew           // it would have to begin
	unknown        // there is no such member
)

func (p *plan) moving(t Task, allowed func(*planned) bool) int {
	best := unknown
	for _, m := range p.members {
		switch {
		case !allowed(m):
		case p.near(m, t):
			return atOnce
		case m.follows(t):
			best = min(best, begun)
		default:
			best = min(best, anew)
		}
	}
	return best
}

// place finds targets for the tasks that no member keeps, those first that
// somebody with room has copies for.
func (p *plan) place(free []Task) {
	room := func(m *planned) bool { return m.count < m.quota }
	for _, most := range []int{atOnce, begun, unknown} {
		free = slices.DeleteFunc(free, func(t Task) bool {
			if p.moving(t, room) > most {
				return false
			}
			to := p.best(t, func(m *planned) bool { return !room(m) })
			p.target[t] = to
			to.aim(t)
			return true
		})
	}
}

// best returns the member that a task should be aimed at: one that is not last,
// that has its tables, or copies them, or lacks least of them, has the fewest
// tasks for its threads, and of those of the kind.
func (p *plan) best(t Task, last func(*planned) bool) *planned {
	copying := func(m *planned) bool { return !p.near(m, t) && !m.follows(t) }
	lag := func(m *planned) int64 {
		if p.near(m, t) {
			return 0
		}
		return m.lag(t)
	}
	return slices.MinFunc(p.members, func(a, b *planned) int {
		return cmp.Or(
			falseFirst(last(a), last(b)),
			falseFirst(!p.near(a, t), !p.near(b, t)),
			falseFirst(copying(a), copying(b)),
			cmp.Compare(lag(a), lag(b)),
			cmp.Compare(a.count*b.threads(), b.count*a.threads()),
			cmp.Compare(a.aimed[t.Sub]*b.threads(), b.aimed[t.Sub]*a.threads()),
			cmp.Compare(a.ID, b.ID))
	})
}

func falseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
