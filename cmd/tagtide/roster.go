package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/internal/roster"
	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
)

// rosterKept is for how long the topic keeps the last report of a process that
// never said that it left.
const rosterKept = 24 * time.Hour

// A news is this process's part in the group's roster: what it reports of
// itself, and what it hears of the others. Nothing but answers to people
// depends on it, so none of its failures ends the process.
type news struct {
	me     roster.Instance
	look   func(*roster.Instance) // adds what the process is doing
	logger *slog.Logger
	others roster.Roster
	heard  atomic.Int64  // when it heard itself last, in Unix nanoseconds
	deaf   time.Duration // for how long it must not have, before it looks why

	// Of the group's log; nil in a process that is alone.
	log   *stream.Log
	topic string
	o     stream.EmitterOptions
	view  *stream.View[roster.Instance]
}

func newNews(role string, look func(*roster.Instance), logger *slog.Logger) *news {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	name := strings.ReplaceAll(fmt.Sprintf("%s-%s-%d", role, host, os.Getpid()), "/", "-")
	return &news{look: look, logger: logger, deaf: roster.SilentAfter, me: roster.Instance{
		Name: name, Role: role, Host: host, PID: os.Getpid(), Version: version().Version, Started: time.Now().UTC(), State: roster.Running,
	}}
}

// share makes the process take part in the roster of a group.
func (n *news) share(l *stream.Log, group string, t topicFlags) {
	topic := stream.TableTopic(group, instancesTable)
	view, err := stream.NewView(l, topic, codec.JSON[roster.Instance](), stream.ViewOptions[roster.Instance]{Changed: n.hear, Logger: n.logger})
	if err != nil {
		n.told("hearing of others", err)
		return
	}
	n.log, n.topic, n.view = l, topic, view
	n.o = reporting(topic, n.me.Name, t)
}

// reporting are the options of an emitter of reports.
func reporting(topic, name string, t topicFlags) stream.EmitterOptions {
	return stream.EmitterOptions{
		ID: topic + "-" + name, CommitInterval: 10 * time.Millisecond, StopTimeout: 2 * time.Second,
		Table: true, Partitions: 1, Retention: rosterKept, NoCreate: !t.CreateTopics, ReplicationFactor: t.ReplicationFactor,
		Logger: slog.New(slog.DiscardHandler), // old news are nothing to warn of
	}
}

// hear takes in what others report. What is read before the roster is caught
// up with was there before.
func (n *news) hear(changes []stream.Change[roster.Instance]) error {
	fresh := n.view.Freshness().State != stream.Restoring
	for _, c := range changes {
		if c.Deleted {
			continue
		}
		n.others.Report(c.Value, time.Now(), fresh)
		if c.Value.Name == n.me.Name {
			n.heard.Store(time.Now().UnixNano())
		}
	}
	return nil
}

// now is what the process is doing.
func (n *news) now() roster.Instance {
	i := n.me
	i.Seen = time.Now().UTC()
	n.look(&i)
	return i
}

// pipeline is everyone in the group, this process as it is at this moment.
func (n *news) pipeline() []roster.Instance {
	n.others.Report(n.now(), time.Now(), true)
	return n.others.Instances(time.Now())
}

// run reports and listens until ctx ends, and says that the process leaves.
func (n *news) run(ctx context.Context) error {
	if n.log == nil {
		return nil
	}
	var parts sync.WaitGroup
	parts.Go(func() { n.told("hearing of others", n.view.Run(ctx)) })
	parts.Go(func() { n.clear(ctx) })
	for ctx.Err() == nil {
		// An emitter ends when it cannot know what became of a report. The
		// next one need not know.
		n.told("reporting to others", n.report(ctx))
		select {
		case <-ctx.Done():
		case <-time.After(roster.Every):
		}
	}
	parts.Wait()
	return nil
}

// clear makes way, until ctx ends. A process that died while it reported holds
// back the reports of all others until its transaction ends: after a while, or
// never (docs/decisions/0008). Who hears itself is not held back.
func (n *news) clear(ctx context.Context) {
	n.heard.CompareAndSwap(0, time.Now().UnixNano())
	tick := time.NewTicker(n.deaf)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if time.Since(time.Unix(0, n.heard.Load())) > n.deaf {
			n.told("making way for reports", stream.EndAbandoned(ctx, n.log, n.topic+"-", n.deaf))
		}
	}
}

func (n *news) told(what string, err error) {
	if err != nil {
		n.logger.Debug(what+" has failed; /api/v1/pipeline may tell less for a while", "err", err)
	}
}

// report reports as long as its emitter lives, or until ctx ends.
func (n *news) report(ctx context.Context) error {
	reports, err := stream.NewEmitter(n.log, n.topic, codec.JSON[roster.Instance](), n.o)
	if err != nil {
		return err
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- reports.Run(work) }()
	tick := time.NewTicker(roster.Every)
	defer tick.Stop()
	for ctx.Err() == nil && err == nil {
		err = n.say(ctx, reports, n.now())
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	last := n.now()
	last.State = roster.Left
	err = errors.Join(err, n.say(work, reports, last))
	stop()
	return errors.Join(err, <-ended)
}

// say hands one report over; an error is that the emitter has ended.
func (n *news) say(ctx context.Context, e *stream.Emitter[roster.Instance], i roster.Instance) error {
	ctx, cancel := context.WithTimeout(ctx, roster.Every)
	defer cancel()
	if err := e.Emit(ctx, i.Name, i); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// look tells what the parts are doing.
func (w *works) look(i *roster.Instance) {
	i.Sources, i.Tasks = []roster.Source{}, []roster.Task{}
	for _, e := range w.emitters {
		i.Sources = append(i.Sources, rosterSource(e.Report()))
	}
	if w.processor != nil {
		for _, t := range slices.Concat(w.processor.Tasks(), w.processor.Standbys()) {
			i.Tasks = append(i.Tasks, rosterTask(t))
		}
	}
	if w.view != nil {
		f := counts{w.view}.Freshness()
		i.View = &roster.View{State: string(f.State)}
		if f.LagKnown {
			i.View.Lag = &f.Lag
		}
	}
}

func rosterSource(r emitter.Report) roster.Source {
	source := roster.Source{
		Source: r.Source, Server: r.Server, State: string(r.State.Phase), Since: r.State.Since.UTC(), Peer: r.State.Peer,
		Heard: r.State.Heard.UTC(), Reconnects: r.State.Reconnects, Problem: r.State.Problem,
		Messages: r.Messages, Posts: r.Sent, Skipped: r.Skipped, Bad: r.Undecodable,
	}
	if r.Progress.Total > 0 {
		source.Progress = &roster.Progress{Done: r.Progress.Done, Total: r.Progress.Total, Unit: r.Progress.Unit}
	}
	return source
}

func rosterTask(t stream.TaskInfo) roster.Task {
	task := roster.Task{Task: t.Task, State: t.State, Thread: t.Thread, Restored: t.Restored, TableLag: t.TableLag, Inputs: []roster.Input{}}
	if t.Restored < 1 && t.Left >= 0 {
		left := t.Left.Round(time.Second).Seconds()
		task.ETA = &left
	}
	for _, in := range t.Inputs {
		task.Inputs = append(task.Inputs, roster.Input(in))
	}
	return task
}
