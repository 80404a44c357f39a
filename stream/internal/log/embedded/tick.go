package embedded

import (
	"context"
	"maps"
	"slices"
	"time"
)

// housekeeping is how often a log in real time looks for what is due.
const housekeeping = 500 * time.Millisecond

// keepHouse ticks until the log is closed.
func (l *Log) keepHouse(ctx context.Context) {
	defer close(l.done)
	t := time.NewTicker(housekeeping)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := l.Tick(ctx); err != nil && ctx.Err() == nil {
				l.logger.Error("housekeeping failed", "dir", l.dir, "error", err)
			}
		}
	}
}

// Tick does what the time has come for: transactions end that are due, silent
// members are taken for dead, old records go, compact topics are compacted. A
// log in real time ticks by itself.
func (l *Log) Tick(ctx context.Context) error {
	now := l.o.Now()
	for _, id := range l.dueTransactions(now) {
		if err := l.write(ctx, l.exclusive(l.endOf(id.id, id.commit))); err != nil {
			return err
		}
	}
	if l.o.Deterministic {
		if err := l.expire(now); err != nil {
			return err
		}
	}
	if err := l.retain(ctx, now); err != nil {
		return err
	}
	return l.compactDue(ctx, false)
}

// Compact compacts all that may be, however little there is to win.
func (l *Log) Compact(ctx context.Context) error { return l.compactDue(ctx, true) }

type ending struct {
	id     string
	commit bool
}

// dueTransactions are the open ones that end by themselves now, by id.
func (l *Log) dueTransactions(now time.Time) (due []ending) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(l.undecided)) {
		if t := l.undecided[id]; !t.Due.After(now) {
			due = append(due, ending{id, t.State != ongoing})
		}
	}
	return due
}
