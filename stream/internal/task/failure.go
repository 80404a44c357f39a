package task

import (
	"errors"
	"fmt"

	"github.com/tagtide/tagtide/stream/internal/record"
)

// A Policy says what happens to a record whose step fails.
type Policy int

// The policies.
const (
	DeadLetter Policy = iota // it goes to the dead-letter topic, in the same transaction
	Skip                     // it is counted and left out
	Stop                     // the group stops with an error
)

// Failure is what the policies of all sources have in common.
type Failure struct {
	Topic string // of dead letters
	// Report, if set, hears of every failed record that does not stop the task.
	Report func(p record.Partition, offset int64, err error)
}

// ErrStopped is wrapped by the error of a task that its policy has stopped.
var ErrStopped = errors.New("the step failed, and the policy is to stop")

// Fatal wraps the error of a step that no policy may swallow: the task's own
// state could not be read or written.
type Fatal struct{ Err error }

func (f *Fatal) Error() string { return f.Err.Error() }
func (f *Fatal) Unwrap() error { return f.Err }

func isFatal(err error) bool {
	var fatal *Fatal
	return errors.As(err, &fatal)
}

// A Panic is the error of a step that panicked.
type Panic struct {
	Value any
	Stack []byte
}

func (p *Panic) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// Undecodable is the error of a record that is not what its topic should hold.
type Undecodable struct{ Err error }

func (u *Undecodable) Error() string { return "decode: " + u.Err.Error() }
func (u *Undecodable) Unwrap() error { return u.Err }

// TooLarge is the error of a record that a step wanted to write.
type TooLarge struct {
	Topic   string
	Size    int
	Refused bool // by the log, whose limit is not known; else it is over [MaxRecord]
}

func (l *TooLarge) Error() string {
	if l.Refused {
		return fmt.Sprintf("a record of %d bytes for %s: the topic does not take it (max.message.bytes)", l.Size, l.Topic)
	}
	return fmt.Sprintf("a record of %d bytes for %s: at most %d are taken", l.Size, l.Topic, MaxRecord)
}

// The reasons for which a record is bad, as they are counted.
const (
	ReasonDecode = "decode" // it is not what its topic should hold
	ReasonSize   = "size"   // what the step made of it is too large
	ReasonPanic  = "panic"  // the step panicked
	ReasonStep   = "step"   // the step returned another error
)

// Reason tells the reason of a step's error.
func Reason(err error) string {
	var undecodable *Undecodable
	var large *TooLarge
	var panicked *Panic
	switch {
	case errors.As(err, &undecodable):
		return ReasonDecode
	case errors.As(err, &large):
		return ReasonSize
	case errors.As(err, &panicked):
		return ReasonPanic
	}
	return ReasonStep
}
