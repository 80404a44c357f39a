package thread

import (
	"context"
	"sync"
)

// A Runner runs what may block beside the thread that asked for it. The real
// one starts a goroutine; a simulation keeps the steps and runs each when its
// schedule says so. ctx ends when the instance is torn down.
type Runner interface {
	Go(name string, job *Job, steps ...func(ctx context.Context) error)
}

// A Job is something a Runner was asked to run: its steps in order, up to the
// first that fails. Safe for concurrent use.
type Job struct {
	mu   sync.Mutex
	done bool
	err  error
}

// Finish records the outcome; for Runners.
func (j *Job) Finish(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.done, j.err = true, err
}

// Done tells whether the job has ended, and how.
func (j *Job) Done() (done bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.done, j.err
}
