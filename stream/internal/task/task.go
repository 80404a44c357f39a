// Package task is the heart of a group, as a pure machine: a record in,
// effects out. It knows no clock, no network and no disk; what it reads of
// tables comes through package table, and what it did lies in stages and in a
// Sink until a commit takes it or a failure drops it.
//
//	record ─▶ Step ─┬─▶ table stages      (changelog records at the commit)
//	                ├─▶ Sink: loop, outputs, dead letters
//	                └─▶ position           (of the input)
//
// Invariant: the effects of a record are all there or none. A step that fails
// leaves nothing behind but what its policy says.
package task

import (
	"fmt"
	"runtime/debug"

	"github.com/tagtide/tagtide/stream/internal/assign"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/table"
)

// A Step handles one record.
type Step func(*Context) error

// A Lookup reads a key of a table that the task does not own. It must be safe
// for concurrent use.
type Lookup func(key string) (value []byte, ok bool, err error)

// A Handler is what becomes of a source's records.
type Handler struct {
	Step   Step
	Policy Policy // for records whose step fails
	// Dead and Skipped, if set, are stepped in the place of a record whose step
	// failed, by what became of it. They should not fail.
	Dead, Skipped Step
}

// A Source is what a task reads: one partition of an input or of the loop.
type Source struct {
	Partition record.Partition
	Handler
	// Folded, if set, is the table that is made of this source's records alone.
	Folded *table.Table
	// next is the position behind the last record handled.
	next int64
}

// A Task steps the records of its sources, one at a time, in the order it is
// given them. It belongs to one goroutine.
type Task struct {
	ID      assign.Task
	Sources []Source
	// Tables by their index in the topology; nil where the task has none.
	Tables []*table.Table
	// Lookups by their index in the topology.
	Lookups []Lookup
	Failure Failure

	ctx     Context
	stats   Stats
	refolds bool
}

// Stats count what a task did, also what was dropped later.
type Stats struct {
	Records int64
	Skipped int64
	Dead    int64
}

// New returns a task that emits to sink.
func New(id assign.Task, sources []Source, tables []*table.Table, f Failure, sink *Sink) *Task {
	t := &Task{ID: id, Sources: sources, Tables: tables, Failure: f}
	t.ctx = Context{task: t, sink: sink}
	return t
}

// Refold returns a task that does nothing with the records of a source but fold
// them into its table once more: what else their steps write goes nowhere, and
// all else that they read is empty. What fails has failed before.
func Refold(id assign.Task, s Source, index int) *Task {
	tables := make([]*table.Table, index+1)
	tables[index] = s.Folded
	if s.Policy == Stop {
		s.Policy = Skip
	}
	t := New(id, []Source{s}, tables, Failure{}, &Sink{mute: true})
	t.refolds = true
	return t
}

// Next returns the position of a source: behind the last record handled.
func (t *Task) Next(source int) int64 { return t.Sources[source].next }

// Seek sets where a source goes on.
func (t *Task) Seek(source int, next int64) { t.Sources[source].next = next }

// Stats returns what the task did so far.
func (t *Task) Stats() Stats { return t.stats }

// Into makes the task emit to another sink from now on.
func (t *Task) Into(s *Sink) { t.ctx.sink = s }

// Step handles one record of a source. An error stops the task: its effects
// are undone, and nothing more may be stepped.
func (t *Task) Step(source int, r *record.Record) error {
	s := &t.Sources[source]
	t.ctx.begin(s, r)
	if err := call(s.Step, &t.ctx); err != nil {
		t.ctx.rollback()
		if err := t.fail(s, r, err); err != nil {
			return err
		}
	}
	s.next = r.Offset + 1
	t.stats.Records++
	return nil
}

// call turns a panic of a step into an error.
func call(step Step, c *Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Panic{Value: p, Stack: debug.Stack()}
		}
	}()
	return step(c)
}

// Visit runs a step on a key of the task, without a record.
func (t *Task) Visit(step Step, key string, timestamp int64) error {
	t.ctx.visit(key, timestamp)
	if err := call(step, &t.ctx); err != nil {
		t.ctx.rollback()
		return fmt.Errorf("visit of key %.100q: %w", key, err)
	}
	return nil
}

// fail applies the policy to a record whose step failed.
func (t *Task) fail(s *Source, r *record.Record, cause error) error {
	if s.Policy == Stop && !isFatal(cause) {
		cause = fmt.Errorf("%w: %w", ErrStopped, cause)
	}
	if s.Policy == Stop || isFatal(cause) {
		return fmt.Errorf("%s partition %d offset %d: %w", s.Partition.Topic, s.Partition.Number, r.Offset, cause)
	}
	if t.Failure.Report != nil {
		t.Failure.Report(s.Partition, r.Offset, cause)
	}
	t.ctx.begin(s, r)
	if err := t.setAside(s, r, cause); err != nil {
		t.ctx.rollback()
		return fmt.Errorf("set aside %s partition %d offset %d: %w", s.Partition.Topic, s.Partition.Number, r.Offset, err)
	}
	return nil
}

// setAside makes a record a dead letter, or leaves it out.
func (t *Task) setAside(s *Source, r *record.Record, cause error) error {
	instead := s.Skipped
	if s.Policy == Skip {
		t.stats.Skipped++
	} else {
		t.stats.Dead++
		if err := t.ctx.sink.dead(t.Failure.Topic, s.Partition, r, cause); err != nil {
			return err
		}
		instead = s.Dead
	}
	if instead == nil {
		return nil
	}
	return call(instead, &t.ctx)
}
