package instance

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/tagtide/tagtide/stream/internal/assign"
	"github.com/tagtide/tagtide/stream/internal/log"
)

func tasks(partitions ...int32) (ts []assign.Task) {
	for _, p := range partitions {
		ts = append(ts, assign.Task{Partition: p})
	}
	return ts
}

func shape(partitions ...int32) assign.Group { return assign.Group{Tasks: tasks(partitions...)} }

func member(id string, owns ...int32) log.MemberInfo {
	order := assign.EncodeOrder(assign.Order{Tasks: tasks(owns...)})
	return log.MemberInfo{ID: id, Assignment: order, Metadata: assign.EncodeReport(assign.Report{Owns: tasks(owns...), Seen: assign.Sum(order)})}
}

func TestNothingMovesWhileAMemberIsNotUnderstood(t *testing.T) {
	strange := member("strange", 2, 3)
	strange.Metadata = []byte{99}
	members := []log.MemberInfo{member("a", 0, 1), member("b"), strange}
	plan := divide(members, shape(0, 1, 2, 3, 4))
	for _, m := range members {
		if got := string(plan[m.ID]); got != string(m.Assignment) {
			t.Errorf("%s is given %q, want %q as before", m.ID, got, m.Assignment)
		}
	}

	given := map[assign.Task]bool{}
	for id, data := range divide(members[:2], shape(0, 1, 2, 3, 4)) {
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
	plan := divide([]log.MemberInfo{member("a", 0, 1), member("b", 1), strange}, shape(0, 1))
	for id, want := range map[string]assign.Order{
		"a": {Tasks: tasks(0), Release: tasks(1)},
		"b": {Release: tasks(1)},
	} {
		if got := string(plan[id]); got != string(assign.EncodeOrder(want)) {
			t.Errorf("%s is given %q, want %v", id, got, want)
		}
	}
}

func TestATaskOfAnotherGraphIsAnError(t *testing.T) {
	i := &Instance{cfg: Config{Group: "g", Shape: shape(0, 1), Logger: slog.New(slog.DiscardHandler)}}
	order := assign.EncodeOrder(assign.Order{Tasks: []assign.Task{{Sub: 7}}})
	if err := i.take(log.Claim{Assignment: order}); err == nil || !strings.Contains(err.Error(), "7_0") {
		t.Errorf("got %v, want an error that names the task", err)
	}
}
