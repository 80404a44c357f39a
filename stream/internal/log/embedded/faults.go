package embedded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// Faults decides what becomes of an attempt to commit. It is called once for
// each, on the caller's goroutine, so a simulation that draws from a seed
// replays the same history. It must not call the log.
type Faults func(Attempt) Fate

// An Attempt to commit.
type Attempt struct {
	TransactionalID string
	Claim           log.GroupClaim
	Writes          []record.Partition // in order
}

// A Fate is what becomes of an attempt. The zero Fate is that it commits, if
// nothing is wrong with it.
type Fate struct {
	Outcome Outcome
	// Holes left unused behind what is written, in each partition, as markers
	// of a transaction's end do.
	Holes int64
	// After is how long it takes until a transaction that was Delayed or
	// Prepared commits by itself.
	After time.Duration
	// Crash kills the log once the outcome is reached, before it is answered.
	Crash bool
}

// An Outcome of an attempt to commit.
type Outcome uint8

// The outcomes, and what Commit answers.
const (
	// Commits: nil, if nothing is wrong with the transaction.
	Commits Outcome = iota
	// Refused: ErrUnavailable. Nothing was done.
	Refused
	// Aborted: ErrUnavailable. What was written was taken back; its places stay holes.
	Aborted
	// Moved: the group forms a new generation first, so ErrGeneration if there
	// is a claim.
	Moved
	// LostBefore: ErrInDoubt. Nothing was done.
	LostBefore
	// LostAfter: ErrInDoubt. It is committed.
	LostAfter
	// LeftOpen: ErrInDoubt. It is open until the id's next producer or the
	// transaction timeout aborts it.
	LeftOpen
	// Delayed: ErrInDoubt. It is open until it commits by itself, or the id's
	// next producer aborts it first.
	Delayed
	// Prepared: ErrInDoubt. It is open, but decided: it commits by itself or
	// when the id's next producer asks.
	Prepared
)

var (
	errRefused = fmt.Errorf("%w: refused by fault", log.ErrUnavailable)
	errLost    = fmt.Errorf("%w: answer lost by fault", log.ErrInDoubt)
	errCrash   = errors.New("crash by fault")
)

// fate asks what becomes of a commit.
func (l *Log) fate(p *producer, t *log.Txn) Fate {
	if l.o.Faults == nil {
		return Fate{}
	}
	a := Attempt{TransactionalID: p.id, Claim: t.Claim}
	for _, w := range t.Writes {
		a.Writes = append(a.Writes, w.Partition)
	}
	return l.o.Faults(a)
}

// before is what happens instead of the write, or ahead of it.
func (f Fate) before(c *commit) error {
	var err error
	switch f.Outcome {
	case Refused:
		err = errRefused
	case LostBefore:
		err = errLost
	case Moved:
		c.log.move(c.txn.Claim.Group)
	}
	return f.answer(c.log, err, f.Outcome == Refused || f.Outcome == LostBefore)
}

// after is what happens once the write is durable.
func (f Fate) after(c *commit) error {
	var err error
	switch f.Outcome {
	case Aborted:
		if err = c.log.end(c.producer.id, false); err == nil {
			err = errRefused
		}
	case LostAfter, LeftOpen, Delayed, Prepared:
		err = errLost
	}
	return f.answer(c.log, err, true)
}

// answer gives the answer, unless the log crashes first.
func (f Fate) answer(l *Log, err error, reached bool) error {
	if f.Crash && reached {
		l.failed(errCrash)
		return fmt.Errorf("%w: %w", log.ErrInDoubt, errCrash)
	}
	return err
}

// open makes a transaction one that stays open, if that is its fate.
func (f Fate) open(row *txnRow, now time.Time, timeout time.Duration) {
	row.Since, row.Due = now, now.Add(timeout)
	switch f.Outcome {
	case Aborted, LeftOpen:
		row.State = ongoing
	case Delayed:
		row.State, row.Due = delayed, now.Add(f.After)
	case Prepared:
		row.State, row.Due = prepared, now.Add(f.After)
	}
}

// end ends the open transaction of an id, if there is one.
func (l *Log) end(id string, commit bool) error {
	return l.write(context.Background(), l.exclusive(l.endOf(id, commit)))
}
