package streamtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store/pebblestore"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// A member is a process with a processor in it, over its lives.
type member struct {
	w    *world
	conf memberConf
	name string

	life     int
	threads  int            // in this life
	id       string         // that its transactional ids begin with
	driver   *stream.Driver // nil: down
	wire     *wire
	store    *simStore
	disk     *pebblestore.Disk
	skew     time.Duration
	stopping bool
	asleep   int // until how many acts it is not scheduled
	visits   []func() (bool, error)
}

func (m *member) up() bool { return m.driver != nil }

func (m *member) now() time.Time { return m.w.now.Add(m.skew) }

// start begins a life, with the state that the last one left.
func (m *member) start() {
	w := m.w
	m.life++
	m.skew = m.conf.skew
	m.stopping, m.asleep, m.visits = false, 0, nil
	m.wire = &wire{Log: w.log, w: w, owner: m.name, starting: true}
	id := m.name // of the state
	if m.conf.disk && m.disk == nil {
		m.disk = pebblestore.NewDisk()
	} else if !m.conf.disk {
		id = fmt.Sprintf("%s.%d", m.name, m.life) // as a state in memory has it
	}
	m.store, m.id = openSimStore(w, m.name, m.disk), simGroup+"-"+id
	m.wire.store = m.store
	threads := m.conf.threads
	if w.rng.IntN(3) == 0 {
		threads = 1 + w.rng.IntN(threads)
	}
	m.threads = threads
	o := stream.ProcessorOptions{
		State: stream.NewState(m.store, id), Threads: threads, CommitInterval: w.conf.commit,
		MaxStagedBytes: w.conf.maxStaged * threads, CacheBytes: 2000, SessionTimeout: w.conf.session,
		Partitions: w.conf.loops, PurgeInputs: w.conf.purgeInputs, Logger: logger,
		Standbys: w.conf.standbys, WarmUps: w.conf.warmUps, NearRecords: w.conf.near,
	}
	if m.conf.static {
		o.InstanceID, o.KeepClaims = m.name, w.rng.IntN(2) == 0
	}
	w.tracef("%s starts, life %d", m.name, m.life)
	d, err := stream.NewDriver(w.ctx, stream.NewLog(m.wire), w.graph.GroupGraph, o)
	if w.dead {
		m.store.crash(false)
		return
	}
	w.must(err, "start %s", m.name)
	m.driver, m.wire.starting = d, false
}

// step steps one of its machines: mostly one that is awake, sometimes any.
func (m *member) step() {
	part := m.w.rng.IntN(m.driver.Parts())
	for range m.driver.Parts() {
		if m.driver.Awake(part, m.now()) || m.w.rng.IntN(20) == 0 {
			break
		}
		part = (part + 1) % m.driver.Parts()
	}
	m.stepPart(part)
}

func (m *member) stepPart(part int) bool {
	w := m.w
	before := m.roles()
	busy, err := m.driver.Step(w.ctx, part, m.now())
	m.tellRoles(before)
	w.tracef("%s steps %s: busy %t, %s", m.name, m.driver.PartName(part), busy, m.tasks())
	if w.dead {
		return false
	}
	if err != nil {
		w.violated("engine", "%s ends: %v", m.name, err)
	}
	m.gone()
	return busy
}

// roles are what the member is to each task that it has.
func (m *member) roles() map[string]string {
	roles := map[string]string{}
	for _, t := range m.driver.Standbys() {
		roles[t.Task] = "standby"
		if t.TableLag >= 0 && t.TableLag <= m.w.conf.near {
			roles[t.Task] = "caught-up standby"
		}
	}
	for _, t := range m.driver.Tasks() {
		roles[t.Task] = "owner"
	}
	return roles
}

// tellRoles counts what has changed since before.
func (m *member) tellRoles(before map[string]string) {
	for task, is := range m.roles() {
		if was := before[task]; was != "" && was != is {
			m.w.happened["role: "+was+" becomes "+is]++
		}
	}
}

// tasks prints what the member is doing.
func (m *member) tasks() string {
	var b strings.Builder
	for _, t := range m.driver.Tasks() {
		fmt.Fprintf(&b, "%s/%d %s ", t.Task, t.Thread, t.State)
	}
	for _, t := range m.driver.Standbys() {
		fmt.Fprintf(&b, "(%s/%d %s, lacks %d) ", t.Task, t.Thread, t.State, t.TableLag)
	}
	return b.String()
}

// actJob runs one phase of a job that is under way, with anybody but one.
func (w *world) actJob(but string) {
	var all []*member
	for _, m := range w.members {
		if m.up() && !m.frozen() && m.name != but && len(m.driver.Jobs()) > 0 {
			all = append(all, m)
		}
	}
	if len(all) > 0 {
		m := pick(w, all)
		m.runJob(pick(w, m.driver.Jobs()))
	}
}

func (m *member) runJob(j *stream.DriverJob) {
	m.w.tracef("%s runs %s of thread %d, %d phases to go", m.name, j.Name, j.Thread, j.Phases())
	m.w.happened["job: "+j.Name]++
	j.Run(m.w.ctx)
}

// stop asks for a clean end.
func (m *member) stop() {
	if m.stopping || m.w.depth > 0 {
		return
	}
	m.w.tracef("%s stops", m.name)
	m.stopping = true
	m.driver.Stop()
}

// gone ends a life that was asked to end, when it is ready.
func (m *member) gone() {
	if !m.stopping || !m.driver.Stopped() {
		return
	}
	m.w.tracef("%s leaves", m.name)
	m.w.happened["leave"]++
	m.w.must(m.driver.Leave(m.w.ctx), "%s leaves", m.name)
	m.driver.Close()
	m.driver = nil
	m.w.must(m.store.Close(), "close the store of %s", m.name)
}

// kill ends a life at once. Requests that were under way may arrive later.
func (m *member) kill(lucky bool) {
	w := m.w
	if !m.up() || w.depth > 0 {
		return
	}
	w.tracef("%s is killed, unsynced bytes kept: %t", m.name, lucky)
	w.happened["kill"]++
	m.wire.dead = true
	for _, j := range m.driver.Jobs() {
		if (j.Name == "commit" && j.Phases() == 2 || j.Name == "producer") && w.rng.IntN(3) == 0 {
			w.orphans = append(w.orphans, orphan{m.name, func() { j.Run(w.ctx) }})
		}
	}
	ran := m.running()
	m.driver.Close()
	m.driver = nil
	m.disk = m.store.crash(lucky)
	m.checkReplay(ran)
}

// vanish releases what the member holds, at the end of a run.
func (m *member) vanish() {
	if m.up() {
		m.driver.Close()
		m.driver = nil
		_ = m.store.Close()
	}
}

// running are the changelogs of the tables of the tasks that run.
func (m *member) running() []record.Partition {
	var changelogs []record.Partition
	for _, t := range m.driver.Tasks() {
		if t.State != "running" {
			continue
		}
		for _, in := range t.Inputs {
			for _, topic := range m.w.graph.tablesOf(in.Topic) {
				changelogs = append(changelogs, record.Partition{Topic: topic, Number: in.Partition})
			}
		}
	}
	return changelogs
}

// tablesOf are the changelogs of the tables that the step of a topic uses.
func (g *simGraph) tablesOf(topic string) (topics []string) {
	switch {
	case topic == loopTopic:
		topics = []string{countTopic}
		if g.shape.audit && !g.shape.joined {
			topics = append(topics, topology.NamedTable(simGroup, "audit"))
		}
	case g.shape.totals:
		topics = []string{topology.NamedTable(simGroup, "totals")}
	}
	return topics
}

// checkReplay holds I9: what a killed member had running, its disk has but for
// at most two commits.
func (m *member) checkReplay(ran []record.Partition) {
	if m.disk == nil || len(ran) == 0 {
		return
	}
	s, err := m.disk.Crash().Open(pebblestore.Options{Deterministic: true, CacheBytes: 8 << 20})
	m.w.must(err, "open what is left of the store of %s", m.name)
	infos, err := s.Tables()
	m.w.must(err, "list what is left of the store of %s", m.name)
	m.w.must(s.Close(), "close it")
	next := map[record.Partition]int64{}
	for _, i := range infos {
		next[i.Changelog] = i.Checkpoint.Next
	}
	for _, p := range ran {
		txns := map[int]bool{}
		c := m.w.model.log(p)
		for _, r := range c.recs[c.find(next[p]):] {
			if strings.HasPrefix(r.by, m.id+"-") { // else others have gone on with the task
				txns[r.txn] = true
			}
		}
		if len(txns) > 2 {
			m.w.violated("I9", "%s was killed while it ran %v, and has to replay %d commits from %d on", m.name, p, len(txns), next[p])
		}
	}
}

// freeze takes the member off the schedule, mostly for so long that it is given
// up and others go on with its work.
func (m *member) freeze() {
	m.asleep = m.w.acts + 10 + m.w.rng.IntN(200)
	m.w.tracef("%s freezes for %d acts", m.name, m.asleep-m.w.acts)
}

func (m *member) frozen() bool { return m.w.acts < m.asleep }

// visit asks for a visit of all counts.
func (m *member) visit() {
	done, err := m.driver.Visit("touch")
	m.w.must(err, "visit")
	m.w.tracef("%s visits all counts", m.name)
	m.visits = append(m.visits, done)
}
