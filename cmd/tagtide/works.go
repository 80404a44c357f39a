package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tagtide/tagtide/api"
	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/view"
)

// works are the parts of a running tagtide. Which of them there are is what
// makes the difference between run, emit, process and serve.
type works struct {
	log      *stream.Log
	graph    *stream.GroupGraph
	registry api.Registry
	logger   *slog.Logger
	open     []io.Closer // in the order they were opened

	emitters  []*emitter.Emitter
	processor *stream.Processor
	view      *view.View
	news      *news
}

// newWorks makes works without parts. They close the log.
func newWorks(role string, l *stream.Log, g *stream.GroupGraph, logger *slog.Logger) *works {
	w := &works{log: l, graph: g, registry: newRegistry(), logger: logger, open: []io.Closer{l}}
	w.news = newNews(role, w.look, logger)
	return w
}

// close closes everything, the last opened first.
func (w *works) close() error {
	var errs []error
	for n := len(w.open); n > 0; n-- {
		errs = append(errs, w.open[n-1].Close())
	}
	return errors.Join(errs...)
}

// paceFlags are for everything that commits.
type paceFlags struct {
	CommitInterval time.Duration `help:"Between two transactions." default:"100ms"`
}

func (f paceFlags) validate() error {
	if f.CommitInterval <= 0 {
		return usagef("--commit-interval must be more than 0")
	}
	return nil
}

// memberFlags are for processor instances.
type memberFlags struct {
	paceFlags
	badFlags
	InstanceID     string        `help:"Name of this instance, for good: after a restart it gets its tasks back. No other one may have it." placeholder:"NAME"`
	KeepClaims     bool          `help:"Stop without giving tasks to others, for a restart within --session-timeout: nobody else has to move. Needs --instance-id."`
	SessionTimeout time.Duration `help:"After which the group gives up an instance that is silent." default:"10s"`
	Standbys       int           `help:"Copies of each task's tables that other instances keep, to go on at once when one dies." default:"0" placeholder:"N"`
	Threads        int           `help:"Tasks worked on at once (default: the CPUs)." placeholder:"N"`
	Start          startFlag     `help:"Where a new group begins: oldest, newest or a time." default:"oldest"`
}

func (f memberFlags) validate() error {
	if f.Threads < 0 || f.Standbys < 0 {
		return usagef("--threads and --standbys must not be negative")
	}
	if f.KeepClaims && f.InstanceID == "" {
		return usagef("--keep-claims needs --instance-id: it is by its name that a restarted instance gets its tasks back")
	}
	if f.SessionTimeout <= 0 {
		return usagef("--session-timeout must be more than 0")
	}
	return f.paceFlags.validate()
}

// addProcessor adds an instance of the group, which closes its state.
func (w *works) addProcessor(state *stream.State, m memberFlags, t topicFlags, purge bool) (err error) {
	w.open = append(w.open, state)
	threads := m.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	w.processor, err = stream.NewProcessor(w.log, w.graph, stream.ProcessorOptions{
		State: state, Threads: threads, CommitInterval: m.CommitInterval, InstanceID: m.InstanceID, Standbys: m.Standbys,
		KeepClaims: m.KeepClaims, SessionTimeout: m.SessionTimeout,
		Partitions: t.Partitions, ReplicationFactor: t.ReplicationFactor, NoCreate: !t.CreateTopics,
		Start: m.Start.Start, OnFailure: m.policy(), PurgeInputs: purge, Logger: w.logger, Metrics: w.registry,
	})
	return err
}

// addView adds the view of the group's tables, which closes its state.
func (w *works) addView(state *stream.State) (err error) {
	w.open = append(w.open, state)
	w.view, err = view.New(w.log, w.graph, view.Options{State: state, Logger: w.logger, Metrics: w.registry})
	return err
}

// run runs the parts and serves HTTP until ctx ends, one of them fails, or the
// lead, if there is one, has ended. It closes the listeners.
func (w *works) run(ctx context.Context, l listeners, s std, lead lead) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	if w.processor != nil {
		g.Go(func() error { return w.processor.Run(ctx) })
	}
	if w.view != nil {
		g.Go(func() error { return w.view.Run(ctx) })
	}
	g.Go(func() error { return w.news.run(ctx) })
	w.serve(ctx, g, l, s)
	if lead != nil {
		g.Go(func() error {
			ended, err := lead(ctx)
			if ended {
				stop()
			}
			return err
		})
	}
	return g.Wait()
}

// serve answers HTTP on the listeners there are.
func (w *works) serve(ctx context.Context, g *errgroup.Group, l listeners, s std) {
	options := api.Options{Logger: w.logger, Metrics: w.registry, Build: version().Build, Pipeline: w.news.pipeline, Ready: w.ready}
	if one := l["--listen"]; one != nil {
		spareProcessor()
		server := api.New(counts{w.view}, options)
		g.Go(func() error { return server.Run(ctx, one) })
		fmt.Fprintf(s.err, "tagtide: page on http://%s\n", one.Addr())
	}
	if one := l["--admin-listen"]; one != nil {
		options.Ready = w.adminReady
		server := api.NewAdmin(options)
		g.Go(func() error { return server.Run(ctx, one) })
		fmt.Fprintf(s.err, "tagtide: metrics, health and profiles on http://%s\n", one.Addr())
	}
}

// spareProcessor lets the runtime use one processor more than there are, where
// requests are answered beside other work. When that has all of them, nobody
// looks for requests until the runtime's monitor does, after 10 ms; a spare one
// waits for them in the poller, and the system runs it soon. GOMAXPROCS, if it
// is set, stays.
var spareProcessor = sync.OnceFunc(func() {
	if _, set := os.LookupEnv("GOMAXPROCS"); !set {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
})
