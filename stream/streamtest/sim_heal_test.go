package streamtest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// heal ends all faults, brings everybody back but some members, and lets them
// work until nothing is left to do. From here on a machine is only stepped
// when it is awake, as in production: a missing wake-up shows as a stall.
func (w *world) heal() {
	w.tracef("heal")
	w.happened["posts handled when healing begins"] += w.handled()
	w.happened["posts"] += w.conf.posts * w.conf.emitters
	w.healed = true
	c := w.conf
	c.meanwhile, c.unavailable, c.holes, c.fates = 0, 0, 0, 0
	w.orphans = nil // lost for good
	for n, m := range w.members {
		m.asleep = 0
		if !m.up() && (n == 0 || w.rng.IntN(2) == 0) {
			m.start()
		}
	}
	for _, e := range w.emitters {
		if e.driver == nil {
			e.start()
		}
	}
	for _, v := range w.views {
		if v.driver == nil {
			v.start()
		}
	}
	w.settle("after healing")
	w.checkStandbys()
}

// checkStandbys holds that in a group that is quiet each task with tables has
// its standbys, where members are left for them, and none with its owner.
func (w *world) checkStandbys() {
	up := 0
	copies := map[string]int{}
	for _, m := range w.members {
		if !m.up() {
			continue
		}
		up++
		for _, t := range m.driver.Standbys() {
			copies[t.Task]++
			if slices.ContainsFunc(m.driver.Tasks(), func(o stream.TaskInfo) bool { return o.Task == t.Task }) {
				w.violated("I8", "%s is owner and standby of task %s", m.name, t.Task)
			}
		}
	}
	if up != w.party {
		return // one that died is still counted on
	}
	want := min(w.conf.standbys, up-1)
	for task, n := range copies {
		if n < want {
			w.violated("I8", "task %s has %d standbys, not %d", task, n, want)
		}
	}
	if want > 0 && w.conf.loops > 0 && len(copies) == 0 {
		w.violated("I8", "no task has a standby, and each should have %d", want)
	}
}

// What a run may take until it is quiet.
const (
	settleTime  = 5 * time.Minute
	settleTurns = 20_000
)

// settle lets everybody work, in turn, until all is done: I8, and I13 with it.
func (w *world) settle(when string) {
	begin, until := w.now, w.now.Add(settleTime)
	run := false // all tasks
	for turn := 0; ; turn++ {
		w.checkHeldBack(when, begin, &run)
		if w.turn() {
			if turn > settleTurns {
				w.violated("I8", "%s: still busy after %d turns", when, turn)
			}
			continue
		}
		why := w.waiting()
		if why == "" {
			w.tracef("quiet")
			return
		}
		if w.now.After(until) {
			w.violated("I8", "%s: no progress: %s", when, why)
		}
		w.advance(max(time.Millisecond, w.wake().Sub(w.now)))
	}
}

// checkHeldBack holds that no task waits for long: those of dead members for
// their sessions to end, and nobody until an orphaned transaction times out.
func (w *world) checkHeldBack(when string, begin time.Time, run *bool) {
	if *run = *run || w.tasksWaiting() == ""; *run {
		return
	}
	if waited := w.now.Sub(begin); waited > 2*w.conf.session+10*time.Second {
		w.violated("I8", "%s: after %s: %s", when, waited, w.tasksWaiting())
	}
}

// turn lets everybody who is awake do one thing.
func (w *world) turn() (busy bool) {
	for _, e := range w.emitters {
		if e.driver.Begun() && e.next < len(e.source) {
			e.feed(len(e.source))
			busy = true
		}
		busy = e.step() || busy
	}
	for _, m := range w.members {
		busy = m.turn() || busy
	}
	for _, v := range w.views {
		busy = v.step() || busy
	}
	return busy
}

// turn lets a member do what its goroutines would.
func (m *member) turn() (busy bool) {
	if !m.up() {
		if m.w.memberUp() {
			return false
		}
		m.start()
		return true
	}
	for part := 0; m.up() && part < m.driver.Parts(); part++ {
		if m.driver.Awake(part, m.now()) {
			busy = m.stepPart(part) || busy
		}
	}
	if !m.up() {
		return true
	}
	for _, j := range m.driver.Jobs() {
		m.runJob(j)
		busy = true
	}
	return busy
}

func (w *world) memberUp() bool {
	return slices.ContainsFunc(w.members, func(m *member) bool { return m.up() && !m.stopping })
}

// wake is when the first one wakes by the clock.
func (w *world) wake() time.Time {
	first := w.now.Add(100 * time.Millisecond)
	sooner := func(t time.Time, skew time.Duration) {
		if t = t.Add(-skew); !t.Before(begun) && t.Before(first) {
			first = t
		}
	}
	for _, m := range w.members {
		if m.up() {
			if t := m.driver.Wake(); !t.IsZero() {
				sooner(t, m.skew)
			}
		}
	}
	for _, e := range w.emitters {
		sooner(e.driver.Wake(), 0)
	}
	return first
}

// waiting tells what everybody waits for; "" when all is done.
func (w *world) waiting() string {
	for _, e := range w.emitters {
		if !e.done() {
			return e.id + " is not done"
		}
	}
	open, err := w.log.OpenTransactions(w.ctx)
	w.must(err, "list open transactions")
	if len(open) > 0 {
		return fmt.Sprintf("transactions are open: %v", open)
	}
	for _, p := range w.consumed() {
		if end := w.ends(p).End; w.model.positions[p] != end {
			return fmt.Sprintf("%v is handled up to %d of %d", p, w.model.positions[p], end)
		}
	}
	if why := w.tasksWaiting(); why != "" {
		return why
	}
	if why := w.unbalanced(); why != "" {
		return why
	}
	for _, v := range w.views {
		if !v.driver.Recovered() {
			return v.name + " has not recovered"
		}
		lag, err := v.driver.Lag(w.ctx)
		if w.must(err, "lag"); lag != 0 {
			return fmt.Sprintf("%s has lag %d", v.name, lag)
		}
	}
	return ""
}

// unbalanced tells of a member that has more tasks than it should, now that all
// there is to copy can be copied, and nobody is away.
func (w *world) unbalanced() string {
	var up []*member
	for _, m := range w.members {
		if m.up() {
			up = append(up, m)
		}
	}
	if len(up) != w.party {
		return "" // one that died is still counted on
	}
	for _, m := range up {
		for _, o := range up {
			if a, b := len(m.driver.Tasks()), len(o.driver.Tasks()); a*o.threads > (b+1)*m.threads {
				return fmt.Sprintf("%s has %d tasks for %d threads, and %s %d for %d", m.name, a, m.threads, o.name, b, o.threads)
			}
		}
	}
	return ""
}

// tasksWaiting tells of the tasks that are not run by exactly one member.
func (w *world) tasksWaiting() string {
	owners := map[string]int{}
	for _, m := range w.members {
		if !m.up() {
			continue
		}
		if m.stopping {
			return m.name + " is stopping"
		}
		for _, t := range m.driver.Tasks() {
			if t.State != "running" {
				return fmt.Sprintf("%s has task %s %s", m.name, t.Task, t.State)
			}
			owners[t.Task]++
		}
	}
	tasks := w.tasks()
	for _, task := range slices.Sorted(maps.Keys(owners)) {
		if owners[task] != 1 {
			return fmt.Sprintf("task %s has %d owners", task, owners[task])
		}
	}
	if len(owners) != tasks {
		return fmt.Sprintf("%d of %d tasks run", len(owners), tasks)
	}
	return ""
}

// handled is how much of the input the group has handled.
func (w *world) handled() (n int) {
	for i := range w.conf.inputs {
		n += len(w.model.log(partition(simInput, i)).between(0, w.model.positions[partition(simInput, i)]))
	}
	return n
}

func partition(topic string, n int32) record.Partition {
	return record.Partition{Topic: topic, Number: n}
}

// consumed are the partitions that the group reads.
func (w *world) consumed() (all []record.Partition) {
	for n := range w.conf.inputs {
		all = append(all, partition(simInput, n))
	}
	for n := range w.conf.loops {
		all = append(all, partition(loopTopic, n))
	}
	return all
}

// check holds what must hold when all is quiet.
func (w *world) check() {
	m := w.model
	for _, e := range w.emitters {
		if n := m.emitted[e.id]; n != len(e.source) {
			w.violated("I1", "%s has %d posts, %d are committed", e.id, len(e.source), n)
		}
	}
	want := w.committedInput()
	for _, tag := range m.tags() {
		if m.counts[tag] != want[tag] {
			w.violated("I1", "tag %s has count %v, the oracle says %v", tag, m.counts[tag], want[tag])
		}
	}
	for _, v := range w.views {
		for n := range w.conf.tags {
			v.read(fmt.Sprintf("t%d", n))
		}
		v.lag()
	}
	w.checkLog()
	w.checkStores()
}

// checkLog reads every topic, and holds I4 and that what is there is what was
// committed, but for what was compacted or purged.
func (w *world) checkLog() {
	topics, err := w.log.Topics(w.ctx)
	w.must(err, "list topics")
	for _, t := range topics {
		for n := range t.Partitions {
			p := partition(t.Name, n)
			r := w.ends(p)
			if r.Stable != r.End {
				w.violated("I4", "%v is stable up to %d only, of %d", p, r.Stable, r.End)
			}
			w.checkPartition(p, r, t.Cleanup == log.Compact)
		}
	}
}

func (w *world) checkPartition(p record.Partition, extent log.Range, compact bool) {
	var there []rec
	reader := w.log.NewReader(log.ReaderOptions{})
	defer reader.Close()
	reader.Seek(p, extent.Start)
	for at := extent.Start; at < extent.End; {
		fetched, err := reader.Poll()
		if w.must(err, "read %v", p); len(fetched) != 1 || fetched[0].Err != nil || fetched[0].Next <= at {
			w.violated("I13", "%v ends at %d, but reading it ends at %d: %+v", p, extent.End, at, fetched)
		}
		at = fetched[0].Next
		for _, b := range fetched[0].Batches {
			for r := b.Reader(); r.Next(); {
				if x := r.Record(); x.Offset >= fetched[0].From {
					there = append(there, rec{offset: x.Offset, key: x.Key, value: x.Value})
				}
			}
		}
	}
	c := w.model.log(p)
	for _, want := range c.between(extent.Start, extent.End) {
		if len(there) > 0 && there[0].offset == want.offset && string(there[0].value) == string(want.value) {
			there = there[1:]
		} else if !compact || want.value != nil && !c.superseded(string(want.key), want.offset+1) {
			w.violated("log", "%v has lost the record at %d: %+v", p, want.offset, there)
		}
	}
	if len(there) > 0 {
		w.violated("log", "%v has a record at %d that nobody committed", p, there[0].offset)
	}
}

// checkStores stops everybody in good order, and holds I3 for all that lies in
// their stores: opening a table compares it with its changelog. Then a member
// with nothing restores everything.
func (w *world) checkStores() {
	for _, m := range w.members {
		for turn := 0; m.up(); turn++ {
			m.stop()
			if !m.turn() {
				w.advance(10 * time.Millisecond)
			}
			if turn > settleTurns {
				w.violated("I8", "%s does not stop", m.name)
			}
		}
	}
	for _, m := range w.members {
		if m.disk == nil {
			continue
		}
		s := openSimStore(w, m.name, m.disk)
		infos, err := s.Tables()
		w.must(err, "list tables")
		for _, i := range infos {
			_, err := s.Open(i.Changelog, i.Identity)
			w.must(err, "open")
		}
		w.must(s.Close(), "close")
	}
	if w.rng.IntN(2) == 0 {
		w.checkRestore()
	}
}

// checkRestore lets a member with nothing restore everything: I13, I3.
func (w *world) checkRestore() {
	fresh := &member{w: w, conf: memberConf{threads: 1 + w.rng.IntN(2)}, name: "fresh"}
	w.members = []*member{fresh}
	fresh.start()
	w.settle("restoring all")
	infos, err := fresh.store.Tables()
	w.must(err, "list tables")
	for _, i := range infos {
		w.checkRestored(fresh.store.open[i.Changelog], i)
	}
}

func (w *world) checkRestored(t *simTable, i store.Info) {
	if t == nil {
		w.violated("I13", "%v is not open", i.Changelog)
	}
	if i.Changelog.Topic == onceTopic {
		if want := w.model.positions[partition(simInput, i.Changelog.Number)]; t.until != want {
			w.violated("I13", "%v was restored up to %d, should be %d", i.Changelog, t.until, want)
		}
		t.checkFolded("restored")
		return
	}
	if all := w.model.log(i.Changelog).live(1 << 40); !maps.Equal(t.rows, all) {
		w.violated("I13", "%v was restored to %v, should be %v", i.Changelog, t.rows, all)
	}
}
