package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

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

	// nil in a process that is alone.
	emitter *stream.Emitter[roster.Instance]
	view    *stream.View[roster.Instance]
	others  roster.Roster
}

func newNews(role string, look func(*roster.Instance), logger *slog.Logger) *news {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	name := strings.ReplaceAll(fmt.Sprintf("%s-%s-%d", role, host, os.Getpid()), "/", "-")
	return &news{look: look, logger: logger, me: roster.Instance{
		Name: name, Role: role, Host: host, PID: os.Getpid(), Version: version().Version, Started: time.Now().UTC(), State: roster.Running,
	}}
}

// share makes the process take part in the roster of a group.
func (n *news) share(l *stream.Log, group string, t topicFlags) {
	topic := stream.TableTopic(group, "instances")
	emitter, err := stream.NewEmitter(l, topic, codec.JSON[roster.Instance](), stream.EmitterOptions{
		ID: topic + "-" + n.me.Name, CommitInterval: 10 * time.Millisecond, StopTimeout: 2 * time.Second,
		Table: true, Partitions: 1, Retention: rosterKept, NoCreate: !t.CreateTopics, ReplicationFactor: t.ReplicationFactor, Logger: n.logger,
	})
	if err == nil {
		n.view, err = stream.NewView(l, topic, codec.JSON[roster.Instance](), stream.ViewOptions[roster.Instance]{Changed: n.hear, Logger: n.logger})
	}
	if err != nil {
		n.told("taking part in the group's roster", err)
		return
	}
	n.emitter = emitter
}

// hear takes in what others report. What is read before the roster is caught
// up with was there before.
func (n *news) hear(changes []stream.Change[roster.Instance]) error {
	fresh := n.view.Freshness().State != stream.Restoring
	for _, c := range changes {
		if !c.Deleted {
			n.others.Report(c.Value, time.Now(), fresh)
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
	if n.emitter == nil {
		return nil
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	var parts sync.WaitGroup
	parts.Go(func() { n.told("reporting to others", n.emitter.Run(work)) })
	parts.Go(func() { n.told("hearing of others", n.view.Run(work)) })
	n.reports(ctx)
	last := n.now()
	last.State = roster.Left
	n.report(work, last)
	stop()
	parts.Wait()
	return nil
}

func (n *news) told(what string, err error) {
	if err != nil {
		n.logger.Warn(what+" has failed; /api/v1/pipeline tells less for it, and nothing else is", "err", err)
	}
}

func (n *news) reports(ctx context.Context) {
	tick := time.NewTicker(roster.Every)
	defer tick.Stop()
	for ctx.Err() == nil {
		n.report(ctx, n.now())
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (n *news) report(ctx context.Context, i roster.Instance) {
	ctx, cancel := context.WithTimeout(ctx, roster.Every)
	defer cancel()
	if err := n.emitter.Emit(ctx, i.Name, i); err != nil {
		n.logger.Debug("no report to others", "err", err)
	}
}

// look tells what the parts are doing.
func (w *works) look(i *roster.Instance) {
	i.Tasks = []roster.Task{}
	if w.processor != nil {
		for _, t := range w.processor.Tasks() {
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

func rosterTask(t stream.TaskInfo) roster.Task {
	task := roster.Task{Task: t.Task, State: t.State, Thread: t.Thread, Restored: t.Restored, Inputs: []roster.Input{}}
	for _, in := range t.Inputs {
		task.Inputs = append(task.Inputs, roster.Input(in))
	}
	return task
}
