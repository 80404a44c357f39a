package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tagtide/tagtide/stream/internal/follow"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/store"
	"github.com/tagtide/tagtide/stream/internal/thread"
)

// A Driver is a processor without goroutines and without a clock: its machines
// are stepped by hand, and what they would do beside themselves is queued as
// jobs, which are run by hand too. So one goroutine drives whole groups, in
// any order it likes, and the same order gives the same history. It is what
// package streamtest is made of.
//
// A driver that is closed without having left is a processor that was killed.
type Driver struct {
	assembly *assembly
	parts    []*driven // the membership, the threads, the lookups
	jobs     []*DriverJob
	opened   bool // the lookups are
}

// driven is a machine, and what wakes it: the same as in a Processor.
type driven struct {
	name  string
	step  func(ctx context.Context, now time.Time) (busy bool, wake time.Time, err error)
	ready []<-chan struct{}
	awake bool
	wake  time.Time // not zero: awake from then on
}

// NewDriver makes a driver. It joins the group when its membership is first
// stepped and its lookups have caught up.
func NewDriver(ctx context.Context, l *Log, g *GroupGraph, o ProcessorOptions) (*Driver, error) {
	p, err := NewProcessor(l, g, o)
	if err != nil {
		return nil, err
	}
	d := &Driver{parts: make([]*driven, 1+p.opts.Threads)}
	for n := range d.parts {
		d.parts[n] = &driven{awake: true}
	}
	d.assembly, err = assemble(ctx, l.keeper, p.opts.State, g, &p.opts, hooks{
		runner:    func(n int) thread.Runner { return &driverRunner{d, n} },
		wake:      func(n int) { d.parts[1+n].awake = true },
		changed:   func() { d.parts[0].awake = true },
		committed: p.metrics.committed,
	})
	if err != nil {
		return nil, err
	}
	d.wire(p.opts.SessionTimeout / 3)
	return d, nil
}

// wire makes the parts of the machines.
func (d *Driver) wire(heartbeat time.Duration) {
	member := d.parts[0]
	member.name = "member"
	member.step = func(ctx context.Context, now time.Time) (bool, time.Time, error) {
		if !d.recovered() {
			return false, now.Add(time.Millisecond), nil
		}
		if !d.assembly.instance.Joined() {
			err := d.assembly.join(ctx)
			if d.assembly.instance.Joined() {
				member.ready = append(member.ready, d.assembly.instance.Ready())
			}
			return true, time.Time{}, err
		}
		busy, wake, err := d.assembly.instance.Step(now)
		if beat := now.Add(heartbeat); beat.Before(wake) {
			wake = beat
		}
		return busy, wake, err
	}
	for n, t := range d.assembly.threads {
		inputs, restores := t.Ready()
		part := d.parts[1+n]
		part.name, part.ready = fmt.Sprintf("thread %d", n), []<-chan struct{}{inputs, restores}
		part.step = func(_ context.Context, now time.Time) (bool, time.Time, error) {
			if !d.recovered() {
				return false, now.Add(time.Millisecond), nil
			}
			return t.Step(now)
		}
	}
	for n, f := range d.assembly.lookups {
		d.parts = append(d.parts, &driven{
			name: fmt.Sprintf("lookup %d", n), awake: true,
			ready: []<-chan struct{}{f.Ready()}, step: followerStep(f),
		})
	}
}

// followerStep opens a follower at its first step.
func followerStep(f *follow.Follower) func(context.Context, time.Time) (bool, time.Time, error) {
	opened := false
	return func(ctx context.Context, now time.Time) (bool, time.Time, error) {
		if !opened {
			opened = true
			return true, time.Time{}, f.Open(ctx, now)
		}
		return stepFollower(ctx, f, now)
	}
}

// recovered tells whether the lookups are up to date. No thread runs before.
func (d *Driver) recovered() bool {
	d.opened = d.opened || !slices.ContainsFunc(d.assembly.lookups, func(f *follow.Follower) bool {
		p := f.Progress()
		return p.Next == nil || !p.Recovered
	})
	return d.opened
}

// Parts is the number of machines: the membership, then the threads, then the
// lookups.
func (d *Driver) Parts() int { return len(d.parts) }

// PartName names a machine, for people.
func (d *Driver) PartName(part int) string { return d.parts[part].name }

// Step lets a machine do what it can do at now. An error ends the processor:
// the driver can only be closed then. Stepping a machine that is not awake does
// no harm.
func (d *Driver) Step(ctx context.Context, part int, now time.Time) (busy bool, err error) {
	p := d.parts[part]
	p.listen()
	busy, p.wake, err = p.step(ctx, now)
	p.awake = p.awake || busy
	return busy, err
}

// listen takes the signals that have come, which the step that follows obeys.
func (p *driven) listen() {
	p.hear()
	p.awake = false
}

// hear takes the signals that have come.
func (p *driven) hear() {
	for _, ready := range p.ready {
		select {
		case <-ready:
			p.awake = true
		default:
		}
	}
}

// Awake tells whether a Processor would step the machine at now, because it was
// signalled or its time has come.
func (d *Driver) Awake(part int, now time.Time) bool {
	p := d.parts[part]
	p.hear()
	return p.awake || !p.wake.IsZero() && !now.Before(p.wake)
}

// Wake is the first time at which a machine that sleeps is awake by itself;
// zero: never.
func (d *Driver) Wake() time.Time {
	var first time.Time
	for _, p := range d.parts {
		if !p.wake.IsZero() && (first.IsZero() || p.wake.Before(first)) {
			first = p.wake
		}
	}
	return first
}

// A DriverJob is what a thread asked to be done beside it. It has one or more
// phases; a crash may come before, between and after them.
type DriverJob struct {
	// Name of what it is: commit, restore, prepare, producer, purge, free, lags,
	// look.
	Name string
	// Thread that it belongs to; -1 for the membership.
	Thread int

	driver *Driver
	job    *thread.Job
	phases []func(context.Context) error
}

type driverRunner struct {
	driver *Driver
	thread int
}

// Go implements [thread.Runner].
func (r *driverRunner) Go(name string, job *thread.Job, phases ...func(context.Context) error) {
	r.driver.jobs = append(r.driver.jobs, &DriverJob{Name: name, Thread: r.thread, driver: r.driver, job: job, phases: phases})
}

// Jobs returns the jobs that have not ended, in the order in which they were
// asked for. A thread's jobs may be run in any order.
func (d *Driver) Jobs() []*DriverJob { return slices.Clone(d.jobs) }

// Phases is the number of phases that have not been run.
func (j *DriverJob) Phases() int { return len(j.phases) }

// Run runs the next phase. If it is the last one, or fails, the job has ended
// and its thread wakes.
func (j *DriverJob) Run(ctx context.Context) {
	phase := j.phases[0]
	j.phases = j.phases[1:]
	err := phase(ctx)
	if err == nil && len(j.phases) > 0 {
		return
	}
	j.phases = nil
	j.job.Finish(err)
	d := j.driver
	d.jobs = slices.DeleteFunc(d.jobs, func(o *DriverJob) bool { return o == j })
	d.parts[1+j.Thread].awake = true
}

// Stop asks the threads to commit what they have stepped and to release their
// tasks. Stopped tells when they have.
func (d *Driver) Stop() {
	for _, t := range d.assembly.threads {
		t.Stop()
	}
}

// Stopped tells whether no thread has a task or a job any more.
func (d *Driver) Stopped() bool { return !d.assembly.instance.Owned() && len(d.jobs) == 0 }

// Leave ends the membership, so that others take over at once.
func (d *Driver) Leave(ctx context.Context) error { return d.assembly.instance.Leave(ctx) }

// Close releases what the machines hold. Nothing of the driver may be used
// afterwards; its jobs are given up as if the process had died.
func (d *Driver) Close() {
	for _, t := range d.assembly.threads {
		t.Close()
	}
	for _, f := range d.assembly.lookups {
		_ = f.Close() // whoever drives by hand has the store in his hands too
	}
}

// Tasks tells about the tasks the processor has, in order.
func (d *Driver) Tasks() []TaskInfo { return d.assembly.tasks() }

// Standbys tells about the tasks that the processor keeps warm, in order.
func (d *Driver) Standbys() []TaskInfo { return d.assembly.standbys() }

// Visit asks every thread to run the visitor of that name. done tells whether
// all of it is committed, or failed.
func (d *Driver) Visit(name string) (done func() (bool, error), err error) {
	visits, err := d.assembly.visit(name)
	if err != nil {
		return nil, err
	}
	return func() (bool, error) {
		for _, v := range visits {
			if !isClosed(v.Done()) {
				return false, nil
			}
			if err := v.Err(); err != nil {
				return true, err
			}
		}
		return true, nil
	}, nil
}

// NewLog makes a Log of a keeper. For package streamtest.
func NewLog(keeper log.Log) *Log { return &Log{keeper} }

// NewState makes a State of a store that is open. id stands for the state's
// own, under which its processors write. For package streamtest.
func NewState(s store.Store, id string) *State { return &State{tables: s, id: id} }

// An EmitterDriver commits what an emitter is given, step by step.
type EmitterDriver struct{ core *emitter }

// Driver returns the driver of an emitter, whose Run must not be called. An
// emitter that is closed without being idle is one that was killed.
func (e *Emitter[V]) Driver() *EmitterDriver {
	e.core.started.Store(true)
	return &EmitterDriver{e.core}
}

// Step does the next thing there is to do at now, if any. An error is final.
func (d *EmitterDriver) Step(ctx context.Context, now time.Time) (busy bool, err error) {
	return d.core.machine.step(ctx, now)
}

// Wake is when Step has something to do by the clock alone; zero: never.
func (d *EmitterDriver) Wake() time.Time { return d.core.machine.wake() }

// Begun tells whether the emitter has taken over its ID and read its cursors.
func (d *EmitterDriver) Begun() bool { return isClosed(d.core.machine.cursors.ready) }

// Idle tells whether everything that was handed over is committed.
func (d *EmitterDriver) Idle() bool { return d.core.machine.idle() }

// Close releases what the emitter holds.
func (d *EmitterDriver) Close() {
	d.core.queue.end(errStopped)
	d.core.machine.close()
}

// A ViewDriver follows a table, step by step.
type ViewDriver struct {
	follower *follow.Follower
	step     func(context.Context, time.Time) (bool, time.Time, error)
	measure  func(context.Context) (int64, error)
	wake     time.Time
}

// Driver returns the driver of a view, whose Run must not be called.
func (v *View[V]) Driver() *ViewDriver {
	return &ViewDriver{follower: v.follower, step: followerStep(v.follower), measure: v.probe.measure}
}

// Step does what there is to do at now. An error is final.
func (d *ViewDriver) Step(ctx context.Context, now time.Time) (busy bool, err error) {
	busy, d.wake, err = d.step(ctx, now)
	return busy, err
}

// Wake is when Step has something to do by the clock alone; zero: never.
func (d *ViewDriver) Wake() time.Time { return d.wake }

// Recovered tells whether the view has reached the end that the table had when
// it was opened.
func (d *ViewDriver) Recovered() bool {
	p := d.follower.Progress()
	return p.Next != nil && p.Recovered
}

// Lag measures how far the view is behind, as [Freshness] has it: -1 while that
// is not known, because a transaction is open.
func (d *ViewDriver) Lag(ctx context.Context) (int64, error) {
	once, cancel := context.WithCancel(ctx)
	cancel() // it asks, and does not wait
	lag, err := d.measure(once)
	if errors.Is(err, context.Canceled) {
		return -1, nil
	}
	return lag, err
}

// Close releases what the view holds.
func (d *ViewDriver) Close() error { return d.follower.Close() }
