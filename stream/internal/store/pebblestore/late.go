package pebblestore

import (
	"errors"
	"sync"
	"time"
)

// gatherFor is how long what lazy changes did stays in memory only.
const gatherFor = time.Minute

// A late writes what lazy changes did when that has been in memory for long. It
// is safe for concurrent use.
type late struct {
	store *Store

	mu      sync.Mutex
	timer   *time.Timer // nil: nothing waits
	stopped bool
	ended   chan struct{} // is closed when the last fire has ended; nil: there was none
}

func newLate(s *Store) *late { return &late{store: s} }

// arm says that something waits.
func (l *late) arm() {
	if l.store.opts.Deterministic {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer == nil && !l.stopped {
		ended := make(chan struct{})
		l.ended = ended
		l.timer = time.AfterFunc(l.store.opts.gatherFor, func() {
			defer close(ended)
			l.fire()
		})
	}
}

func (l *late) fire() {
	l.mu.Lock()
	l.timer = nil
	l.mu.Unlock()
	if err := l.store.writeGathered(); err != nil {
		l.store.opts.Logger.Warn("cannot write what was gathered, trying again later", "dir", l.store.dir, "error", err)
		l.arm()
	}
}

// stop ends it for good, and waits until nothing of it runs, unless that waits for
// a Pebble that will never go on.
func (l *late) stop() {
	l.mu.Lock()
	l.stopped = true
	ended := l.ended
	if ended == nil || l.timer != nil && l.timer.Stop() {
		ended = closed
	}
	l.mu.Unlock()
	select {
	case <-ended:
	case <-l.store.stuck:
	}
}

// closed is a channel that is.
var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// writeGathered gives Pebble what lazy changes did to any table. A store that
// cannot be used any more loses it, as in a crash.
func (s *Store) writeGathered() error {
	var errs []error
	for _, c := range s.contents() {
		errs = append(errs, s.writeContent(c))
	}
	return errors.Join(errs...)
}

func (s *Store) writeContent(c *content) error {
	select {
	case c.busy <- struct{}{}:
		defer c.release()
	case <-s.stuck: // with whoever has it
		return nil
	}
	if s.fault.Load() != nil || !c.waits() {
		return nil
	}
	if err := checkSpace(s.dir, s.opts.FS); err != nil {
		return err
	}
	return s.writeGathers([]*content{c})
}
