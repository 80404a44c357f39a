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
	sink := NewSink(map[string]int32{"out": 2, "dead": 1}, nil)
	source := Source{Partition: record.Partition{Topic: "in"}, Step: step}
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
	for dropped, r := range map[string]record.Record{
		"":                  {Key: []byte("k"), Value: big[:MaxRecord/2], Headers: []record.Header{{Key: "own"}}},
		"value":             {Key: []byte("k"), Value: big, Headers: []record.Header{{Key: "own"}}},
		"value,headers":     {Key: []byte("k"), Value: big, Headers: []record.Header{{Key: "own", Value: big}}},
		"value,headers,key": {Key: big, Value: big, Headers: []record.Header{{Key: "own", Value: big}}},
	} {
		task, sink := newTask(func(*Context) error { return long })
		if err := task.Step(0, &r); err != nil {
			t.Fatal(err)
		}
		dead := letters(t, sink, "dead")
		if len(dead) != 1 || header(dead[0], "dropped") != dropped || len(header(dead[0], "error")) != maxErrorText {
			t.Errorf("%d dead letters without %q, want one without %q", len(dead), header(dead[0], "dropped"), dropped)
		}
		if sizeOf(dead[0].Key, dead[0].Value, dead[0].Headers) > MaxRecord {
			t.Error("the dead letter is too large")
		}
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
