package stream

import (
	"strings"
	"testing"

	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// counting is a group with a loop and a table.
func counting() *GroupGraph {
	counts := Persist(codec.Int64)
	loop := Loop(codec.Int64, func(ctx Context, n int64) error { return counts.SetValue(ctx, n) }, counts)
	return DefineGroup("counting", Input("in", codec.String, func(ctx Context, v string) error { return loop.Loopback(ctx, v, 1) }), loop)
}

// refused starts the group and returns why it does not run.
func refused(t *testing.T, l *Log, s *State) string {
	t.Helper()
	_, err := NewDriver(t.Context(), l, counting(), ProcessorOptions{State: s, Threads: 1, Partitions: 4})
	if err == nil {
		t.Fatal("it runs")
	}
	return err.Error()
}

// Compaction keeps the last of the deltas of a key, and counts need them all.
func TestACompactedLoopIsRefused(t *testing.T) {
	l := memoryLog(t, nil)
	if err := l.keeper.CreateTopic(t.Context(), log.Topic{Name: "counting-loop", Partitions: 4, Cleanup: log.Compact}); err != nil {
		t.Fatal(err)
	}
	if why := refused(t, l, MemoryState()); !strings.Contains(why, "counting-loop") || !strings.Contains(why, "cleanup.policy=delete") {
		t.Errorf("%s: it does not name the topic and what to do", why)
	}
}

// Where partitions were added keys have moved, and their counts have not.
func TestAddedPartitionsAreRefused(t *testing.T) {
	l, s := memoryLog(t, nil), MemoryState()
	if err := l.keeper.CreateTopic(t.Context(), log.Topic{Name: "counting-table", Partitions: 4, Cleanup: log.Compact}); err != nil {
		t.Fatal(err)
	}
	topics, err := l.keeper.Topics(t.Context(), "counting-table")
	if err != nil {
		t.Fatal(err)
	}
	before := store.Identity{LogID: l.keeper.ID(), TopicID: topics[0].ID, Partitions: 3, Partitioner: record.FNV.String()}
	old, err := s.tables.Open(record.Partition{Topic: "counting-table"}, before)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if why := refused(t, l, s); !strings.Contains(why, "has 4 partitions") || !strings.Contains(why, "had 3") || !strings.Contains(why, "counting-table") {
		t.Errorf("%s: it does not name the topic and both numbers", why)
	}
}
