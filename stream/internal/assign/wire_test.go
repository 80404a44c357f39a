package assign_test

import (
	"errors"
	"maps"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/tagtide/tagtide/stream/internal/assign"
)

func drawTask(t *rapid.T) assign.Task {
	return assign.Task{Sub: rapid.Int32Range(0, 1<<31-1).Draw(t, "sub"), Partition: rapid.Int32Range(0, 1<<31-1).Draw(t, "partition")}
}

// drawTasks never draws an empty list, which comes back as none.
func drawTasks(t *rapid.T, what string) []assign.Task {
	if rapid.Bool().Draw(t, "no "+what) {
		return nil
	}
	return rapid.SliceOfN(rapid.Custom(drawTask), 1, 20).Draw(t, what)
}

// drawCounts never draws an empty list either.
func drawCounts(t *rapid.T) []int32 {
	if rapid.Bool().Draw(t, "no partitions") {
		return nil
	}
	return rapid.SliceOfN(rapid.Int32Range(0, 1<<20), 1, 5).Draw(t, "partitions")
}

func TestOrdersAndReportsComeBackFromTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := assign.Order{
			Tasks: drawTasks(t, "tasks"), Release: drawTasks(t, "release"), Follow: drawTasks(t, "follow"),
			WarmUps: drawTasks(t, "warm-ups"), Partitions: drawCounts(t), Idle: rapid.Bool().Draw(t, "idle"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "hosts") {
			o.Hosts = append(o.Hosts, assign.Host{Instance: rapid.String().Draw(t, "instance"), Endpoint: rapid.String().Draw(t, "endpoint"), Threads: rapid.IntRange(0, 9).Draw(t, "their threads"), Tasks: drawTasks(t, "hosted")})
		}
		if got, err := assign.DecodeOrder(assign.EncodeOrder(o)); err != nil || !reflect.DeepEqual(got, o) {
			t.Fatalf("%v came back as %v, %v", o, got, err)
		}
		r := assign.Report{
			Seen: rapid.Uint64().Draw(t, "seen"), Partitions: drawCounts(t), Owns: o.Tasks, Follows: o.Follow, Threads: rapid.IntRange(0, 99).Draw(t, "threads"),
			Instance: rapid.String().Draw(t, "instance"), Endpoint: rapid.String().Draw(t, "endpoint"),
			Lags: rapid.MapOf(rapid.Custom(drawTask), rapid.Int64Range(0, 1<<63-1)).Draw(t, "lags"),
		}
		back, err := assign.DecodeReport(assign.EncodeReport(r))
		same := maps.Equal(back.Lags, r.Lags)
		if back.Lags = r.Lags; err != nil || !same || !reflect.DeepEqual(back, r) {
			t.Fatalf("%v came back as %v, %v", r, back, err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	task := []assign.Task{{Sub: 1, Partition: 300}}
	f.Add([]byte{})
	f.Add(assign.EncodeOrder(assign.Order{Tasks: task, Follow: task, Hosts: []assign.Host{{Instance: "a", Endpoint: "b:80", Tasks: task}}}))
	f.Add(assign.EncodeReport(assign.Report{Owns: task, Seen: 7, Threads: 2, Instance: "a", Lags: map[assign.Task]int64{task[0]: 9}}))
	f.Add([]byte{3, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := assign.DecodeOrder(data)
		if err != nil && !errors.Is(err, assign.ErrWire) {
			t.Fatalf("%v does not say what is wrong", err)
		}
		if again, err2 := assign.DecodeOrder(assign.EncodeOrder(o)); err == nil && (err2 != nil || !reflect.DeepEqual(o, again)) {
			t.Fatalf("%v came back as %v, %v", o, again, err2)
		}
		r, err := assign.DecodeReport(data)
		if err != nil && !errors.Is(err, assign.ErrWire) {
			t.Fatalf("%v does not say what is wrong", err)
		}
		if again, err2 := assign.DecodeReport(assign.EncodeReport(r)); err == nil && (err2 != nil || !maps.Equal(r.Lags, again.Lags)) {
			t.Fatalf("%v came back as %v, %v", r, again, err2)
		}
	})
}
