package task

import (
	"errors"
	"strings"
	"testing"

	"github.com/tagtide/tagtide/stream/internal/assign"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// letters are the records of a sink's topic.
func letters(t *testing.T, s *Sink, topic string) (all []record.Record) {
	t.Helper()
	s.Each(func(p record.Partition, b *record.Builder) {
		if p.Topic != topic {
			return
		}
		for _, batch := range b.Seal(0, record.NoProducer) {
			r := batch.Reader()
			for r.Next() {
				all = append(all, *r.Record())
			}
			if r.Err() != nil {
				t.Fatal(r.Err())
			}
		}
	})
	return all
}

func header(r record.Record, key string) string {
	var values []string
	for _, h := range r.Headers {
		if h.Key == key {
			values = append(values, string(h.Value))
		}
	}
	return strings.Join(values, ",")
}

// newTask is a task of one source that emits to topics "out" and "dead".
func newTask(step Step) (*Task, *Sink) {
	sink := NewSink(map[string]Topic{"out": {Partitions: 2}, "dead": {Partitions: 1}}, nil, nil)
	source := Source{Partition: record.Partition{Topic: "in"}, Handler: Handler{Step: step}}
	return New(assign.Task{}, []Source{source}, nil, Failure{Topic: "dead"}, sink), sink
}

func TestAnOversizedEmissionIsADeadLetterAndNothingElse(t *testing.T) {
	task, sink := newTask(func(c *Context) error {
		return errors.Join(
			c.Sink().Emit("out", nil, []byte("before"), 0, nil),
			c.Sink().Emit("out", c.rec.Key, make([]byte, MaxRecord), 0, nil),
		)
	})
	if err := task.Step(0, &record.Record{Key: []byte("k"), Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if got := letters(t, sink, "out"); len(got) > 0 {
		t.Errorf("%d records were emitted", len(got))
	}
	dead := letters(t, sink, "dead")
	if len(dead) != 1 || string(dead[0].Value) != "v" || !strings.Contains(header(dead[0], "error"), "8388608") {
		t.Errorf("dead letters: %v", dead)
	}
}

func TestADeadLetterIsNeverTooLarge(t *testing.T) {
	big := make([]byte, MaxRecord)
	long := errors.New(strings.Repeat("ä", 1e6))
	const at = 1586000000123
	for dropped, r := range map[string]record.Record{
		"":                  {Key: []byte("k"), Value: big[:MaxRecord/2], Headers: []record.Header{{Key: "own"}}},
		"value":             {Key: []byte("k"), Value: big, Headers: []record.Header{{Key: "own"}}},
		"value,headers":     {Key: []byte("k"), Value: big, Headers: []record.Header{{Key: "own", Value: big}}},
		"value,headers,key": {Key: big, Value: big, Headers: []record.Header{{Key: "own", Value: big}}},
	} {
		r.Timestamp = at
		task, sink := newTask(func(*Context) error { return long })
		if err := task.Step(0, &r); err != nil {
			t.Fatal(err)
		}
		dead := letters(t, sink, "dead")
		if len(dead) != 1 || header(dead[0], "dropped") != dropped || len(header(dead[0], "error")) != maxErrorText || header(dead[0], "timestamp") != "1586000000123" {
			t.Errorf("%d dead letters without %q, want one without %q", len(dead), header(dead[0], "dropped"), dropped)
		}
		if sizeOf(dead[0].Key, dead[0].Value, dead[0].Headers) > MaxRecord {
			t.Error("the dead letter is too large")
		}
	}
}

func TestReasonsAreTold(t *testing.T) {
	for want, step := range map[string]Step{
		ReasonDecode: func(*Context) error { return &Undecodable{errors.New("not JSON")} },
		ReasonSize:   func(c *Context) error { return c.Sink().Emit("out", nil, make([]byte, MaxRecord+1), 0, nil) },
		ReasonPanic:  func(*Context) error { panic("what now") },
		ReasonStep:   func(*Context) error { return errors.New("no") },
	} {
		for _, policy := range []Policy{DeadLetter, Skip} {
			task, sink := newTask(step)
			var got []string
			task.Sources[0].Policy = policy
			task.Failure.Report = func(_ record.Partition, _ int64, err error) { got = append(got, Reason(err)) }
			if err := task.Step(0, &record.Record{}); err != nil || len(got) != 1 || got[0] != want {
				t.Errorf("reported %v, %v; want one of %s", got, err, want)
			}
			if n := len(letters(t, sink, "dead")); n != int(task.Stats().Dead) || n+int(task.Stats().Skipped) != 1 {
				t.Errorf("policy %d: %d dead letters, %+v", policy, n, task.Stats())
			}
		}
	}
}

func TestStopNamesTheRecordAndUndoesTheStep(t *testing.T) {
	cause := errors.New("no")
	task, sink := newTask(func(c *Context) error {
		return errors.Join(c.Sink().Emit("out", nil, []byte("v"), 0, nil), cause)
	})
	task.Sources[0].Policy = Stop
	err := task.Step(0, &record.Record{Offset: 7})
	if !errors.Is(err, ErrStopped) || !errors.Is(err, cause) || !strings.HasPrefix(err.Error(), "in partition 0 offset 7: ") {
		t.Errorf("got %v", err)
	}
	if n := len(letters(t, sink, "out")) + len(letters(t, sink, "dead")); n != 0 || task.Next(0) != 0 {
		t.Errorf("%d records were written, and the position is %d", n, task.Next(0))
	}
}

func TestATopicThatTheGroupDoesNotKnowIsFatal(t *testing.T) {
	for _, key := range [][]byte{nil, []byte("k")} {
		task, _ := newTask(func(c *Context) error { return c.Sink().Emit("elsewhere", key, nil, 0, nil) })
		var fatal *Fatal
		if err := task.Step(0, &record.Record{}); !errors.As(err, &fatal) || !strings.Contains(err.Error(), "elsewhere") {
			t.Errorf("got %v", err)
		}
	}
}
