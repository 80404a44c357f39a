package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tagtide/tagtide/stream/internal/follow"
	"github.com/tagtide/tagtide/stream/internal/instance"
	"github.com/tagtide/tagtide/stream/internal/thread"
)

// ProcessorOptions tune a processor. The zero value is good.
type ProcessorOptions struct {
	// State keeps the tables; default a MemoryState. It can serve processors
	// and views of other groups too, but only one running processor of this one.
	State *State
	// Threads is how many tasks are worked on at once; default the CPUs.
	Threads int
	// CommitInterval between transactions; default 100 ms.
	CommitInterval time.Duration
	// MaxStagedBytes of uncommitted work in memory, over all threads, at which
	// a commit does not wait for the interval; default 64 MiB.
	MaxStagedBytes int
	// CacheBytes of committed values in memory, over all tasks; default 128 MiB.
	CacheBytes int
	// InstanceID names this instance among the group's, for good: after a
	// restart it gets its tasks back. Two processes must not share one. Default:
	// a random one that the State remembers, and no claim on the tasks.
	InstanceID string
	// KeepClaims leaves the tasks with this instance when it stops, for rolling
	// restarts: if it is there again within SessionTimeout it goes on with them,
	// and the others notice nothing; until then nobody works on them. It needs an
	// InstanceID, and a State that outlives the process.
	KeepClaims bool
	// SessionTimeout after which a silent instance is given up; default 10 s.
	SessionTimeout time.Duration
	// Standbys of each task that other instances keep warm: copies of its
	// tables that are ready to go on when its instance dies. Default none.
	Standbys int
	// WarmUps are the copies that instances may make at a time before tasks move
	// to them, over the whole group; default 2.
	WarmUps int
	// NearRecords is how many changelog records a copy may lack to count as
	// ready; default 1,000, which is restored in a moment, also on a machine that
	// does much else: nobody works on the task meanwhile.
	NearRecords int64
	// Endpoint is where this instance answers queries, told to the others. It
	// may be empty.
	Endpoint string
	// Partitions of topics that have to be created. Default: as many as the
	// input has, or 4. ReplicationFactor of them; default the broker's.
	Partitions        int32
	ReplicationFactor int16
	// NoCreate makes missing topics an error.
	NoCreate bool
	// Start is where a group begins that has never committed anything.
	Start Start
	// OnFailure is what happens to a record whose step fails, where its edge
	// does not say otherwise.
	OnFailure OnFailure
	// PurgeInputs removes records of the inputs once they are handled, for
	// inputs that nobody else reads and that must not fill the disk.
	PurgeInputs bool
	// Logger; default slog.Default(). Metrics are registered with Metrics; none if nil.
	Logger  *slog.Logger
	Metrics Registerer
}

// Start says where a new group begins: with the oldest record, unless Newest,
// or At, for the first record at or after a time, say otherwise. Partitions that
// are added once it has begun are handled from their first record on.
type Start struct {
	Newest bool
	At     time.Time
}

// OnFailure is the policy for records whose step fails, of a processor or of one
// of its edges.
type OnFailure int

// The policies.
const (
	DeadLetterFailed OnFailure = iota // to topic GROUP-dead, in the same transaction
	SkipFailed                        // counted and left out
	StopOnFailed                      // the processor stops with an error
)

func (o *ProcessorOptions) ensureDefaults() {
	o.Threads = cmp.Or(o.Threads, runtime.GOMAXPROCS(0))
	o.CommitInterval = cmp.Or(o.CommitInterval, 100*time.Millisecond)
	o.MaxStagedBytes = cmp.Or(o.MaxStagedBytes, 64<<20)
	o.CacheBytes = cmp.Or(o.CacheBytes, 128<<20)
	o.SessionTimeout = cmp.Or(o.SessionTimeout, 10*time.Second)
	o.WarmUps = cmp.Or(o.WarmUps, 2)
	o.NearRecords = cmp.Or(o.NearRecords, 1_000)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	if o.State == nil {
		o.State = MemoryState()
	}
}

func (o *ProcessorOptions) validate() error {
	var errs []error
	if o.Threads < 0 || o.Partitions < 0 || o.MaxStagedBytes < 0 || o.CacheBytes < 0 {
		errs = append(errs, errors.New("threads, partitions and sizes must not be negative"))
	}
	if o.Standbys < 0 || o.WarmUps < 0 || o.NearRecords < 0 {
		errs = append(errs, errors.New("standbys, warm-ups and the records they may lack must not be negative"))
	}
	if o.CommitInterval < 0 || o.SessionTimeout < 0 {
		errs = append(errs, errors.New("commit interval and session timeout must not be negative"))
	}
	if o.KeepClaims && o.InstanceID == "" {
		errs = append(errs, errors.New("keeping claims needs an instance id"))
	}
	if o.Start.Newest && !o.Start.At.IsZero() {
		errs = append(errs, errors.New("start is either newest or at a time"))
	}
	return errors.Join(errs...)
}

// A Processor is one instance of a group. Any number of instances of a group,
// in this process or others, share its work, partition by partition.
type Processor struct {
	log   *Log
	graph *GroupGraph
	opts  ProcessorOptions

	metrics *processorMetrics
	running atomic.Pointer[assembly]
	poke    chan struct{} // the tasks of a thread changed
}

// NewProcessor makes a processor; nothing happens before Run.
func NewProcessor(l *Log, g *GroupGraph, o ProcessorOptions) (*Processor, error) {
	if err := errors.Join(g.Validate(), o.validate()); err != nil {
		return nil, err
	}
	o.ensureDefaults()
	p := &Processor{log: l, graph: g, opts: o, poke: make(chan struct{}, 1)}
	p.metrics = newProcessorMetrics(o.Metrics, p)
	return p, nil
}

// Run joins the group and works until ctx ends; then it commits what it has
// begun, leaves the group at once (see KeepClaims) and returns nil. Any other return is an
// error that the processor cannot get over by itself. A Processor runs once.
func (p *Processor) Run(ctx context.Context) error {
	release, err := p.opts.State.occupy(p.graph.Group())
	if err != nil {
		return err
	}
	defer release()
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	w := newWakeups(p.opts.Threads)
	var jobs sync.WaitGroup
	a, err := assemble(ctx, p.log.keeper, p.opts.State, p.graph, &p.opts, hooks{
		runner: func(n int) thread.Runner {
			done := p.changed
			if n >= 0 {
				done = func() { w.wake(n) }
			}
			return &goRunner{ctx: work, jobs: &jobs, done: done}
		},
		wake: w.wake, changed: p.changed, committed: p.metrics.committed,
	})
	if err != nil && ctx.Err() != nil {
		return nil // stopped before it had begun
	}
	if err != nil {
		return err
	}
	p.running.Store(a)
	err = p.lead(ctx, a, w)
	p.running.Store(nil)
	stopWork()
	jobs.Wait()
	for _, t := range a.threads {
		t.Close() // visits that are under way end here
	}
	for _, f := range a.lookups {
		err = errors.Join(err, f.Close())
	}
	return err
}

// occupy reserves the state for one processor of a group. Two would have the
// same transactional ids, and fence each other for ever.
func (s *State) occupy(group string) (release func(), err error) {
	if _, taken := s.occupied.LoadOrStore(group, true); taken {
		return nil, fmt.Errorf("another processor of group %s runs with this State; each needs a State of its own", group)
	}
	return func() { s.occupied.Delete(group) }, nil
}

func (p *Processor) changed() {
	select {
	case p.poke <- struct{}{}:
	default:
	}
}

// stopTimeout bounds how long a stopping processor waits for its last commit.
const stopTimeout = 15 * time.Second

// lead runs the threads and the membership until ctx ends or one of them fails.
func (p *Processor) lead(ctx context.Context, a *assembly, w wakeups) error {
	failed := make(chan error, len(a.threads)+1)
	quit := make(chan struct{}) // ends the threads at once
	var threads sync.WaitGroup
	followers, err := p.follow(ctx, a, failed)
	defer followers()
	if err == nil && ctx.Err() == nil { // else no task may run: lookups are missing
		err = a.join(ctx)
	}
	if a.instance.Joined() {
		for n, t := range a.threads {
			threads.Go(func() {
				if err := runThread(t, w[n], quit); err != nil {
					failed <- err
				}
			})
		}
		if err = p.keepMembership(ctx, a.instance, failed); err == nil {
			err = p.stop(a, failed)
		} // else as after a crash: what is not committed will be done again
	}
	close(quit)
	threads.Wait()
	left, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, a.instance.Leave(left))
}

// follow brings the lookups up to date, and keeps them so until the returned
// function is called.
func (p *Processor) follow(ctx context.Context, a *assembly, failed chan error) (stop func(), err error) {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	stop = func() { cancel(); wg.Wait() }
	for _, f := range a.lookups {
		if err := f.Open(ctx, time.Now()); err != nil {
			return stop, err
		}
		recovered := make(chan struct{})
		wg.Go(func() {
			if err := runFollower(running, f, recovered); err != nil {
				select {
				case failed <- err:
				default: // another error ends the processor already
				}
			}
		})
		select {
		case <-recovered:
		case err := <-failed:
			return stop, err
		case <-ctx.Done():
			return stop, nil
		}
	}
	return stop, nil
}

// keepMembership steps the instance until ctx ends or something fails.
func (p *Processor) keepMembership(ctx context.Context, i *instance.Instance, failed <-chan error) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		busy, wake, err := i.Step(now)
		if err != nil {
			return err
		}
		if busy {
			continue
		}
		timer.Reset(wake.Sub(now))
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-i.Ready():
		case <-p.poke:
		case <-timer.C:
		}
	}
}

// stop lets the threads commit and release what they have, keeping the
// membership alive meanwhile.
func (p *Processor) stop(a *assembly, failed <-chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	for _, t := range a.threads {
		t.Stop()
	}
	for a.instance.Owned() {
		if _, _, err := a.instance.Step(time.Now()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("stop: the last commit did not end within %s; it will be found and settled at the next start", stopTimeout)
		case err := <-failed:
			return err
		case <-a.instance.Ready():
		case <-p.poke:
		}
	}
	return nil
}

// runThread steps a thread until quit.
func runThread(t *thread.Thread, wakeup <-chan struct{}, quit <-chan struct{}) error {
	inputs, restores := t.Ready()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		busy, wake, err := t.Step(now)
		if err != nil {
			return err
		}
		if busy {
			select {
			case <-quit:
				return nil
			default:
				continue
			}
		}
		if wake.IsZero() {
			wake = now.Add(time.Minute)
		}
		timer.Reset(wake.Sub(now))
		select {
		case <-quit:
			return nil
		case <-wakeup:
		case <-inputs:
		case <-restores:
		case <-timer.C:
		}
	}
}

// runFollower steps a follower until ctx ends, and closes recovered when it has
// caught up for the first time.
func runFollower(ctx context.Context, f *follow.Follower, recovered chan<- struct{}) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		now := time.Now()
		busy, wake, err := stepFollower(ctx, f, now)
		if err != nil {
			return err
		}
		if recovered != nil && f.Progress().Recovered {
			close(recovered)
			recovered = nil
		}
		if busy {
			continue
		}
		if look := now.Add(follow.LookEvery); wake.IsZero() || look.Before(wake) {
			wake = look
		}
		timer.Reset(wake.Sub(now))
		select {
		case <-ctx.Done():
		case <-f.Ready():
		case <-timer.C:
		}
	}
	return nil
}

// stepFollower lets a follower look for more partitions, and step.
func stepFollower(ctx context.Context, f *follow.Follower, now time.Time) (busy bool, wake time.Time, err error) {
	found, err := f.Look(ctx, now)
	if err != nil {
		return false, wake, err
	}
	busy, wake, err = f.Step(now)
	return busy || found, wake, err
}

// VisitAll runs the visitor of that name on every key that this instance has,
// and returns when all of it is committed, or ctx ends; the visit goes on then.
// Right after Run begins it waits until the group has given this instance its
// tasks. Effects of a visit count once, unless VisitAll is called again after
// an error: then some keys may have been visited already, others not.
func (p *Processor) VisitAll(ctx context.Context, name string) error {
	a := p.running.Load()
	if a == nil {
		return errors.New("the processor does not run")
	}
	visits, err := a.visit(name)
	if err != nil {
		return err
	}
	var errs []error
	for _, visit := range visits {
		select {
		case <-visit.Done():
			errs = append(errs, visit.Err())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errors.Join(errs...)
}

// visit asks every thread to run the visitor of that name.
func (a *assembly) visit(name string) ([]*thread.Visit, error) {
	v, ok := a.graph.visitors[name]
	if !ok {
		return nil, fmt.Errorf("group %s has no visitor %q", a.graph.Group(), name)
	}
	var visits []*thread.Visit
	for _, t := range a.threads {
		visit := thread.NewVisit(v.table, v.step)
		t.Visit(visit)
		visits = append(visits, visit)
	}
	return visits, nil
}

// goRunner runs jobs in goroutines.
type goRunner struct {
	ctx  context.Context
	jobs *sync.WaitGroup
	done func() // a job has ended
}

func (r *goRunner) Go(_ string, job *thread.Job, steps ...func(context.Context) error) {
	r.jobs.Go(func() {
		var err error
		for _, step := range steps {
			if err = step(r.ctx); err != nil {
				break
			}
		}
		job.Finish(err)
		r.done()
	})
}

// wakeups wake threads, each by its own channel.
type wakeups []chan struct{}

func newWakeups(n int) wakeups {
	w := make(wakeups, n)
	for i := range w {
		w[i] = make(chan struct{}, 1)
	}
	return w
}

func (w wakeups) wake(n int) {
	select {
	case w[n] <- struct{}{}:
	default:
	}
}
