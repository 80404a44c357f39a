package streamtest

import (
	"fmt"
	"slices"

	"github.com/tagtide/tagtide/stream/internal/assign"
	"github.com/tagtide/tagtide/stream/internal/log"
)

// Join implements [log.Log]. What the assignor decides is looked at.
func (l *wire) Join(group string, o log.JoinOptions) (log.Member, error) {
	plan := o.Assign
	o.Assign = func(members []log.MemberInfo) map[string][]byte {
		assignments := plan(members)
		l.w.checkPlan(members, assignments)
		return assignments
	}
	l.w.party = -1 // until the plan that it asks for
	return l.Log.Join(group, o)
}

// party is a member as a plan saw it, and what the plan has for it.
type party struct {
	id     string
	report assign.Report
	order  assign.Order
	owns   []assign.Task // reported, or perhaps taken up since
}

// checkPlan holds, whatever the assignor thinks:
//
//	I8   a task is given to one member at most, and to none while another one
//	     may have it
//	I10  no member loses a task while it has less than its share
func (w *world) checkPlan(members []log.MemberInfo, assignments map[string][]byte) {
	w.happened["plan"]++
	w.party = len(members)
	var all []party
	threads := 0
	for _, m := range members {
		p := party{id: m.ID}
		var err, err2 error
		p.report, err = assign.DecodeReport(m.Metadata)
		p.order, err2 = assign.DecodeOrder(assignments[m.ID])
		if err != nil || err2 != nil {
			w.notice("I8", "the report of %s, or the order to it, cannot be read: %v, %v", m.ID, err, err2)
			return
		}
		p.owns = slices.Clone(p.report.Owns)
		if p.report.Seen != assign.Sum(m.Assignment) {
			last, _ := assign.DecodeOrder(m.Assignment)
			p.owns = slices.Concat(p.owns, last.Tasks, last.Release)
		}
		threads += p.report.Threads
		all = append(all, p)
	}
	w.checkGiven(all)
	tasks := w.known(all)
	for _, p := range all {
		w.trace = fmt.Appendf(w.trace, "            plan: %s has %v, follows %v, lacks %v, is given %v, releases %v, follows %v, warms up %v\n",
			p.id, p.owns, p.report.Follows, p.report.Lags, p.order.Tasks, p.order.Release, p.order.Follow, p.order.WarmUps)
		w.happened["plan: warm-up"] += len(p.order.WarmUps)
		w.happened["plan: standby or warm-up"] += len(p.order.Follow)
		w.happened["plan: task moves"] += len(p.order.Release)
		kept := len(p.order.Tasks)
		if share := tasks * p.report.Threads / threads; len(p.order.Release) > 0 && kept < share-1 && !w.claimedTwice(all) {
			w.notice("I10", "%s has to release %v and keeps %d tasks, its share is %d", p.id, p.order.Release, kept, share)
		}
	}
}

// known is how many tasks the members know of. While they do not know of the
// same ones, nothing moves, and nobody is given what he does not know of.
func (w *world) known(all []party) (tasks int) {
	agreed := true
	var partitions []int32
	for i, p := range all {
		knows := p.report.Partitions
		agreed = agreed && slices.Equal(knows, all[0].report.Partitions)
		if tasks = max(tasks, len(assign.Tasks(knows))); i == 0 || len(assign.Tasks(knows)) == tasks {
			partitions = knows
		}
		for _, t := range slices.Concat(p.order.Tasks, p.order.Follow) {
			if t.Partition >= knows[t.Sub] && !slices.Contains(p.owns, t) {
				w.notice("I8", "%s is given %s, and knows of %v partitions", p.id, t, knows)
			}
		}
	}
	if agreed {
		return tasks
	}
	w.happened["plan: not all know of all partitions"]++
	for _, p := range all {
		if !slices.Equal(p.order.Partitions, partitions) {
			w.notice("I8", "%s is told of %v partitions, and there are %v", p.id, p.order.Partitions, partitions)
		}
		if len(p.order.Release) > 0 && !w.claimedTwice(all) {
			w.notice("I10", "%s has to release %v while not all know of all partitions", p.id, p.order.Release)
		}
	}
	return tasks
}

func (w *world) checkGiven(all []party) {
	given := map[assign.Task]string{}
	for _, p := range all {
		for _, t := range p.order.Tasks {
			if other, twice := given[t]; twice {
				w.notice("I8", "task %s is given to %s and %s", t, other, p.id)
			}
			given[t] = p.id
			for _, o := range all {
				if o.id != p.id && slices.Contains(o.owns, t) {
					w.notice("I8", "task %s is given to %s, and %s may have it", t, p.id, o.id)
				}
			}
		}
	}
}

// claimedTwice tells whether two members may have a task: then both lose it.
func (w *world) claimedTwice(all []party) bool {
	seen := map[assign.Task]bool{}
	for _, p := range all {
		owns := slices.Clone(p.owns)
		slices.SortFunc(owns, assign.Task.Compare)
		for _, t := range slices.Compact(owns) {
			if seen[t] {
				return true
			}
			seen[t] = true
		}
	}
	return false
}

// tasks is how many tasks the group has.
func (w *world) tasks() int {
	if w.conf.shape.joined {
		return int(w.conf.inputs)
	}
	return int(w.conf.inputs + w.conf.loops)
}

// notice remembers a violation where a panic would leave the log locked; it is
// raised as soon as the call into the log is over.
func (w *world) notice(invariant, format string, args ...any) {
	if w.noticed == nil {
		w.noticed = func() { w.violated(invariant, format, args...) }
	}
}
