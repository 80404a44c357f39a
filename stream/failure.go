package stream

import "github.com/tagtide/tagtide/stream/internal/task"

// ErrStepFailed is what a processor with the policy [StopOnFailed] stops with.
// The error that wraps it names the record and the step's own error.
var ErrStepFailed = task.ErrStopped

// Undecodable marks the error of a step that decodes values itself, which is
// then counted like that of a codec: the record is not what its topic should
// hold.
func Undecodable(err error) error { return &task.Undecodable{Err: err} }
