// Package thread drives the tasks of one stream thread through their lives:
// claim, restore, process, commit, release. Like Kafka Streams' StreamThread it
// has one transactional producer, and its tasks commit together; unlike it, a
// Thread is a machine that is stepped: Step does what can be done now and never
// blocks, and what may block is handed to a Runner. So a simulation drives the
// same code as production, from one goroutine, in any order it likes.
//
//	claimed ─▶ preparing ─▶ restoring ─▶ running ─▶ closing ─▶ released
//	              ▲   positions, ends  store ← changelog      │
//	              └──────────── commit in doubt ◀─────────────┘
//
// A standby is the first half of that: it is prepared, and then follows its
// changelogs until it is promoted, with only their tail left to restore, or let
// go. A task that is taken away may stay as a standby.
//
// # A commit, in this order
//
//  1. Records are stepped into interval n+1 (table stages and a sink).
//  2. When it is due and n is decided, n+1 is sealed and written as one
//     transaction: changelogs, loop and outputs, input positions, the claim.
//  3. Only when that has committed are the stages applied to the store, as one
//     synced batch. A crash in between leaves the store one commit behind; the
//     changelog repairs it. Folded tables may be behind by more, as their input
//     repairs them: the store gathers what is done to them.
//
// While n is being decided the thread steps on, into n+1.
//
// # When a commit fails
//
//   - moved on to another generation, claim kept: the sealed interval is
//     committed again under the new claim;
//   - unavailable: committed again after a pause;
//   - fenced or in doubt: both intervals are dropped, a new producer is made
//     (which decides the open transaction), and every task prepares anew, as
//     after a crash: nothing is guessed, nothing wiped;
//   - a record too large for its topic: both intervals are dropped, every task
//     prepares anew, and the step that writes such a record fails: what becomes
//     of the record that it handled is a matter of policy;
//   - anything else is returned by Step and ends the instance.
package thread

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tagtide/tagtide/stream/internal/assign"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
	"github.com/tagtide/tagtide/stream/internal/task"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// Config is what a thread needs. All fields are required unless they say otherwise.
type Config struct {
	Log      log.Log
	Store    store.Store
	Topology *topology.Topology
	Program  Program
	Topics   *Topics // every topic of the topology
	// TransactionalID is this thread's, ID(Group, Instance, n). Retired are
	// others that earlier lives of the instance used, for this thread to fence.
	TransactionalID string
	Retired         []string
	CommitInterval  time.Duration
	MaxStaged       int // bytes of staged writes and emissions at which a commit is due
	// Begun is shared by the threads of an instance: one has seen that the group
	// has committed positions, so that the others need not ask.
	Begun       *atomic.Bool
	CacheBytes  int // of committed values in memory, per table of a task
	Start       Start
	Failure     task.Failure
	PurgeInputs bool // remove input records once they are committed as handled
	// Near is how many changelog records a standby may lack to count as caught
	// up; Changed is told when one has.
	Near   int64
	Runner Runner
	Logger *slog.Logger
	// Wake, if set, is called when another goroutine gave the thread something
	// to do; it must not block.
	Wake func()
	// Changed, if set, is told that what Owned returns has changed, or that a
	// standby has caught up.
	Changed func()
	// Committed, if set, hears of every transaction that was decided.
	Committed func(took time.Duration, err error)
}

// Program is what the topology does: handlers by index of source, and the
// combiners of its loops.
type Program struct {
	Handlers []task.Handler
	// Combiners makes the combiners of one sink, by edge; nil where an edge
	// does not combine. CombinerTopics are the topics of those edges.
	Combiners      func() []task.Combiner
	CombinerTopics []string
	Lookups        []task.Lookup
}

// Start says where a group begins that has never committed anything.
type Start struct {
	Newest bool
	At     time.Time // if not zero, the first record at or after it; else the oldest or newest
}

// An Assignment is what a thread is to have.
type Assignment struct {
	Tasks  []assign.Task
	Follow []assign.Task // standbys
	// Hosts are the instances of the group, by id, with how many threads each
	// has; nil if they are not known. Transactions of others are orphans.
	Hosts map[string]int
}

// A Thread owns tasks. Assign, Stop, Visit, Owned, Held and Status may be called
// from any goroutine; Step belongs to one.
type Thread struct {
	cfg  Config
	subs []topology.Sub

	mu    sync.Mutex
	inbox inbox         // guarded by mu
	owned []assign.Task // guarded by mu; the published copy of what is in runs
	held  []assign.Task // guarded by mu; owned, and the standbys

	claim    log.GroupClaim
	claimed  bool // wanted is what the group gave us last, even if nothing
	lost     bool // the claim is gone: drop everything
	strayed  bool // what is stepped cannot be committed: go back
	wanted   Assignment
	runs     []*run
	inputs   log.Reader
	restores log.Reader

	producer    log.Producer
	producerJob *Job
	producerNew log.Producer // what producerJob made
	retired     []string     // transactional ids to fence; producerJob's while it runs
	retryAt     time.Time    // of the producer

	sink       *task.Sink // of the open interval
	spare      *task.Sink
	committing *interval // n, sealed; nil if none
	lastCommit time.Time
	refused    task.Refused // the sinks have it
	refusedAt  time.Time    // the last of them
	purger     purger
	freer      freer
	limiter    limiter
	visits     []*Visit
	stopping   bool

	status atomic.Pointer[Status]
	count  counters
}

type inbox struct {
	claim   log.GroupClaim
	claimed bool // claim is there, and not lost
	wanted  Assignment
	lost    bool
	fresh   bool
	stop    bool
	visits  []*Visit
	closed  bool
}

// New returns a thread without tasks.
func New(cfg Config) *Thread {
	t := &Thread{
		cfg: cfg, subs: cfg.Topology.Subs(), retired: cfg.Retired,
		refused: task.Refused{},
		inputs:  cfg.Log.NewReader(log.ReaderOptions{}), restores: cfg.Log.NewReader(log.ReaderOptions{}),
	}
	t.sink, t.spare = t.newSink(), t.newSink()
	t.status.Store(&Status{})
	return t
}

func (t *Thread) newSink() *task.Sink {
	all := t.cfg.Topics.All()
	topics := make(map[string]task.Topic, len(all)) // outputs keep these, also if they get more partitions meanwhile
	for name, topic := range all {
		topics[name] = task.Topic{Partitions: topic.Partitions, Partitioner: t.cfg.Topology.Partitioner(name)}
	}
	return task.NewSink(topics, t.cfg.Program.Combiners(), t.refused)
}

// Ready returns channels that receive when Step may have something to do.
func (t *Thread) Ready() (inputs, restores <-chan struct{}) {
	return t.inputs.Ready(), t.restores.Ready()
}

// Assign tells the thread what it is to have now, under which claim. Tasks it
// has and that are not named are finished and released; see Owned. It keeps a.
func (t *Thread) Assign(claim log.GroupClaim, a Assignment) {
	t.ask(func(in *inbox) { in.claim, in.claimed, in.wanted, in.fresh = claim, true, a, true })
}

// Lose tells the thread that its claim is gone: all its tasks may be somebody
// else's already, so it drops what is not committed and releases them. Standbys
// stay.
func (t *Thread) Lose() {
	t.ask(func(in *inbox) {
		in.lost, in.claimed, in.fresh, in.wanted.Tasks, in.wanted.Hosts = true, false, true, nil, nil
	})
}

// Stop asks the thread to commit what it has stepped and release its tasks.
func (t *Thread) Stop() { t.ask(func(in *inbox) { in.stop = true }) }

// ask puts something into the inbox and wakes the thread.
func (t *Thread) ask(what func(*inbox)) {
	t.mu.Lock()
	what(&t.inbox)
	t.mu.Unlock()
	if t.cfg.Wake != nil {
		t.cfg.Wake()
	}
}

// Owned returns the tasks that the thread has, or was told to have and has not
// taken yet.
func (t *Thread) Owned() []assign.Task {
	t.mu.Lock()
	defer t.mu.Unlock()
	return union(t.owned, t.inbox.wanted.Tasks, t.inbox.fresh)
}

// Held returns the tasks that the thread owns as Owned has it, and those that it
// has, or was told to have, as standbys.
func (t *Thread) Held() []assign.Task {
	t.mu.Lock()
	defer t.mu.Unlock()
	return union(union(t.held, t.inbox.wanted.Tasks, t.inbox.fresh), t.inbox.wanted.Follow, t.inbox.fresh)
}

// union returns a copy of has, with what it lacks of more, if that counts.
func union(has, more []assign.Task, counts bool) []assign.Task {
	all := slices.Clone(has)
	for _, id := range more {
		if counts && !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// Step does what can be done at now without blocking. It tells whether it did
// anything; if not, nothing will change before wake (zero: never), unless a
// job ends, a Ready channel receives or another method is called.
func (t *Thread) Step(now time.Time) (busy bool, wake time.Time, err error) {
	t.takeInbox()
	// What needs that no commit is under way stands right behind decide: where
	// one commit follows the other, that is the only moment.
	for _, phase := range []func(time.Time) (bool, error){
		t.produce, t.decide, t.goBack, t.release, t.prepare, t.restore, t.limit, t.free, t.fetch, t.process, t.visit, t.commit, t.purge,
	} {
		did, err := phase(now)
		if err != nil {
			return false, time.Time{}, err
		}
		busy = busy || did
	}
	t.publish(now)
	return busy, t.wake(now), nil
}

// takeInbox takes over what other goroutines asked for.
func (t *Thread) takeInbox() {
	t.mu.Lock()
	in := t.inbox
	t.inbox.fresh, t.inbox.lost, t.inbox.visits = false, false, nil
	t.mu.Unlock()
	t.stopping = in.stop
	t.visits = append(t.visits, in.visits...)
	if !in.fresh {
		return
	}
	t.lost = t.lost || in.lost
	t.claimed = in.claimed
	if in.claim.Group != "" {
		t.claim = in.claim
	}
	t.wanted = in.wanted
	t.adopt()
}

// adopt brings the runs in line with what is wanted. After a loss it waits
// until what was lost has been dropped.
func (t *Thread) adopt() {
	for _, r := range t.runs {
		own := !t.lost && slices.Contains(t.wanted.Tasks, r.id)
		switch {
		case !r.standby:
			t.keep(r, own)
		case own:
			t.promote(r)
		default:
			r.leaving = !slices.Contains(t.wanted.Follow, r.id)
		}
	}
	if t.lost {
		return
	}
	for _, id := range t.wanted.Tasks {
		t.add(id, false)
	}
	for _, id := range t.wanted.Follow {
		t.add(id, true)
	}
	t.publishOwned()
}

// add begins a task, or a standby, unless the thread has it.
func (t *Thread) add(id assign.Task, standby bool) {
	if !slices.ContainsFunc(t.runs, func(r *run) bool { return r.id == id }) {
		r := t.newRun(id)
		r.standby = standby
		t.runs = append(t.runs, r)
	}
}

// keep begins or takes back the leaving of a task. One that leaves is not read
// any more; one that stays after all goes on where it stepped last.
func (t *Thread) keep(r *run, stay bool) {
	if r.leaving != stay {
		return
	}
	r.leaving = !stay
	if r.task == nil {
		return
	}
	for i, p := range r.sources {
		r.queues[i] = queue{}
		if stay {
			t.inputs.Seek(p, r.task.Next(i))
		} else {
			t.inputs.Drop(p)
		}
	}
}

func (t *Thread) publishOwned() {
	var owned, held []assign.Task
	for _, r := range t.runs {
		held = append(held, r.id)
		if !r.standby {
			owned = append(owned, r.id)
		}
	}
	t.mu.Lock()
	t.owned, t.held = owned, held
	t.mu.Unlock()
	if t.cfg.Changed != nil {
		t.cfg.Changed()
	}
}

// produce gets the thread its producer: at the start, and after one died. Also a
// thread without tasks gets one, because that ends what an earlier life of it
// left open, and tasks on other threads may be waiting for just that.
func (t *Thread) produce(now time.Time) (bool, error) {
	if t.producer != nil || now.Before(t.retryAt) {
		return false, nil
	}
	if t.producerJob == nil {
		t.startProducer()
		return true, nil
	}
	done, err := t.producerJob.Done()
	if !done {
		return false, nil
	}
	t.producerJob = nil
	if err != nil {
		t.cfg.Logger.Warn("cannot get a producer, trying again", "id", t.cfg.TransactionalID, "error", err)
		t.retryAt = now.Add(retryPause)
		return true, nil
	}
	t.producer, t.producerNew = t.producerNew, nil
	return true, nil
}

// retryPause is how long a thread waits before it asks again for what the log
// could not give.
const retryPause = 200 * time.Millisecond

// wake is when Step has something to do by the clock alone.
func (t *Thread) wake(now time.Time) time.Time {
	var first time.Time
	sooner := func(w time.Time) {
		if w.After(now) && (first.IsZero() || w.Before(first)) {
			first = w
		}
	}
	sooner(t.retryAt)
	if t.committing != nil {
		sooner(t.committing.retryAt)
	} else if t.dirty() {
		sooner(t.lastCommit.Add(t.cfg.CommitInterval))
	}
	for _, r := range t.runs {
		sooner(r.retryAt)
		sooner(t.followAt(r))
		for _, c := range r.copies {
			if fold, ok := c.follower.(*refold); ok && fold.lost {
				sooner(fold.retryAt)
			}
		}
	}
	sooner(t.freer.at)
	sooner(t.limitAt())
	sooner(t.purger.next)
	return first
}

// Close releases what the thread holds. It must not be stepped any more, and
// no job of it may be running.
func (t *Thread) Close() {
	t.mu.Lock()
	t.inbox.closed = true
	t.visits = append(t.visits, t.inbox.visits...)
	t.inbox.visits = nil
	t.mu.Unlock()
	t.endVisits()
	for _, r := range t.runs {
		r.close()
	}
	t.runs = nil
	t.inputs.Close()
	t.restores.Close()
	if t.producer != nil {
		_ = t.producer.Close() // nothing is open: every outcome has been taken
	}
}

// fatal names the task in an error that ends the instance.
func (r *run) fatal(doing string, err error) error {
	return fmt.Errorf("task %s: %s: %w", r.id, doing, err)
}

// partitions of the sources of a task.
func (t *Thread) sources(id assign.Task) []record.Partition {
	var ps []record.Partition
	for _, s := range t.subs[id.Sub].Sources {
		ps = append(ps, record.Partition{Topic: t.cfg.Topology.Sources[s].Topic, Number: id.Partition})
	}
	return ps
}
