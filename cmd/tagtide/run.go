package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tagtide/tagtide/api"
	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/processor"
	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/view"
)

// runCmd is everything in one process, on the embedded log.
type runCmd struct {
	groupFlags
	dataFlags
	topicFlags
	sourceFlags

	Listen         string        `help:"Address of the page and the API; with --once nothing is served unless it is given (default: 127.0.0.1:8080)." placeholder:"HOST:PORT"`
	AdminListen    string        `help:"Address for metrics, health and profiles." placeholder:"HOST:PORT"`
	Threads        int           `help:"Tasks worked on at once (default: the CPUs)." placeholder:"N"`
	CommitInterval time.Duration `help:"Between two transactions." default:"100ms"`
	InstanceID     string        `help:"Name of this instance, for good." placeholder:"NAME"`
	Start          startFlag     `help:"Where a new group begins: oldest, newest or a time." default:"oldest"`
	Once           bool          `help:"End when the input is read and counted, and print the result."`
	Top            int           `help:"With --once: how many rows the table has." default:"20"`
	Output         string        `help:"With --once: table, or everything as ndjson or csv." enum:"table,ndjson,csv" default:"table"`
}

// Validate is called by the parser.
func (c *runCmd) Validate() error {
	if c.Top < 0 || c.Threads < 0 {
		return usagef("--top and --threads must not be negative")
	}
	if c.CommitInterval <= 0 {
		return usagef("--commit-interval must be more than 0")
	}
	return errors.Join(c.topicFlags.validate(), c.sourceFlags.validate(c.Once))
}

// Run does it.
func (c *runCmd) Run(ctx context.Context, s std, g *Globals) (err error) {
	logger := g.logger(s.err)
	if c.Listen == "" && !c.Once {
		c.Listen = "127.0.0.1:8080"
	}
	if err := c.inputsThere(); err != nil {
		return err
	}
	listeners, err := listen(map[string]string{"--listen": c.Listen, "--admin-listen": c.AdminListen})
	if err != nil {
		return err
	}
	dir, temporary, err := c.directory()
	if err != nil {
		return errors.Join(err, listeners.close())
	}
	if temporary {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	} else {
		fmt.Fprintln(s.err, "tagtide: data in", dir)
	}
	w, err := c.openWorks(dir, logger, s)
	if err != nil {
		return errors.Join(err, listeners.close())
	}
	defer func() { err = errors.Join(err, w.close()) }()
	return c.runWorks(ctx, w, listeners, s)
}

// directory is where the data go, and whether they go with the process.
func (c *runCmd) directory() (dir string, temporary bool, err error) {
	switch {
	case c.DataDir != "":
		return c.DataDir, false, os.MkdirAll(c.DataDir, 0o755)
	case c.Once || c.Source == "demo":
		dir, err = os.MkdirTemp("", "tagtide-")
		return dir, true, err
	}
	dir, err = defaultDir(c.Group)
	if err != nil {
		return "", false, err
	}
	return dir, false, os.MkdirAll(dir, 0o755)
}

// works are the parts of a running tagtide.
type works struct {
	log       *stream.Log
	state     *stream.State // of the processor
	viewState *stream.State
	graph     *stream.GroupGraph
	processor *stream.Processor
	view      *view.View
	emitter   *emitter.Emitter // nil without a source
	registry  api.Registry
	logger    *slog.Logger
	backlog   *backlog
}

func (w *works) close() error {
	var errs []error
	for _, c := range []interface{ Close() error }{w.state, w.viewState, w.log} {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// openWorks opens the data and makes the parts.
func (c *runCmd) openWorks(dir string, logger *slog.Logger, s std) (_ *works, err error) {
	w := &works{logger: logger, registry: newRegistry()}
	if w.log, err = stream.OpenEmbedded(filepath.Join(dir, "log"), stream.EmbeddedOptions{Logger: logger}); err != nil {
		return nil, err
	}
	if w.state, err = stream.OpenState(filepath.Join(dir, "process"), stream.StateOptions{Logger: logger}); err != nil {
		return nil, errors.Join(err, w.log.Close())
	}
	if w.viewState, err = stream.OpenState(filepath.Join(dir, "serve"), stream.StateOptions{Logger: logger}); err != nil {
		return nil, errors.Join(err, w.state.Close(), w.log.Close())
	}
	if err := c.makeParts(w, s); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (c *runCmd) makeParts(w *works, s std) (err error) {
	w.graph = processor.Graph(processor.Options{Group: c.Group, Input: c.InputTopic, SkipReposts: c.Reposts == "skip"})
	w.processor, err = stream.NewProcessor(w.log, w.graph, stream.ProcessorOptions{
		State: w.state, Threads: c.threads(), CommitInterval: c.CommitInterval, InstanceID: c.InstanceID,
		Partitions: c.Partitions, ReplicationFactor: c.ReplicationFactor, NoCreate: !c.CreateTopics,
		Start: c.Start.Start, PurgeInputs: c.Once, Logger: w.logger, Metrics: w.registry,
	})
	if err != nil {
		return err
	}
	w.view, err = view.New(w.log, w.graph, view.Options{State: w.viewState, Logger: w.logger, Metrics: w.registry})
	if err != nil {
		return err
	}
	w.backlog = &backlog{log: w.log, graph: w.graph}
	source, err := c.source(s, w.logger)
	if err != nil || source == nil {
		return err
	}
	w.emitter, err = c.makeEmitter(w, source, s)
	return err
}

func (c *runCmd) threads() int {
	if c.Threads > 0 {
		return c.Threads
	}
	return runtime.GOMAXPROCS(0)
}

// runWorks runs the parts until ctx ends or, with --once, everything is counted.
func (c *runCmd) runWorks(ctx context.Context, w *works, l listeners, s std) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return w.processor.Run(gctx) })
	g.Go(func() error { return w.view.Run(gctx) })
	serve(gctx, g, w, l, s)
	g.Go(func() error {
		err := c.feed(gctx, w)
		if !c.Once || gctx.Err() != nil {
			return err
		}
		// What could be read is counted and told, also if not all could.
		if told := c.finish(gctx, w, s); gctx.Err() == nil {
			err = errors.Join(err, told)
		}
		stop()
		return err
	})
	return g.Wait()
}

// feed runs the emitter, if there is one.
func (c *runCmd) feed(ctx context.Context, w *works) error {
	if w.emitter == nil {
		return nil
	}
	if err := w.emitter.Run(ctx); err != nil {
		return err
	}
	if ctx.Err() == nil && !c.Once {
		w.logger.Info("the source has ended; what it had is being counted and served")
	}
	return nil
}

// listeners are the addresses that were asked for, by flag.
type listeners map[string]net.Listener

// listen opens the addresses, before anything else is begun.
func listen(addresses map[string]string) (listeners, error) {
	l := listeners{}
	for flag, address := range addresses {
		if address == "" {
			continue
		}
		var err error
		if l[flag], err = net.Listen("tcp", address); err != nil {
			delete(l, flag)
			return nil, errors.Join(fmt.Errorf("%s %s: %w", flag, address, err), l.close())
		}
	}
	return l, nil
}

func (l listeners) close() error {
	var errs []error
	for _, one := range l {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}

// serve answers HTTP on the listeners there are.
func serve(ctx context.Context, g *errgroup.Group, w *works, l listeners, s std) {
	options := api.Options{Logger: w.logger, Metrics: w.registry, Build: version().Build}
	if one := l["--listen"]; one != nil {
		server := api.New(counts{w.view}, options)
		g.Go(func() error { return server.Run(ctx, one) })
		fmt.Fprintf(s.err, "tagtide: page on http://%s\n", one.Addr())
	}
	if one := l["--admin-listen"]; one != nil {
		server := api.NewAdmin(options)
		g.Go(func() error { return server.Run(ctx, one) })
		fmt.Fprintf(s.err, "tagtide: metrics, health and profiles on http://%s\n", one.Addr())
	}
}
