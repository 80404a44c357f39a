package assign_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tagtide/tagtide/stream/internal/assign"
)

// A group is members that do what plans say: they take up what they are given,
// and release what they are not when they get round to it.
type group struct {
	tasks []assign.Task
	owns  map[string][]assign.Task
}

func (g *group) plan() map[string][]assign.Task {
	var members []assign.Member
	for id, owns := range g.owns {
		members = append(members, assign.Member{ID: id, Owns: owns})
	}
	plan := map[string][]assign.Task{}
	for id, order := range assign.Plan(members, g.tasks) {
		plan[id] = order.Tasks
	}
	return plan
}

// obey makes every member release what it was not given, then take up what it was.
func (g *group) obey(plan map[string][]assign.Task) (released bool) {
	for id, owns := range g.owns {
		released = released || slices.ContainsFunc(owns, func(t assign.Task) bool { return !slices.Contains(plan[id], t) })
		g.owns[id] = slices.Clone(plan[id])
	}
	return released
}

// check holds a plan to the package's invariants: nothing is given away while
// somebody has it, and nobody loses a task that balance does not demand.
func (g *group) check(t *rapid.T, plan map[string][]assign.Task) {
	owner := map[assign.Task]string{}
	for id, tasks := range plan {
		for _, task := range tasks {
			if other, twice := owner[task]; twice {
				t.Fatalf("task %s is given to %s and %s", task, other, id)
			}
			owner[task] = id
			for other, owns := range g.owns {
				if other != id && slices.Contains(owns, task) {
					t.Fatalf("task %s is given to %s while %s has it", task, id, other)
				}
			}
		}
	}
	share := len(g.tasks) / len(g.owns)
	for id, owns := range g.owns {
		kept := 0
		for _, task := range owns {
			if owner[task] == id {
				kept++
			}
		}
		if kept < len(owns) && kept < share {
			t.Fatalf("%s had %d tasks and keeps %d, less than its share of %d", id, len(owns), kept, share)
		}
	}
}

func (g *group) balanced(t *rapid.T) {
	least, most, all := len(g.tasks), 0, 0
	for _, owns := range g.owns {
		least, most, all = min(least, len(owns)), max(most, len(owns)), all+len(owns)
	}
	if all != len(g.tasks) || most-least > 1 {
		t.Fatalf("settled with %d of %d tasks owned, %d to %d a member", all, len(g.tasks), least, most)
	}
}

func TestPlansAreSafeStickyAndBalanced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &group{owns: map[string][]assign.Task{}}
		for sub := range rapid.Int32Range(1, 3).Draw(t, "subs") {
			for p := range rapid.Int32Range(1, 8).Draw(t, "partitions") {
				g.tasks = append(g.tasks, assign.Task{Sub: sub, Partition: p})
			}
		}
		joined := 0
		for range rapid.IntRange(1, 8).Draw(t, "changes") {
			if len(g.owns) > 1 && rapid.Bool().Draw(t, "leave") {
				for id := range g.owns {
					delete(g.owns, id)
					break
				}
			} else {
				g.owns[fmt.Sprint("m", joined)] = nil
				joined++
			}
			for round := 0; ; round++ {
				plan := g.plan()
				g.check(t, plan)
				if !g.obey(plan) {
					break
				}
				if round > 2 {
					t.Fatal("tasks are still being taken away after three rounds")
				}
			}
			g.balanced(t)
			if again := g.plan(); !reflect.DeepEqual(again, g.plan()) || g.obey(again) {
				t.Fatal("a plan for a settled group moves tasks")
			}
		}
	})
}

func TestATaskThatTwoClaimGoesToNeither(t *testing.T) {
	task := assign.Task{}
	plan := assign.Plan([]assign.Member{{ID: "a", Owns: []assign.Task{task}}, {ID: "b", Owns: []assign.Task{task}}}, []assign.Task{task})
	if len(plan["a"].Tasks)+len(plan["b"].Tasks) != 0 {
		t.Errorf("plan %v", plan)
	}
}

func drawTasks(t *rapid.T, what string) []assign.Task {
	return rapid.SliceOf(rapid.Custom(func(t *rapid.T) assign.Task {
		return assign.Task{Sub: rapid.Int32Range(0, 1<<31-1).Draw(t, "sub"), Partition: rapid.Int32Range(0, 1<<31-1).Draw(t, "partition")}
	})).Draw(t, what)
}

func TestOrdersAndReportsComeBackFromTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := assign.Order{Tasks: drawTasks(t, "tasks"), Release: drawTasks(t, "release")}
		got, err := assign.DecodeOrder(assign.EncodeOrder(o))
		if err != nil || !slices.Equal(got.Tasks, o.Tasks) || !slices.Equal(got.Release, o.Release) {
			t.Fatalf("%v came back as %v, %v", o, got, err)
		}
		r := assign.Report{Owns: o.Tasks, Seen: rapid.Uint64().Draw(t, "seen")}
		back, err := assign.DecodeReport(assign.EncodeReport(r))
		if err != nil || !slices.Equal(back.Owns, r.Owns) || back.Seen != r.Seen {
			t.Fatalf("%v came back as %v, %v", r, back, err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add(assign.EncodeOrder(assign.Order{Tasks: []assign.Task{{Sub: 1, Partition: 300}}}))
	f.Add(assign.EncodeReport(assign.Report{Owns: []assign.Task{{Sub: 1, Partition: 300}}, Seen: 7}))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := assign.DecodeOrder(data)
		if err != nil && !errors.Is(err, assign.ErrWire) {
			t.Fatalf("%v does not say what is wrong", err)
		}
		if again, err2 := assign.DecodeOrder(assign.EncodeOrder(o)); err == nil && (err2 != nil || !slices.Equal(o.Tasks, again.Tasks)) {
			t.Fatalf("%v came back as %v, %v", o, again, err2)
		}
		if _, err := assign.DecodeReport(data); err != nil && !errors.Is(err, assign.ErrWire) {
			t.Fatalf("%v does not say what is wrong", err)
		}
	})
}
