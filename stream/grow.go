package stream

import (
	"context"
	"maps"
	"slices"

	"github.com/tagtide/tagtide/stream/internal/assign"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/thread"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// A growth finds partitions that are added to a group's inputs while it runs:
// it gives the tables that belong to them as many, and then there are new tasks.
//
//	input  ├ 0 ┤├ 1 ┤├ 2 ┤├ 3 ┤   added: 2, 3
//	totals ├ 0 ┤├ 1 ┤┄┄┄┄┄┄┄┄┄┄   given as many: PerPartition, so no row moves
//	tasks   0_0  0_1  0_2  0_3     begin with their first records
type growth struct {
	log    log.Log
	graph  *topology.Topology
	opts   *ProcessorOptions
	topics *thread.Topics
}

// look asks the log how many partitions there are and returns the group's tasks.
// An error that wraps topology.ErrPartitions is for good: what a key-hashed
// table is made of has been partitioned anew. It may block.
func (g *growth) look(ctx context.Context) ([]assign.Task, error) {
	was := g.topics.All()
	now, err := g.inputs(ctx, was)
	if err != nil || now == nil {
		tasks, _ := groupTasks(g.graph, was)
		return tasks, err
	}
	for _, sub := range g.graph.Subs() {
		if g.halfway(sub, now) {
			for _, s := range sub.Sources {
				now[g.graph.Sources[s].Topic] = was[g.graph.Sources[s].Topic]
			}
		}
		if err := widen(ctx, g.log, g.graph, sub, now, g.opts); err != nil {
			return nil, err
		}
	}
	tasks, err := groupTasks(g.graph, now)
	if err == nil {
		g.topics.Set(now)
	}
	return tasks, err
}

// inputs returns the topics with those inputs as they are now that have got more
// partitions, or nil if none has.
func (g *growth) inputs(ctx context.Context, was map[string]log.Topic) (now map[string]log.Topic, err error) {
	var names []string
	for _, s := range g.graph.Sources {
		if !s.Loop {
			names = append(names, s.Topic)
		}
	}
	counts, err := g.log.Partitions(ctx, names...)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return counts[name] <= was[name].Partitions })
	if len(names) == 0 {
		return nil, nil
	}
	grown, err := g.log.Topics(ctx, names...)
	if err != nil {
		return nil, err
	}
	for _, topic := range grown {
		// With another id it is another topic, of which those tell that read it.
		if topic.ID == was[topic.Name].ID && topic.Partitions > was[topic.Name].Partitions {
			if now == nil {
				now = maps.Clone(was)
			}
			now[topic.Name] = topic
		}
	}
	return now, nil
}

// halfway tells whether of inputs whose records are handled together one has its
// new partitions and another has not. Topics are changed one after the other, so
// this is waited out.
func (g *growth) halfway(sub topology.Sub, topics map[string]log.Topic) bool {
	counts := map[int32]bool{}
	for _, s := range sub.Sources {
		if source := g.graph.Sources[s]; !source.Loop {
			counts[topics[source.Topic].Partitions] = true
		}
	}
	return len(counts) > 1
}
