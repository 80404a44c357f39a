package stream

import (
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// A watched view is one that is driven, and what it told of.
type watched struct {
	*testing.T
	view   *View[int64]
	driver *ViewDriver
	told   map[Change[int64]]int
	now    time.Time
}

func watch(t *testing.T, l *Log, s *State, g *GroupGraph) *watched {
	t.Helper()
	w := &watched{T: t, told: map[Change[int64]]int{}, now: noon}
	v, err := NewView(l, "g-totals-table", codec.Int64, ViewOptions[int64]{State: s, Of: g, Changed: func(changes []Change[int64]) error {
		for _, c := range changes {
			c.Key = string(append([]byte{}, c.Key...))
			w.told[c]++
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.view, w.driver = v, v.Driver()
	w.steps()
	return w
}

// steps steps until nothing happens.
func (w *watched) steps() {
	w.Helper()
	for busy := true; busy; {
		var err error
		if busy, err = w.driver.Step(w.Context(), w.now); err != nil {
			w.Fatal(err)
		}
	}
}

func (w *watched) lag(want int64) {
	w.Helper()
	if got, err := w.driver.Lag(w.Context()); err != nil || got != want {
		w.Errorf("lag is %d, %v; want %d", got, err, want)
	}
}

func grow(t *testing.T, l *Log, topic string, n int32) {
	t.Helper()
	if err := l.keeper.AddPartitions(t.Context(), topic, n); err != nil {
		t.Fatal(err)
	}
}

// A view has what is written to partitions that were added; until it follows
// them its lag says that something is missing, and so it does for partitions of
// the input that the group does not count yet.
func TestAViewFollowsAddedPartitions(t *testing.T) {
	l, s := memoryLog(t, nil), MemoryState()
	g, _ := counted(t, l)
	put(t, l, "g-totals-table", 1, noon, "posts", "7")
	w := watch(t, l, s, g)
	w.lag(0)

	grow(t, l, "in", 4)
	put(t, l, "in", 3, noon, "k", "v")
	w.lag(1)
	grow(t, l, "g-totals-table", 4)
	put(t, l, "g-totals-table", 3, noon, "posts", "5")
	w.steps()
	w.lag(2)
	if !w.driver.Recovered() {
		t.Error("it has not recovered any more")
	}
	w.now = w.now.Add(2 * time.Second)
	w.steps()
	w.lag(1)
	want := Change[int64]{Key: "posts", Value: 5, Partition: 3}
	if w.told[want] != 1 {
		t.Errorf("told of %v, want %v once", w.told, want)
	}
	if err := w.driver.Close(); err != nil {
		t.Fatal(err)
	}

	again := watch(t, l, s, g)
	defer again.driver.Close()
	if p := again.driver.follower.Progress(); p.Done > 0 || again.told[want] != 1 {
		t.Errorf("at the next start it reads %d records again, and tells of %v", p.Done, again.told)
	}
}

// A topic of the same name that was made anew is none that has grown.
func TestAViewDoesNotTakeAnotherTopicForAGrownOne(t *testing.T) {
	l := memoryLog(t, nil)
	g, _ := counted(t, l)
	w := watch(t, l, MemoryState(), g)
	defer w.driver.Close()
	if err := l.keeper.DeleteTopic(t.Context(), "g-totals-table"); err != nil {
		t.Fatal(err)
	}
	if err := l.keeper.CreateTopic(t.Context(), log.Topic{Name: "g-totals-table", Partitions: 4, Cleanup: log.Compact}); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(2 * time.Second)
	if found, err := w.driver.follower.Look(t.Context(), w.now); found || err != nil || len(w.driver.follower.Progress().Next) != 2 {
		t.Errorf("it follows %d partitions, %v", len(w.driver.follower.Progress().Next), err)
	}
}

// A check looks at tables whose rows belong to partitions, however many there
// are by now.
func TestACheckLooksAtTablesThatHaveGrown(t *testing.T) {
	l, s := memoryLog(t, nil), MemoryState()
	g, _ := counted(t, l)
	put(t, l, "g-totals-table", 1, noon, "posts", "7")
	w := watch(t, l, s, g)
	grow(t, l, "g-totals-table", 4)
	if err := w.driver.Close(); err != nil {
		t.Fatal(err)
	}
	infos, err := s.tables.Tables()
	if err != nil || len(infos) != 2 {
		t.Fatalf("%v, %v", infos, err)
	}
	kept, err := s.tables.Open(infos[1].Changelog, infos[1].Identity)
	if err != nil {
		t.Fatal(err)
	}
	wrong := store.Change{Table: kept, Entries: []store.Entry{{Key: []byte("posts"), Value: []byte("8")}}, Checkpoint: infos[1].Checkpoint}
	if err := s.tables.Apply([]store.Change{wrong}, true); err != nil {
		t.Fatal(err)
	}
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}
	faults := 0
	findings, err := CheckState(t.Context(), l, s, g)
	for _, f := range findings {
		if f.Fault != "" {
			faults++
		}
	}
	if err != nil || faults != 1 {
		t.Errorf("%v, %v: want one fault", findings, err)
	}
}
