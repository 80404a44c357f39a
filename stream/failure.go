package stream

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/task"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// ErrStepFailed is what a processor with the policy [StopOnFailed] stops with.
// The error that wraps it names the record and the step's own error.
var ErrStepFailed = task.ErrStopped

// Undecodable marks the error of a step that decodes values itself, which is
// then counted like that of a codec: the record is not what its topic should
// hold.
func Undecodable(err error) error { return &task.Undecodable{Err: err} }

// policy is the policy as tasks take it.
func (f OnFailure) policy() task.Policy {
	switch f {
	case SkipFailed:
		return task.Skip
	case StopOnFailed:
		return task.Stop
	}
	return task.DeadLetter
}

// failure is what all threads do about records whose step fails.
func (o *ProcessorOptions) failure(g *GroupGraph) task.Failure {
	r := &failureReport{logger: o.Logger, bad: newBadRecords(o.Metrics, g.Group())}
	return task.Failure{Topic: topology.DeadTopic(g.Group()), Report: r.report}
}

// A failureReport counts the records that were set aside, and logs the first
// few, and then each power of ten, so that bad input cannot flood the log.
type failureReport struct {
	logger           *slog.Logger
	bad              *badRecords
	failures, panics atomic.Int64
}

// report is called by all threads. It does not log the record itself.
func (r *failureReport) report(p record.Partition, offset int64, err error) {
	r.bad.add(p.Topic, task.Reason(err))
	level, count, what := slog.LevelWarn, &r.failures, "a step failed, its record is set aside"
	var stack []slog.Attr
	var panicked *task.Panic
	if errors.As(err, &panicked) {
		level, count, what = slog.LevelError, &r.panics, "a step panicked, its record is set aside"
		stack = append(stack, slog.String("stack", string(panicked.Stack)))
	}
	n := count.Add(1)
	if !telling(n) {
		return
	}
	r.logger.LogAttrs(context.Background(), level, what, append([]slog.Attr{
		slog.String("topic", p.Topic), slog.Int("partition", int(p.Number)), slog.Int64("offset", offset),
		slog.Int64("so_far", n), slog.String("error", task.Brief(err)),
	}, stack...)...)
}

// telling tells whether the nth event of its kind is worth a line.
func telling(n int64) bool {
	if n <= 10 {
		return true
	}
	for n%10 == 0 {
		n /= 10
	}
	return n == 1
}
