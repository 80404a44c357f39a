package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/tagtide/tagtide/stream"
)

// runCmd is everything in one process, on the embedded log or on a Kafka.
type runCmd struct {
	groupFlags
	dataFlags
	brokerFlags
	topicFlags
	sourceFlags
	memberFlags

	Listen      string `help:"Address of the page and the API; with --once nothing is served unless it is given (default: 127.0.0.1:8080)." placeholder:"HOST:PORT"`
	AdminListen string `help:"Address for metrics, health and profiles." placeholder:"HOST:PORT"`
	Once        bool   `help:"End when the input is read and counted, and print the result."`
	Top         int    `help:"With --once: how many rows the table has." default:"20"`
	Output      string `help:"With --once: table, or everything as ndjson or csv." enum:"table,ndjson,csv" default:"table"`
}

// Validate is called by the parser.
func (c *runCmd) Validate() error {
	if c.Top < 0 {
		return usagef("--top must not be negative")
	}
	return errors.Join(c.nameFlags.validate(), c.memberFlags.validate(), c.topicFlags.validate(), c.brokerFlags.validate(false), c.sourceFlags.validate(c.Once))
}

// Run does it.
func (c *runCmd) Run(ctx context.Context, s std, g *Globals) (err error) {
	logger := g.logger(s.err)
	if c.Listen == "" && !c.Once {
		c.Listen = "127.0.0.1:8080"
	}
	if err := c.readable(); err != nil {
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
	w, err := c.openWorks(ctx, dir, logger, s)
	if ctx.Err() != nil && w == nil {
		err = nil // stopped before it had begun
	}
	if w == nil {
		return errors.Join(err, listeners.close())
	}
	defer func() { err = errors.Join(err, w.close()) }()
	return w.run(ctx, listeners, s, func(ctx context.Context) (bool, error) { return c.lead(ctx, w, s) })
}

// directory is where the data go, and whether they go with the process.
func (c *runCmd) directory() (dir string, temporary bool, err error) {
	switch {
	case c.DataDir != "":
		return c.DataDir, false, os.MkdirAll(c.DataDir, 0o755)
	case c.Once || slices.Equal(c.Source, []string{kindDemo}):
		dir, err = os.MkdirTemp("", "tagtide-")
		return dir, true, err
	}
	dir, err = defaultDir(c.Group)
	if err != nil {
		return "", false, err
	}
	return dir, false, os.MkdirAll(dir, 0o755)
}

// openWorks opens the data and makes the parts.
func (c *runCmd) openWorks(ctx context.Context, dir string, logger *slog.Logger, s std) (*works, error) {
	var l *stream.Log
	var err error
	if len(c.Brokers) > 0 {
		l, err = c.brokerFlags.open(ctx, logger)
	} else {
		l, err = stream.OpenEmbedded(filepath.Join(dir, "log"), stream.EmbeddedOptions{Logger: logger})
	}
	if err != nil {
		return nil, err
	}
	w := newWorks("run", l, c.graph(), logger)
	if len(c.Brokers) > 0 {
		w.news.share(l, c.Group, c.topicFlags)
	}
	if err := c.makeParts(w, dir, s); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// makeParts makes all of them. The embedded log is ours alone: with --once what
// is counted is removed from it, and the emitter is held back while too much
// waits, so that an archive of any size goes through.
func (c *runCmd) makeParts(w *works, dir string, s std) error {
	embedded := len(c.Brokers) == 0
	state, err := stream.OpenState(filepath.Join(dir, "process"), stream.StateOptions{Logger: w.logger})
	if err != nil {
		return err
	}
	if err := w.addProcessor(state, c.memberFlags, c.topicFlags, c.Once && embedded); err != nil {
		return err
	}
	if state, err = stream.OpenState(filepath.Join(dir, "serve"), stream.StateOptions{Logger: w.logger}); err != nil {
		return err
	}
	if err := w.addView(state); err != nil {
		return err
	}
	e := emitting{source: &c.sourceFlags, names: c.nameFlags, pace: c.paceFlags, topics: c.topicFlags, memory: c.Dedupe.time, decode: c.decodeFlags}
	if embedded {
		e.gate = (&backlog{log: w.log, graph: w.graph}).wait
	}
	return w.addEmitters(e, s)
}

// lead emits and, with --once, waits until all is counted, and tells.
func (c *runCmd) lead(ctx context.Context, w *works, s std) (ended bool, err error) {
	err = w.emit(ctx)
	switch {
	case ctx.Err() != nil:
		return c.Once, err
	case !c.Once && err == nil && len(w.emitters) > 0:
		w.logger.Info("all sources have ended; what they had is being counted and served")
	}
	if !c.Once {
		return false, err
	}
	// What could be read is counted and told, also if not all could.
	if told := c.finish(ctx, w, s); ctx.Err() == nil {
		err = errors.Join(err, told)
	}
	return true, err
}
