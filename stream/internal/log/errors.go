package log

import (
	"errors"
	"fmt"
)

// The errors of the contract; keepers wrap them with what was tried.
var (
	ErrTopicExists  = errors.New("topic exists already")
	ErrUnknownTopic = errors.New("unknown topic or partition")
	ErrOutOfRange   = errors.New("offset out of range")
	ErrFenced       = errors.New("fenced: another instance took over")
	ErrGeneration   = errors.New("the group has moved on to another generation")
	ErrInDoubt      = errors.New("outcome of the transaction unknown")
	ErrUnstable     = errors.New("positions are about to change: a transaction is open")
	ErrUnavailable  = errors.New("the log cannot answer for now") // nothing happened; try again
	ErrGroupActive  = errors.New("the group has members")
	ErrTooLarge     = errors.New("record larger than the log takes")
	ErrDamaged      = errors.New("data is damaged")
	ErrInUse        = errors.New("in use by another process")
	ErrClosed       = errors.New("closed")
)

// A TooLarge is an [ErrTooLarge] of a commit that tells which record the log
// does not take. The caller may keep it.
type TooLarge struct {
	Topic string
	Key   string
	Size  int // of key, value and headers, as [record.Size] counts them
}

func (l *TooLarge) Error() string {
	return fmt.Sprintf("%v: one of %d bytes for %s", ErrTooLarge, l.Size, l.Topic)
}

// Unwrap makes it an [ErrTooLarge].
func (l *TooLarge) Unwrap() error { return ErrTooLarge }
