package stream

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tagtide/tagtide/stream/internal/assign"
	"github.com/tagtide/tagtide/stream/internal/follow"
	"github.com/tagtide/tagtide/stream/internal/instance"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/store"
	"github.com/tagtide/tagtide/stream/internal/task"
	"github.com/tagtide/tagtide/stream/internal/thread"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// assembly is a processor's machines, put together and not yet running.
type assembly struct {
	graph     *GroupGraph
	beginning *beginning
	instance  *instance.Instance
	threads   []*thread.Thread
	lookups   []*follow.Follower
}

// join joins the group, once it has begun.
func (a *assembly) join(ctx context.Context) error {
	if err := a.beginning.run(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	return a.instance.Join(ctx)
}

// hooks are what whoever runs an assembly wants to hear.
type hooks struct {
	runner    func(n int) thread.Runner // of thread n; -1: of the instance
	wake      func(n int)               // thread n has something to do
	changed   func()                    // the tasks of a thread changed
	committed func(took time.Duration, err error)
}

// assemble makes a processor's machines. They have not joined the group, and
// read nothing yet.
func assemble(ctx context.Context, l log.Log, state *State, g *GroupGraph, o *ProcessorOptions, h hooks) (*assembly, error) {
	all, err := ensureGroupTopics(ctx, l, g, o)
	if err != nil {
		return nil, err
	}
	if err := samePartitions(l, state.tables, &g.topology, all); err != nil {
		return nil, err
	}
	warnOfRetention(&g.topology, all, o.Logger)
	topics := thread.NewTopics(all)
	a := &assembly{graph: g, beginning: &beginning{log: l, graph: &g.topology, start: thread.Start(o.Start), topics: topics}}
	program := g.program(o.OnFailure)
	for _, lookup := range g.lookups {
		f := follow.New(follow.Config{Log: l, Store: state.tables, Topic: lookup.topic, Partitioner: lookup.partitioner, Space: "lookup:", Logger: o.Logger})
		a.lookups = append(a.lookups, f)
		program.Lookups = append(program.Lookups, func(key string) ([]byte, bool, error) { return f.Get(nil, []byte(key)) })
	}
	id := o.InstanceID
	if id == "" {
		id = state.id
	}
	retired, err := state.retire(g.Group(), id, o.Threads)
	if err != nil {
		return nil, err
	}
	failure, begun := o.failure(g), &atomic.Bool{}
	for n := range o.Threads {
		if n > 0 {
			retired = nil // the first one fences them
		}
		a.threads = append(a.threads, thread.New(thread.Config{
			Log: l, Store: state.tables, Topology: &g.topology, Program: program, Topics: topics,
			TransactionalID: thread.ID(g.Group(), id, n), Retired: retired, Near: o.NearRecords,
			Begun: begun, CommitInterval: o.CommitInterval, MaxStaged: max(1, o.MaxStagedBytes/o.Threads),
			CacheBytes: o.CacheBytes / countTasks(&g.topology, all),
			Start:      thread.Start(o.Start), Failure: failure, PurgeInputs: o.PurgeInputs,
			Runner: h.runner(n), Logger: o.Logger, Wake: func() { h.wake(n) }, Changed: h.changed, Committed: h.committed,
		}))
	}
	tasks, err := groupTasks(&g.topology, all)
	if err != nil {
		return nil, err
	}
	grow := &growth{log: l, graph: &g.topology, opts: o, topics: topics}
	a.instance = instance.New(instance.Config{
		Log: l, Group: g.Group(), Join: log.JoinOptions{InstanceID: o.InstanceID, KeepClaims: o.KeepClaims, SessionTimeout: o.SessionTimeout, Topics: positioned(&g.topology)},
		Shape: groupShape(&g.topology, tasks, o), Threads: a.threads, Instance: id, Endpoint: o.Endpoint,
		Lags: func(ctx context.Context) (map[assign.Task]int64, error) {
			return storeLags(ctx, l, state.tables, &g.topology, topics.All())
		},
		Look:   grow.look,
		Runner: h.runner(-1), Logger: o.Logger,
	})
	return a, nil
}

// positioned are the topics whose positions a group commits: what it reads, and
// the changelogs it writes.
func positioned(t *topology.Topology) (names []string) {
	for _, s := range t.Sources {
		names = append(names, s.Topic)
	}
	for _, tab := range t.Tables {
		if tab.Logged() {
			names = append(names, tab.Topic)
		}
	}
	return names
}

// samePartitions refuses tables that have got more partitions since they were
// made here: their keys are spread anew, and what was counted under one would be
// counted again from nothing in another partition.
func samePartitions(l log.Log, s store.Store, t *topology.Topology, topics map[string]log.Topic) error {
	infos, err := s.Tables()
	if err != nil {
		return fmt.Errorf("list local tables: %w", err)
	}
	keyed := map[string]bool{}
	for _, tab := range t.Tables {
		keyed[tab.Topic] = !tab.PerPartition
	}
	for _, i := range infos {
		topic := topics[i.Changelog.Topic]
		if keyed[topic.Name] && i.Identity.LogID == l.ID() && i.Identity.TopicID == topic.ID && i.Identity.Partitions != topic.Partitions {
			return fmt.Errorf("topic %s has %d partitions, and had %d when its local tables were made: its keys belong to other partitions now, so the group must begin anew: use reset",
				topic.Name, topic.Partitions, i.Identity.Partitions)
		}
	}
	return nil
}

// groupShape is what there is to assign, and how.
func groupShape(t *topology.Topology, tasks []assign.Task, o *ProcessorOptions) assign.Group {
	subs := t.Subs()
	return assign.Group{
		Tasks: tasks, Standbys: o.Standbys, WarmUps: o.WarmUps, Near: o.NearRecords,
		Stateful: func(t assign.Task) bool { return len(subs[t.Sub].Tables) > 0 },
	}
}

// program makes what the threads run of the graph. Sources that do not say what
// becomes of bad records do as the default says.
func (g *GroupGraph) program(byDefault OnFailure) thread.Program {
	p := thread.Program{Combiners: func() []task.Combiner {
		var combiners []task.Combiner
		for _, make := range g.combiners {
			combiners = append(combiners, make())
		}
		return combiners
	}}
	for _, s := range g.sources {
		h := s.Handler
		if !s.ownFailure {
			h.Policy = byDefault.policy()
		}
		p.Handlers = append(p.Handlers, h)
		if s.loop {
			p.CombinerTopics = append(p.CombinerTopics, topology.LoopTopic(g.Group()))
		}
	}
	return p
}

// groupTasks lists the tasks of the whole group.
func groupTasks(t *topology.Topology, topics map[string]log.Topic) ([]assign.Task, error) {
	var partitions []int32
	for _, sub := range t.Subs() {
		n, err := t.Partitions(sub, countsOf(topics))
		if err != nil {
			return nil, err
		}
		partitions = append(partitions, n)
	}
	return assign.Tasks(partitions), nil
}

func countTasks(t *topology.Topology, topics map[string]log.Topic) int {
	tasks, _ := groupTasks(t, topics) // checked where the tasks are used
	return max(1, len(tasks))
}

// warnOfRetention tells of inputs that do not keep their records for as long as
// a table that is folded from them remembers: lost, it could not be made again.
func warnOfRetention(t *topology.Topology, topics map[string]log.Topic, logger *slog.Logger) {
	for _, tab := range t.Tables {
		input := topics[tab.Fold.Input]
		if keeps := input.Retention; tab.Fold.Input != "" && keeps > 0 && keeps < tab.Fold.Keep {
			logger.Warn("the input keeps its records for less time than a table that is made of it remembers: where that table is lost, or goes to another machine, it will not know of all that was handled",
				"input", input.Name, "retention", keeps, "table", tab.Topic, "remembers", tab.Fold.Keep)
		}
	}
}
