package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// A TopicInfo describes a topic.
type TopicInfo struct {
	Name       string
	Cleanup    string        // delete, compact, or both
	Retention  time.Duration // 0: for ever
	Partitions []PartitionInfo
}

// A PartitionInfo is the extent of a partition: offsets Start to Stable can be
// read, what lies between Stable and End belongs to open transactions.
type PartitionInfo struct{ Start, Stable, End int64 }

// DescribeTopics describes the named topics, or all. A name that does not
// exist is an error that wraps [ErrUnknownTopic].
func DescribeTopics(ctx context.Context, l *Log, names ...string) ([]TopicInfo, error) {
	topics, err := l.keeper.Topics(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("describe topics: %w", err)
	}
	there := map[string]bool{}
	var infos []TopicInfo
	for _, t := range topics {
		there[t.Name] = true
		info := TopicInfo{Name: t.Name, Cleanup: cleanup(t.Cleanup), Retention: t.Retention}
		_, ranges, err := newProbe(l.keeper, "", nil, nil).ends(ctx, t.Name)
		if err != nil {
			return nil, err
		}
		for _, r := range ranges {
			info.Partitions = append(info.Partitions, PartitionInfo(r))
		}
		infos = append(infos, info)
	}
	for _, name := range names {
		if !there[name] {
			return nil, fmt.Errorf("%s: %w", name, ErrUnknownTopic)
		}
	}
	return infos, nil
}

func cleanup(c log.Cleanup) string {
	switch c {
	case log.Compact:
		return "compact"
	case log.Compact | log.Delete:
		return "compact,delete"
	}
	return "delete"
}

// A Record as it lies in a topic.
type Record struct {
	Partition  int32
	Offset     int64
	Timestamp  time.Time
	Key, Value []byte // nil: null
	Headers    []Header
}

// ReadTopic hands the committed records of a topic to f, partition by
// partition, up to the end it has at the call. The bytes may be kept.
func ReadTopic(ctx context.Context, l *Log, topic string, f func(Record) error) error {
	infos, err := DescribeTopics(ctx, l, topic)
	if err != nil {
		return err
	}
	for n, info := range infos[0].Partitions {
		if err := readPartition(ctx, l, record.Partition{Topic: topic, Number: int32(n)}, info, f); err != nil {
			return fmt.Errorf("read %s partition %d: %w", topic, n, err)
		}
	}
	return nil
}

func readPartition(ctx context.Context, l *Log, p record.Partition, extent PartitionInfo, f func(Record) error) error {
	r := l.keeper.NewReader(log.ReaderOptions{})
	defer r.Close()
	r.Seek(p, extent.Start)
	for next := extent.Start; next < extent.Stable; {
		fetched, err := r.Poll()
		if err != nil {
			return err
		}
		for _, one := range fetched {
			if one.Err != nil {
				return one.Err
			}
			if err := eachRecord(one, extent.Stable, f); err != nil {
				return err
			}
			next = one.Next
		}
		if len(fetched) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.Ready():
		}
	}
	return nil
}

func eachRecord(fetched log.Fetched, before int64, f func(Record) error) error {
	for _, b := range fetched.Batches {
		r := b.Reader()
		for r.Next() {
			rec := r.Record()
			if rec.Offset < fetched.From || rec.Offset >= before {
				continue
			}
			out := Record{Partition: fetched.Partition.Number, Offset: rec.Offset, Timestamp: time.UnixMilli(rec.Timestamp), Key: rec.Key, Value: rec.Value}
			for _, h := range rec.Headers {
				out.Headers = append(out.Headers, Header(h))
			}
			if err := f(out); err != nil {
				return err
			}
		}
		if err := r.Err(); err != nil {
			return err
		}
	}
	return nil
}

// CreateTopics creates those of a group's topics that are missing, as a
// processor would at its start.
func CreateTopics(ctx context.Context, l *Log, g *GroupGraph, o ProcessorOptions) error {
	if err := errors.Join(g.Validate(), o.validate()); err != nil {
		return err
	}
	o.Logger = cmp.Or(o.Logger, slog.Default())
	_, err := ensureGroupTopics(ctx, l.keeper, g, &o)
	return err
}

// OwnTopics names the topics that a group makes and nobody else writes, the
// loop, its tables and the dead letters.
func (g *GroupGraph) OwnTopics() []string {
	var names []string
	for _, s := range g.topology.Sources {
		if s.Loop {
			names = append(names, s.Topic)
		}
	}
	for _, t := range g.topology.Tables {
		if t.Owned {
			names = append(names, t.Topic)
		}
	}
	return append(names, topology.DeadTopic(g.Group()))
}

// Inputs names the topics that the group reads and does not own.
func (g *GroupGraph) Inputs() []string {
	var names []string
	for _, s := range g.topology.Sources {
		if !s.Loop {
			names = append(names, s.Topic)
		}
	}
	return names
}

// ResetGroup makes a group begin anew: its positions, its own topics and what a
// [Replay] remembers go. Inputs stay, with the copies that replays sent there.
// Nothing of the group may be running. Local state is not touched; it does not
// fit the new topics and will be wiped.
func ResetGroup(ctx context.Context, l *Log, g *GroupGraph) error {
	if err := l.keeper.DeleteGroup(ctx, g.Group()); err != nil {
		return fmt.Errorf("forget the positions of group %s: %w", g.Group(), err)
	}
	if err := forgetReplays(ctx, l, g.Group()); err != nil {
		return fmt.Errorf("forget what was replayed of group %s: %w", g.Group(), err)
	}
	for _, name := range g.OwnTopics() {
		if err := l.keeper.DeleteTopic(ctx, name); err != nil && !errors.Is(err, ErrUnknownTopic) {
			return fmt.Errorf("delete topic %s: %w", name, err)
		}
	}
	return nil
}

// Backlog counts the records, by position, that a group has not handled yet.
func Backlog(ctx context.Context, l *Log, g *GroupGraph) (int64, error) {
	p := newProbe(l.keeper, "", g, nil)
	var n int64
	for _, topic := range p.upstream() {
		behind, err := p.behind(ctx, topic)
		if err != nil {
			return 0, err
		}
		n += behind
	}
	return n, nil
}
