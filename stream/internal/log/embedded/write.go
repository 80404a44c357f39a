package embedded

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// maxRetained bytes of a batch's memory are used again.
const maxRetained = 8 << 20

// A pending write is applied, and waits to be durable.
type pending struct {
	publish   func() // its step in memory, under l.mu
	published bool
}

// A plan checks a change, writes its rows to the batch, and returns its step
// in memory: what readers of the memory see once the batch is durable. It runs
// when it is its turn, without l.mu.
type plan func(b *pebble.Batch) (publish func(), err error)

// write makes one change of the log. An error of the plan is returned as it
// is, and nothing was changed; a failure after that kills the log and leaves
// the outcome in doubt until it is opened again.
func (l *Log) write(ctx context.Context, p plan) error { return l.writeSized(ctx, 0, p) }

// writeSized is write for a plan that fills about so many bytes.
func (l *Log) writeSized(ctx context.Context, bytes int, p plan) error {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	b := l.db.NewBatchWithSize(bytes, pebble.WithMaxRetainedSizeBytes(maxRetained))
	w, err := l.apply(b, p)
	<-l.turn
	if w == nil {
		return errors.Join(err, b.Close())
	}
	if err == nil {
		err = b.SyncWait()
	}
	if err := l.settle(w, err); err != nil {
		// The batch is left to Pebble, which may still work on it.
		return fmt.Errorf("%w: %w", log.ErrInDoubt, err)
	}
	return b.Close()
}

// exclusive makes a plan that starts from published state only: the writes in
// flight are published first, and as it has the turn, no more come.
func (l *Log) exclusive(p plan) plan {
	return func(b *pebble.Batch) (func(), error) {
		l.mu.Lock()
		l.drain()
		err := l.alive()
		l.mu.Unlock()
		if err != nil {
			return nil, err
		}
		return p(b)
	}
}

// writeLazily makes a change that nobody waits for and that may be lost again
// in a crash, though not without all that was written after it. It has no step
// in memory but what its plan takes.
func (l *Log) writeLazily(ctx context.Context, p func(b *pebble.Batch) error) error {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-l.turn }()
	l.mu.Lock()
	err := l.alive()
	l.mu.Unlock()
	if err != nil {
		return err
	}
	b := l.db.NewBatch()
	if err := p(b); err != nil {
		return errors.Join(err, b.Close())
	}
	if err := l.db.Apply(b, pebble.NoSync); err != nil {
		return err
	}
	return b.Close()
}

// apply runs a plan and applies its batch. Without a pending write nothing
// was done; with one, it must be settled whatever the error. The turn is held.
func (l *Log) apply(b *pebble.Batch, p plan) (*pending, error) {
	l.mu.Lock()
	err := l.alive()
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	publish, err := p(b)
	if err != nil {
		return nil, err
	}
	w := &pending{publish: publish}
	l.mu.Lock()
	l.inflight = append(l.inflight, w)
	l.mu.Unlock()
	if b.Empty() {
		return w, nil
	}
	return w, l.db.ApplyNoSyncWait(b, pebble.Sync)
}

// settle publishes a write, and all before it, or lets the log die.
func (l *Log) settle(w *pending, err error) error {
	l.mu.Lock()
	if err != nil {
		l.die(fmt.Errorf("write: %w", err))
	}
	err = l.dead
	if w.published {
		err = nil
	}
	for err == nil && !w.published {
		first := l.inflight[0]
		l.inflight[0] = nil
		l.inflight = l.inflight[1:]
		first.publish()
		first.published = true
	}
	l.settled.Broadcast()
	ready := l.moved
	l.moved = nil
	l.mu.Unlock()
	wake(ready)
	return err
}

// drain waits until no write is in flight. l.mu is held, and so is the turn.
func (l *Log) drain() {
	for len(l.inflight) > 0 && l.dead == nil {
		l.settled.Wait()
	}
}

// alive says why the log does not work any more. l.mu is held.
func (l *Log) alive() error {
	if l.dead == nil {
		return nil
	}
	if errors.Is(l.dead, log.ErrClosed) {
		return l.dead
	}
	return fmt.Errorf("%w after a failure: %w", log.ErrClosed, l.dead)
}

// die ends the log: the first reason stays. l.mu is held.
func (l *Log) die(why error) {
	if l.dead != nil {
		return
	}
	if pebble.IsCorruptionError(why) {
		why = fmt.Errorf("%w: %w", log.ErrDamaged, why)
	}
	l.dead = why
	l.moved = append(l.moved, l.everybody()...)
	l.settled.Broadcast()
	l.logger.Error("the log has failed; open it again to repair it", "dir", l.dir, "error", why)
}
