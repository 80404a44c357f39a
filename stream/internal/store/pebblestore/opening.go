package pebblestore

import (
	"errors"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// An opening is a Pebble that is being opened, and the disk as it sees it.
//
// Pebble flushes what it finds in its WAL before it is open. When that fails,
// because a file that was ingested is damaged or the disk takes no writes, it
// tries again for ever (open.go of 2.1.7: for d.mu.compact.flushing). So the
// first flush that fails ends the opening: Pebble is abandoned where it stands,
// with its lock held, without which nothing of it goes on. Its few goroutines
// and its memory stay until the process ends.
type opening struct {
	vfs.FS
	fate    atomic.Int32
	failure chan error            // why it was abandoned
	flush   atomic.Pointer[error] // of the last flush
}

// What became of an opening.
const (
	undecided = iota
	returned
	abandoned
)

func newOpening(disk vfs.FS) *opening {
	return &opening{FS: disk, failure: make(chan error, 1)}
}

// run calls open, which opens Pebble, and returns when it does, or when it was
// abandoned, with the failure that was the reason.
func (o *opening) run(open func() (*pebble.DB, error)) (*pebble.DB, error) {
	type result struct {
		db  *pebble.DB
		err error
	}
	done := make(chan result, 1)
	go func() {
		db, err := open()
		done <- result{db, err}
	}()
	select {
	case r := <-done:
		if o.fate.CompareAndSwap(undecided, returned) {
			return r.db, r.err
		}
		return nil, <-o.failure
	case err := <-o.failure:
		return nil, err
	}
}

// flushed is told how a flush ended: with an error also if there was nothing
// in it, which is no failure.
func (o *opening) flushed(err error) { o.flush.Store(&err) }

// failed is told of a failure in the background, and how it is called. It does
// not return if that is the last flush's, and Pebble is not open yet: only of
// flushes is it certain that Pebble's lock is held.
func (o *opening) failed(err, why error) {
	if flush := o.flush.Load(); flush == nil || !errors.Is(err, *flush) {
		return
	}
	if o.fate.CompareAndSwap(undecided, abandoned) {
		o.failure <- why
	}
	if o.abandoned() {
		select {}
	}
}

func (o *opening) abandoned() bool { return o.fate.Load() == abandoned }

// Remove implements [vfs.FS]. What an abandoned Pebble has still to tidy up
// may have the name of a file of the store that takes its place.
func (o *opening) Remove(name string) error {
	if o.abandoned() {
		return nil
	}
	return o.FS.Remove(name)
}
