package stream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/thread"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// A beginning decides where a group begins that has never committed anything,
// if that is not with the oldest records: for all partitions at once, before its
// first member joins. From then on a partition without a position is one that
// was added, and is handled from its first record on.
//
// Several instances may begin at once. They share a transactional id, so that
// only the one who took it over last can commit, and he has read the positions
// after that: whoever was before him has committed and is seen, or never will.
// And a group that has members takes no positions from anybody else.
type beginning struct {
	log    log.Log
	graph  *topology.Topology
	start  thread.Start
	topics *thread.Topics
}

// beginPause is between two tries to begin.
const beginPause = 50 * time.Millisecond

// run returns when the group has begun, or ctx ends.
func (b *beginning) run(ctx context.Context) error {
	if b.start == (thread.Start{}) {
		return nil
	}
	for {
		err := b.try(ctx)
		switch {
		case err == nil, errors.Is(err, log.ErrGeneration): // others have begun
			return nil
		case ctx.Err() != nil:
			return nil
		case !slices.ContainsFunc([]error{log.ErrUnavailable, log.ErrUnstable, log.ErrFenced, log.ErrInDoubt}, func(e error) bool { return errors.Is(err, e) }):
			return fmt.Errorf("decide where group %s begins: %w", b.graph.Group, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(beginPause):
		}
	}
}

func (b *beginning) try(ctx context.Context) error {
	p, err := b.log.Producer(ctx, b.graph.Group+"-begin")
	if err != nil {
		return err
	}
	defer p.Close()
	if begun, err := b.begun(ctx); err != nil || begun {
		return err
	}
	positions, err := b.positions(ctx)
	if err != nil {
		return err
	}
	writes := b.writes(positions)
	for _, changelog := range b.changelogs() {
		positions[changelog] = 0 // what tasks commit of one they have not written
	}
	_, err = p.Commit(ctx, &log.Txn{Writes: writes, Positions: positions, Claim: log.GroupClaim{Group: b.graph.Group, Generation: -1}})
	return err
}

// writes tell whoever makes a folded table again where its input begins for the
// group: it commits other positions later.
func (b *beginning) writes(positions map[record.Partition]int64) (writes []log.Write) {
	for _, t := range b.graph.Tables {
		for input, next := range positions {
			if input.Topic != t.Fold.Input {
				continue
			}
			r := &record.Builder{}
			r.Append(0, []byte(thread.BeganKey), strconv.AppendInt(nil, next, 10))
			writes = append(writes, log.Write{Partition: record.Partition{Topic: t.Topic, Number: input.Number}, Records: r})
		}
	}
	return writes
}

// begun tells whether the group has committed anything. Tables without positions
// are no beginning either: tasks will tell that those are lost.
func (b *beginning) begun(ctx context.Context) (bool, error) {
	var sources, tables []record.Partition
	for _, s := range b.graph.Sources {
		sources = append(sources, b.all(s.Topic)...)
	}
	for _, t := range b.graph.Tables {
		if t.Owned {
			tables = append(tables, b.all(t.Topic)...)
		}
	}
	committed, err := b.log.Positions(ctx, b.graph.Group, sources...)
	if err != nil || len(committed) > 0 || len(tables) == 0 {
		return len(committed) > 0, err
	}
	ends, err := b.log.Ends(ctx, tables...)
	if err != nil {
		return false, err
	}
	first, err := b.log.PositionAt(ctx, math.MinInt64, tables...)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(tables, func(p record.Partition) bool { return first[p] < ends[p].End }), nil
}

// positions are where the inputs begin.
func (b *beginning) positions(ctx context.Context) (map[record.Partition]int64, error) {
	var inputs []record.Partition
	for _, s := range b.graph.Sources {
		if !s.Loop {
			inputs = append(inputs, b.all(s.Topic)...)
		}
	}
	if !b.start.At.IsZero() {
		return b.log.PositionAt(ctx, b.start.At.UnixMilli(), inputs...)
	}
	ends, err := b.log.Ends(ctx, inputs...)
	positions := map[record.Partition]int64{}
	for p, r := range ends {
		positions[p] = r.Stable
	}
	return positions, err
}

// changelogs of the group's tables.
func (b *beginning) changelogs() (ps []record.Partition) {
	for _, t := range b.graph.Tables {
		if t.Logged() {
			ps = append(ps, b.all(t.Topic)...)
		}
	}
	return ps
}

func (b *beginning) all(topic string) (ps []record.Partition) {
	for n := range b.topics.Get(topic).Partitions {
		ps = append(ps, record.Partition{Topic: topic, Number: n})
	}
	return ps
}
