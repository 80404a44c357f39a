package stream

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/tagtide/tagtide/stream/internal/assign"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
	"github.com/tagtide/tagtide/stream/internal/store/memstore"
	"github.com/tagtide/tagtide/stream/internal/table"
	"github.com/tagtide/tagtide/stream/internal/task"
)

// foldOf is the index of a folded table, by its topic; -1 if there is none.
func (g *GroupGraph) foldOf(topic string) int {
	for i, t := range g.topology.Tables {
		if t.Fold.Input != "" && t.Topic == topic {
			return i
		}
	}
	return -1
}

// checkFolded folds a table's input again in memory, from where the group has
// begun up to the table's position, and compares what lives in both. Where the
// input has been removed nothing can be told.
func (g *GroupGraph) checkFolded(ctx context.Context, l *Log, s *State, t store.Info) (unchecked, fault string, err error) {
	index := g.foldOf(t.Changelog.Topic)
	input := record.Partition{Topic: g.topology.Tables[index].Fold.Input, Number: t.Changelog.Number}
	if unchecked, err = another(ctx, l, input.Topic, store.Identity{TopicID: t.Identity.TopicID}); err != nil || unchecked != "" {
		return unchecked, "", err
	}
	began, err := began(ctx, l, t.Changelog)
	if err != nil {
		return "", "", err
	}
	ends, err := l.keeper.Ends(ctx, input)
	switch extent := ends[input]; {
	case err != nil:
		return "", "", err
	case t.Checkpoint.Next > extent.Stable:
		return "", fmt.Sprintf("the input ends before it, at %d", extent.Stable), nil
	case extent.Start > began:
		return fmt.Sprintf("of %s, which it is made from, what lies before %d has been removed", input.Topic, extent.Start), "", nil
	}
	want, err := g.refold(ctx, l, index, input, began, t.Checkpoint.Next)
	if err != nil {
		return "", "", err
	}
	kept, err := s.tables.Open(t.Changelog, t.Identity)
	if err != nil {
		return "", "", err
	}
	have, err := table.NewAging(kept, g.topology.Tables[index].Fold.Keep)
	if err == nil {
		fault, err = compareRows(have, want)
	}
	if closed := kept.Close(); err == nil {
		err = closed
	}
	return "", fault, err
}

// Beginnings tells in which positions of an input's partitions a group has begun
// to handle it. Those that it has handled from their first record on are left
// out, and so are all if it has no table that is folded from that input: then
// nothing tells.
func Beginnings(ctx context.Context, l *Log, g *GroupGraph, input string) (map[int32]int64, error) {
	positions := map[int32]int64{}
	for _, t := range g.topology.Tables {
		if t.Fold.Input != input || !t.Owned {
			continue
		}
		topics, err := l.keeper.Topics(ctx, t.Topic)
		if err != nil || len(topics) == 0 {
			return nil, err
		}
		for n := range topics[0].Partitions {
			at, err := began(ctx, l, record.Partition{Topic: t.Topic, Number: n})
			if err != nil {
				return nil, err
			}
			if at > 0 {
				positions[n] = at
			}
		}
	}
	return positions, nil
}

// began reads where a group has begun to handle an input.
func began(ctx context.Context, l *Log, p record.Partition) (position int64, err error) {
	ends, err := l.keeper.Ends(ctx, p)
	if err != nil {
		return 0, err
	}
	err = readPartition(ctx, l, p, PartitionInfo(ends[p]), func(r Record) (err error) {
		position, err = strconv.ParseInt(string(r.Value), 10, 64)
		return err
	})
	return position, err
}

// refold folds the records of an input between two positions into a table in
// memory.
func (g *GroupGraph) refold(ctx context.Context, l *Log, index int, input record.Partition, from, to int64) (*table.Table, error) {
	kept, err := memstore.New().Open(input, store.Identity{})
	if err != nil {
		return nil, err
	}
	folded, err := table.NewAging(kept, g.topology.Tables[index].Fold.Keep)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(g.sources, func(s source) bool { return s.topic == input.Topic })
	t := task.Refold(assign.Task{Partition: input.Number}, task.Source{Partition: input, Handler: g.sources[at].Handler, Folded: folded}, index)
	err = readPartition(ctx, l, input, PartitionInfo{Start: from, Stable: to, End: to}, func(r Record) error {
		rec := record.Record{Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			rec.Headers = append(rec.Headers, record.Header(h))
		}
		return t.Step(0, &rec)
	})
	return folded, err
}

// compareRows names the first key in which a table differs from one whose rows
// are all staged.
func compareRows(kept, want *table.Table) (fault string, err error) {
	keys, err := want.Prefix("")
	if err != nil {
		return "", err
	}
	rows := map[string][]byte{}
	for _, key := range keys {
		if rows[key], _, err = want.Get(key); err != nil {
			return "", err
		}
	}
	err = kept.Scan(nil, func(key, value []byte) bool {
		w, ok := rows[string(key)]
		switch {
		case !ok:
			fault = fmt.Sprintf("key %.100q has value %.100q, and nothing by the input", key, value)
		case !bytes.Equal(w, value):
			fault = fmt.Sprintf("key %.100q has value %.100q, and by the input %.100q", key, value, w)
		}
		delete(rows, string(key))
		return fault == ""
	})
	if err == nil && fault == "" && len(rows) > 0 {
		fault = fmt.Sprintf("%d rows are missing", len(rows))
	}
	return fault, err
}
