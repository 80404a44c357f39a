package assign_test

import (
	"fmt"
	"testing"

	"github.com/tagtide/tagtide/stream/internal/assign"
)

func partitions(n int32) (tasks []assign.Task) {
	for p := range n {
		tasks = append(tasks, assign.Task{Partition: p})
	}
	return tasks
}

func lags(tasks []assign.Task, lag int64) map[assign.Task]int64 {
	m := map[assign.Task]int64{}
	for _, t := range tasks {
		m[t] = lag
	}
	return m
}

func stateful(assign.Task) bool { return true }

func TestATaskThatTwoClaimGoesToNeither(t *testing.T) {
	task := assign.Task{}
	plan := assign.Plan([]assign.Member{{ID: "a", Owns: []assign.Task{task}}, {ID: "b", Owns: []assign.Task{task}}}, assign.Group{Tasks: []assign.Task{task}})
	if len(plan["a"].Tasks)+len(plan["b"].Tasks) != 0 {
		t.Errorf("plan %v", plan)
	}
}

// One joins without tables: nothing moves until it has copied some.
func TestAMemberWithoutTablesWarmsUpFirst(t *testing.T) {
	g := assign.Group{Tasks: partitions(6), Stateful: stateful, WarmUps: 2, Near: 10}
	a := assign.Member{ID: "a", Owns: g.Tasks, Lags: lags(g.Tasks, 0)}
	b := assign.Member{ID: "b", Lags: lags(g.Tasks, 1000)}
	plan := assign.Plan([]assign.Member{a, b}, g)
	if len(plan["a"].Release) != 0 || len(plan["b"].WarmUps) != 2 || len(plan["b"].Tasks) != 0 {
		t.Fatalf("plan %v", plan)
	}
	b.Follows = plan["b"].Follow
	for _, task := range b.Follows {
		b.Lags[task] = 3
	}
	plan = assign.Plan([]assign.Member{a, b}, g)
	if got, want := fmt.Sprint(plan["a"].Release), fmt.Sprint(b.Follows); got != want || len(plan["b"].WarmUps) != 1 {
		t.Errorf("caught up with %s, but released are %s, and warmed up %v", want, got, plan["b"].WarmUps)
	}
}

// The owner dies: its standby takes over, also if that is more than its share,
// and the third, which should have half of it, warms up.
func TestAStandbyTakesOver(t *testing.T) {
	g := assign.Group{Tasks: partitions(4), Stateful: stateful, Standbys: 1, WarmUps: 2, Near: 10}
	b := assign.Member{ID: "b", Follows: g.Tasks, Lags: lags(g.Tasks, 0)}
	c := assign.Member{ID: "c"}
	plan := assign.Plan([]assign.Member{b, c}, g)
	if len(plan["b"].Tasks) != 4 || len(plan["c"].WarmUps) != 2 || len(plan["c"].Follow) != 4 {
		t.Errorf("plan %v", plan)
	}
}

func TestMoreMembersThanTasksIdle(t *testing.T) {
	plan := assign.Plan([]assign.Member{{ID: "a"}, {ID: "b"}, {ID: "c"}}, assign.Group{Tasks: partitions(2)})
	if plan["a"].Idle || plan["b"].Idle || !plan["c"].Idle {
		t.Errorf("plan %v", plan)
	}
}

func TestMoreThreadsGetMoreTasks(t *testing.T) {
	plan := assign.Plan([]assign.Member{{ID: "a", Threads: 1}, {ID: "b", Threads: 3}}, assign.Group{Tasks: partitions(8)})
	if len(plan["a"].Tasks) != 2 || len(plan["b"].Tasks) != 6 {
		t.Errorf("plan %v", plan)
	}
}

// Standing, nobody gets or loses anything but what two claim.
func TestStandMovesNothing(t *testing.T) {
	tasks := partitions(4)
	plan := assign.Stand([]assign.Member{
		{ID: "a", Owns: tasks[:2], Follows: tasks[2:3]}, {ID: "b", Owns: tasks[1:3]},
	}, assign.Group{Tasks: tasks, Stateful: stateful, Standbys: 1})
	for id, want := range map[string][]assign.Order{
		"a": {{Tasks: tasks[:1], Release: tasks[1:2], Follow: tasks[2:3]}},
		"b": {{Tasks: tasks[2:3], Release: tasks[1:2]}},
	} {
		got := plan[id]
		got.Hosts = nil
		if fmt.Sprint(got) != fmt.Sprint(want[0]) {
			t.Errorf("%s is given %v, want %v", id, got, want[0])
		}
	}
}
