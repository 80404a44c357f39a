package log

import "errors"

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
