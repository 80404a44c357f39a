package instance

import (
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream/internal/assign"
	"github.com/tagtide/tagtide/stream/internal/log"
)

func tasks(partitions ...int32) (ts []assign.Task) {
	for _, p := range partitions {
		ts = append(ts, assign.Task{Partition: p})
	}
	return ts
}

// member is one that knows of so many partitions.
func member(id string, knows int32, owns ...int32) log.MemberInfo {
	order := assign.EncodeOrder(assign.Order{Tasks: tasks(owns...), Partitions: []int32{knows}})
	return log.MemberInfo{ID: id, Assignment: order, Metadata: assign.EncodeReport(assign.Report{
		Owns: tasks(owns...), Seen: assign.Sum(order), Partitions: []int32{knows},
	})}
}

func TestNothingMovesWhileAMemberIsNotUnderstood(t *testing.T) {
	strange := member("strange", 5, 2, 3)
	strange.Metadata = []byte{99}
	members := []log.MemberInfo{member("a", 5, 0, 1), member("b", 5), strange}
	plan := divide(members, assign.Group{})
	for _, m := range members {
		if got := string(plan[m.ID]); got != string(m.Assignment) {
			t.Errorf("%s is given %q, want %q as before", m.ID, got, m.Assignment)
		}
	}

	given := map[assign.Task]bool{}
	for id, data := range divide(members[:2], assign.Group{}) {
		order, err := assign.DecodeOrder(data)
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		for _, task := range order.Tasks {
			given[task] = true
		}
	}
	if len(given) != 5 {
		t.Errorf("%d tasks are given out when it has left, want all 5", len(given))
	}
}

func TestATaskOfTwoMembersIsTakenFromBothWhileOneIsNotUnderstood(t *testing.T) {
	strange := log.MemberInfo{ID: "strange", Metadata: []byte{99}}
	plan := divide([]log.MemberInfo{member("a", 2, 0, 1), member("b", 2, 1), strange}, assign.Group{})
	for id, want := range map[string]assign.Order{
		"a": {Tasks: tasks(0), Release: tasks(1), Partitions: []int32{2}},
		"b": {Release: tasks(1), Partitions: []int32{2}},
	} {
		if got := string(plan[id]); got != string(assign.EncodeOrder(want)) {
			t.Errorf("%s is given %q, want %v", id, got, want)
		}
	}
}

func TestATaskOfAnotherGraphIsAnError(t *testing.T) {
	i := New(Config{Group: "g", Shape: assign.Group{Tasks: tasks(0, 1)}, Logger: slog.New(slog.DiscardHandler)})
	order := assign.EncodeOrder(assign.Order{Tasks: []assign.Task{{Sub: 7}}})
	if err := i.take(log.Claim{Assignment: order}); err == nil || !strings.Contains(err.Error(), "7_0") {
		t.Errorf("got %v, want an error that names the task", err)
	}
}

// given are all tasks that a plan gives to each.
func given(t *testing.T, plan map[string][]byte) map[string][]assign.Task {
	t.Helper()
	all := map[string][]assign.Task{}
	for id, data := range plan {
		order, err := assign.DecodeOrder(data)
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		all[id] = order.Tasks
	}
	return all
}

// Of partitions that were added members learn at different times, the leader
// perhaps last. Nobody is given what he does not know of, and who owns something
// keeps it.
func TestNothingMovesUntilAllKnowOfAllPartitions(t *testing.T) {
	for name, c := range map[string]struct {
		members []log.MemberInfo
		want    map[string][]assign.Task
	}{
		"one has found more":   {[]log.MemberInfo{member("a", 4, 0), member("b", 2, 1)}, map[string][]assign.Task{"a": tasks(0), "b": tasks(1)}},
		"one has more already": {[]log.MemberInfo{member("a", 4, 0, 2, 3), member("b", 2, 1)}, map[string][]assign.Task{"a": tasks(0, 2, 3), "b": tasks(1)}},
		"one is new":           {[]log.MemberInfo{member("a", 4, 0, 1, 2, 3), member("b", 2)}, map[string][]assign.Task{"a": tasks(0, 1, 2, 3), "b": nil}},
		"all know":             {[]log.MemberInfo{member("a", 4, 0), member("b", 4, 1)}, map[string][]assign.Task{"a": tasks(0, 2), "b": tasks(1, 3)}},
	} {
		plan := divide(c.members, assign.Group{Tasks: tasks(0, 1)})
		if got := given(t, plan); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		for id, data := range plan {
			if o, _ := assign.DecodeOrder(data); !slices.Equal(o.Partitions, []int32{4}) {
				t.Errorf("%s: %s is told of %v partitions, want 4", name, id, o.Partitions)
			}
		}
	}
}

// What somebody does not know of yet he declines, and looks for at once.
func TestATaskOfAnUnknownPartitionIsDeclined(t *testing.T) {
	i := New(Config{Group: "g", Shape: assign.Group{Tasks: tasks(0, 1)}, Logger: slog.New(slog.DiscardHandler)})
	i.lookAt = time.Unix(9, 0)
	order := assign.Order{Tasks: tasks(0, 2), Follow: tasks(1, 3), WarmUps: tasks(3), Partitions: []int32{4}}
	if err := i.decline(&order); err != nil {
		t.Fatal(err)
	}
	want := assign.Order{Tasks: tasks(0), Follow: tasks(1), WarmUps: []assign.Task{}, Partitions: []int32{4}}
	if !reflect.DeepEqual(order, want) || !i.lookAt.IsZero() {
		t.Errorf("it takes %v and looks at %v, want %v and at once", order, i.lookAt, want)
	}
}

// Who comes back under its name may be given what was given to it before: then
// it knows more than who planned that, and asks for another plan.
func TestAnOrderThatKnowsOfTooFewPartitionsIsNotTheLast(t *testing.T) {
	for knows, want := range map[int32]bool{1: true, 2: false, 3: false} {
		i := New(Config{Group: "g", Shape: assign.Group{Tasks: tasks(0, 1)}, Logger: slog.New(slog.DiscardHandler)})
		order := assign.Order{Tasks: tasks(0), Partitions: []int32{knows}}
		if err := i.decline(&order); err != nil || i.grew != want {
			t.Errorf("an order of %d partitions: it asks again is %t, %v; want %t", knows, i.grew, err, want)
		}
	}
}
