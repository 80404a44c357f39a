package stream

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/task"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// How the topics that are created are set up; the reasons stand in
// docs/formats/topics.md.
const (
	minRetention    = 3 * 24 * time.Hour
	tableDirtyRatio = 0.1
	tableSegment    = 64 << 20
	// maxMessageBytes lets every record through that a task may write, which is
	// more than brokers take unless told.
	maxMessageBytes = task.MaxRecord + 1<<20
	// defaultPartitions of an input that has to be created.
	defaultPartitions = 4
)

// InputRetention is for how long an input that is created keeps its records, if
// a table that is folded from them remembers for keep: half as long again, since
// a table that is lost is made of what is there when that is done; at least 3
// days. Who creates the input before the group does gives it to its emitter.
func InputRetention(keep time.Duration) time.Duration { return max(minRetention, keep+keep/2) }

// retentionOf is that of an input of the group.
func retentionOf(t *topology.Topology, input string) time.Duration {
	var keep time.Duration
	for _, tab := range t.Tables {
		if tab.Fold.Input == input {
			keep = max(keep, tab.Fold.Keep)
		}
	}
	return InputRetention(keep)
}

// ensureGroupTopics finds the topics of a group, creates those that are missing
// and may be, and checks that their partitions fit one another.
func ensureGroupTopics(ctx context.Context, l log.Log, g *GroupGraph, o *ProcessorOptions) (map[string]log.Topic, error) {
	t := &g.topology
	topics := map[string]log.Topic{}
	ensure := func(want log.Topic, noCreate bool) error {
		want.ReplicationFactor = o.ReplicationFactor
		want.AnyTime = !slices.Contains(g.Inputs(), want.Name)
		got, err := ensureTopic(ctx, l, noCreate, want)
		topics[want.Name] = got
		return err
	}
	if err := foreignTopics(t, o, ensure); err != nil {
		return nil, err
	}
	for _, sub := range t.Subs() {
		if err := ensureSub(ctx, l, t, sub, topics, o, ensure); err != nil {
			return nil, err
		}
	}
	if err := ensure(log.Topic{Name: topology.DeadTopic(t.Group), Partitions: 1, Cleanup: log.Delete}, o.NoCreate); err != nil {
		return nil, err
	}
	return topics, nil
}

// foreignTopics makes sure of the topics that are not the group's own. Inputs
// and outputs are created if need be; other groups' tables never are.
func foreignTopics(t *topology.Topology, o *ProcessorOptions, ensure func(log.Topic, bool) error) error {
	for _, s := range t.Sources {
		if s.Loop {
			continue
		}
		want := log.Topic{Name: s.Topic, Partitions: o.partitions(), Cleanup: log.Delete, Retention: retentionOf(t, s.Topic)}
		if err := ensure(want, o.NoCreate); err != nil {
			return err
		}
	}
	for _, name := range t.Outputs {
		if err := ensure(log.Topic{Name: name, Partitions: o.partitions(), Cleanup: log.Delete}, o.NoCreate); err != nil {
			return err
		}
	}
	for _, tab := range t.Tables {
		if tab.Owned {
			continue
		}
		if err := ensure(log.Topic{Name: tab.Topic}, true); err != nil {
			return fmt.Errorf("joined table: %w", err)
		}
	}
	for _, name := range t.Lookups {
		if err := ensure(log.Topic{Name: name}, true); err != nil {
			return fmt.Errorf("lookup table: %w", err)
		}
	}
	return nil
}

// ensureSub makes sure of the group's own topics in one sub-topology: with as
// many partitions as its inputs or, for one that only has the loop, as asked for.
func ensureSub(ctx context.Context, l log.Log, t *topology.Topology, sub topology.Sub, topics map[string]log.Topic, o *ProcessorOptions, ensure func(log.Topic, bool) error) error {
	partitions, err := t.Partitions(sub, countsOf(topics))
	if err != nil {
		if onlyLoop := len(sub.Sources) == 1 && t.Sources[sub.Sources[0]].Loop; !onlyLoop {
			return err
		}
		partitions = o.Partitions
		if partitions == 0 {
			partitions = widest(t, topics)
		}
	}
	for _, s := range sub.Sources {
		if t.Sources[s].Loop {
			loop := log.Topic{Name: t.Sources[s].Topic, Partitions: partitions, Cleanup: log.Delete}
			if err := ensure(loop, o.NoCreate); err != nil {
				return err
			}
			if topics[loop.Name].Cleanup&log.Compact != 0 {
				return fmt.Errorf("topic %s is compacted and would lose records that nobody has handled: set cleanup.policy=delete", loop.Name)
			}
		}
	}
	if partitions, err = t.Partitions(sub, countsOf(topics)); err != nil {
		return err
	}
	for _, i := range sub.Tables {
		if !t.Tables[i].Owned {
			continue
		}
		want := log.Topic{Name: t.Tables[i].Topic, Partitions: partitions, Cleanup: log.Compact, MinDirtyRatio: tableDirtyRatio, SegmentBytes: tableSegment}
		if err := ensure(want, o.NoCreate); err != nil {
			return err
		}
		if got := topics[want.Name]; got.Cleanup&log.Compact == 0 {
			return fmt.Errorf("topic %s holds a table but is not compacted: set cleanup.policy=compact", want.Name)
		}
	}
	return widen(ctx, l, t, sub, topics, o)
}

// widen gives tables whose rows belong to partitions as many of them as the
// sources of their sub-topology have, and checks that all others fit.
func widen(ctx context.Context, l log.Log, t *topology.Topology, sub topology.Sub, topics map[string]log.Topic, o *ProcessorOptions) error {
	short, want, err := t.Short(sub, countsOf(topics))
	if err != nil || len(short) == 0 {
		return err
	}
	there, err := l.Partitions(ctx, short...) // another instance may have been faster
	if err != nil {
		return err
	}
	for _, name := range short {
		topic := topics[name]
		if there[name] >= want {
			topic.Partitions = there[name]
			topics[name] = topic
			continue
		}
		if o.NoCreate {
			return fmt.Errorf("topic %s has %d partitions, and what it is counted from has %d: it needs as many and may not be given them, so add them by hand", name, topic.Partitions, want)
		}
		if err := l.AddPartitions(ctx, name, want); err != nil {
			return err
		}
		o.Logger.Info("what a table is counted from has more partitions now: so has the table", "topic", name, "had", topic.Partitions, "has", want)
		topic.Partitions = want
		topics[name] = topic
	}
	return nil
}

func countsOf(topics map[string]log.Topic) map[string]int32 {
	counts := make(map[string]int32, len(topics))
	for name, topic := range topics {
		counts[name] = topic.Partitions
	}
	return counts
}

// widest is the number of partitions of the group's widest input.
func widest(t *topology.Topology, topics map[string]log.Topic) int32 {
	var n int32 = 1
	for _, s := range t.Sources {
		if !s.Loop {
			n = max(n, topics[s.Topic].Partitions)
		}
	}
	return n
}

func (o *ProcessorOptions) partitions() int32 {
	if o.Partitions > 0 {
		return o.Partitions
	}
	return defaultPartitions
}
