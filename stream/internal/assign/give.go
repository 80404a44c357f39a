package assign

import (
	"cmp"
	"slices"
)

// give hands every task to the member that is to have it now, on its way to its
// target.
func (p *plan) give() {
	for _, t := range p.group.Tasks {
		o, owned := p.owner[t]
		to := p.target[t]
		switch {
		case to == nil: // two claim it
		case !owned:
			p.holder(t, to).keep(t)
		case o == to || !p.near(to, t):
			o.keep(t)
		case p.group.stateful(t): // o releases it; until then the copy is kept fresh
			to.next = append(to.next, t)
		}
	}
	p.warmUp()
}

// holder is who gets a task that nobody owns: its target, unless that has to
// restore it first and another member has not. That one has it until the target
// has caught up.
func (p *plan) holder(t Task, target *planned) *planned {
	if p.near(target, t) {
		return target
	}
	holder := slices.MinFunc(p.members, func(a, b *planned) int {
		return cmp.Or(
			falseFirst(!p.near(a, t), !p.near(b, t)),
			cmp.Compare((len(a.given)+a.count)*b.threads(), (len(b.given)+b.count)*a.threads()),
			cmp.Compare(a.ID, b.ID))
	})
	if p.near(holder, t) {
		return holder
	}
	return target
}

// warmUp lets targets that have not caught up copy tables: those that have
// begun first, and no more than may at a time.
func (p *plan) warmUp() {
	left := p.group.WarmUps
	for _, begun := range []bool{true, false} {
		for _, t := range p.group.Tasks {
			to := p.target[t]
			if left <= 0 || to == nil || to.follows(t) != begun || slices.Contains(to.given, t) || p.near(to, t) {
				continue
			}
			to.warm = append(to.warm, t)
			left--
		}
	}
}

// spreadStandbys picks the standbys of every task: members that copy its tables
// already before those that would have to begin; then it spreads them.
func (p *plan) spreadStandbys() {
	want := max(0, min(p.group.Standbys, len(p.members)-1))
	tasks := slices.DeleteFunc(slices.Clone(p.group.Tasks), func(t Task) bool { return !p.group.stateful(t) })
	for range want {
		for _, t := range tasks {
			if m := p.standby(t); m != nil {
				m.standbys = append(m.standbys, t)
			}
		}
	}
	p.level()
}

// level moves standbys from members that have many to members that have few.
func (p *plan) level() {
	for moved := true; moved; {
		moved = false
		for _, m := range p.members {
			for i := len(m.standbys) - 1; i >= 0; i-- {
				if to := p.relief(m, m.standbys[i]); to != nil {
					to.standbys = append(to.standbys, m.standbys[i])
					m.standbys = slices.Delete(m.standbys, i, i+1)
					moved = true
				}
			}
		}
	}
}

// relief is the member that could have a standby of m and, for its threads, has
// more than two fewer; nil if there is none.
func (p *plan) relief(m *planned, t Task) *planned {
	i := slices.IndexFunc(p.members, func(o *planned) bool {
		return len(m.standbys)*o.threads() > (len(o.standbys)+2)*m.threads() && !o.has(t)
	})
	if i < 0 {
		return nil
	}
	return p.members[i]
}

// standby picks one more standby of a task; nil if every member has it or copies
// it. Whoever is to release the task may stay as a standby.
func (p *plan) standby(t Task) *planned {
	var best *planned
	for _, m := range p.members {
		if m.has(t) {
			continue
		}
		if best == nil || p.compareStandbys(t, m, best) < 0 {
			best = m
		}
	}
	return best
}

// compareStandbys has the better standby of a task first: one that copies the
// tables already, or has them; then one with few for its threads.
func (p *plan) compareStandbys(t Task, a, b *planned) int {
	return cmp.Or(
		falseFirst(!a.follows(t), !b.follows(t)),
		falseFirst(!p.near(a, t), !p.near(b, t)),
		cmp.Compare(len(a.standbys)*b.threads(), len(b.standbys)*a.threads()),
		cmp.Compare(a.ID, b.ID))
}

// orders puts the plan into words.
func (p *plan) orders() map[string]Order {
	orders := make(map[string]Order, len(p.members))
	var hosts []Host
	for _, m := range p.members {
		o := Order{Tasks: m.given, Follow: slices.Concat(m.next, m.warm, m.standbys), WarmUps: m.warm, Idle: m.idle}
		for _, t := range m.Owns {
			if !slices.Contains(o.Tasks, t) {
				o.Release = append(o.Release, t)
			}
		}
		for _, tasks := range [][]Task{o.Tasks, o.Release, o.Follow, o.WarmUps} {
			slices.SortFunc(tasks, Task.Compare)
		}
		hosts = append(hosts, Host{Instance: m.Instance, Endpoint: m.Endpoint, Threads: m.Threads, Tasks: o.Tasks})
		orders[m.ID] = o
	}
	for id, o := range orders {
		o.Hosts = hosts
		orders[id] = o
	}
	return orders
}
