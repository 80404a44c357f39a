package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tagtide/tagtide/stream/internal/assign"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// A kept is a table of a task, as it lies in a store.
type kept struct {
	task assign.Task
	next int64 // its position; 0 if it is not there, or not of this log
}

// storeLags tells how many records the tables that lie in a store lack, by task.
// A table that is not there, or not of this changelog, lacks them all.
func storeLags(ctx context.Context, l log.Log, s store.Store, t *topology.Topology, topics map[string]log.Topic) (map[assign.Task]int64, error) {
	tasks, err := groupTasks(t, topics)
	if err != nil {
		return nil, err
	}
	next, err := storePositions(l, s, t, topics)
	if err != nil {
		return nil, err
	}
	lags, subs := map[assign.Task]int64{}, t.Subs()
	logged, folded := map[record.Partition]kept{}, map[record.Partition]kept{} // by what they are made of
	for _, task := range tasks {
		for _, n := range subs[task.Sub].Tables {
			tab, of := t.Tables[n], logged
			if tab.Fold.Input != "" {
				of = folded
			}
			of[record.Partition{Topic: tab.Changelog(), Number: task.Partition}] = kept{task, next[record.Partition{Topic: tab.Topic, Number: task.Partition}]}
			lags[task] = 0
		}
	}
	if err := addLogged(ctx, l, logged, lags); err != nil {
		return nil, err
	}
	return lags, addFolded(ctx, l, t.Group, folded, lags)
}

// storePositions are the positions of the tables in a store, by their names.
func storePositions(l log.Log, s store.Store, t *topology.Topology, topics map[string]log.Topic) (map[record.Partition]int64, error) {
	infos, err := s.Tables()
	if err != nil {
		return nil, fmt.Errorf("list local tables: %w", err)
	}
	next := map[record.Partition]int64{}
	for _, i := range infos {
		if topic := topics[t.ChangelogOf(i.Changelog.Topic)]; i.Identity.LogID == l.ID() && i.Identity.TopicID == topic.ID {
			next[i.Changelog] = i.Checkpoint.Next
		}
	}
	return next, nil
}

// addLogged adds what tables lack of their changelogs.
func addLogged(ctx context.Context, l log.Log, tables map[record.Partition]kept, lags map[assign.Task]int64) error {
	ends, err := l.Ends(ctx, slices.Collect(maps.Keys(tables))...)
	for p, r := range ends {
		lags[tables[p].task] += max(0, r.End-max(r.Start, tables[p].next))
	}
	return err
}

// addFolded adds what tables lack of what the group has handled of their inputs:
// they may know no more.
func addFolded(ctx context.Context, l log.Log, group string, tables map[record.Partition]kept, lags map[assign.Task]int64) error {
	if len(tables) == 0 {
		return nil
	}
	inputs := slices.Collect(maps.Keys(tables))
	ends, err := l.Ends(ctx, inputs...)
	if err != nil {
		return err
	}
	committed, err := l.Positions(ctx, group, inputs...)
	if err != nil && !errors.Is(err, log.ErrUnstable) {
		return err
	}
	for p, at := range tables {
		limit, known := committed[p]
		if !known && at.next == 0 {
			limit = ends[p].Stable // or less, while a commit is under way
		}
		lags[at.task] += max(0, limit-max(ends[p].Start, at.next))
	}
	return nil
}
