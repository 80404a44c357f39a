package stream

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/log/embedded"
	"github.com/tagtide/tagtide/stream/internal/thread"
)

// A Log is where topics live. Everything in this package works on any Log in
// the same way. Safe for concurrent use.
type Log struct{ keeper log.Log }

// ID identifies the log for as long as its data lives.
func (l *Log) ID() string { return l.keeper.ID() }

// Close releases the log. What still uses it fails.
func (l *Log) Close() error { return l.keeper.Close() }

// EmbeddedOptions tune an embedded log. The zero value is good.
type EmbeddedOptions struct {
	// CacheBytes for reading; default 64 MiB.
	CacheBytes int64
	// Logger for what operators should know; default slog.Default().
	Logger *slog.Logger
	// Now is the wall clock; default time.Now.
	Now func() time.Time
}

// OpenEmbedded opens the log that lives in dir, creating it if need be: one
// process, nothing to install, every commit synced to disk. One process at a
// time may have it open; a second one gets an error that wraps [ErrInUse]. With
// dir "" the log is in memory, and gone when it is closed.
func OpenEmbedded(dir string, o EmbeddedOptions) (*Log, error) {
	options := embedded.Options{CacheBytes: o.CacheBytes, Logger: cmp.Or(o.Logger, slog.Default()), Now: o.Now}
	open := func() (*embedded.Log, error) { return embedded.Open(dir, options) }
	if dir == "" {
		open = func() (*embedded.Log, error) { return embedded.OpenMemory(options) }
	}
	l, err := open()
	if err != nil {
		return nil, err
	}
	return &Log{l}, nil
}

// Errors that callers tell apart.
var (
	// ErrInUse: another process has the directory open.
	ErrInUse = log.ErrInUse
	// ErrDamaged: bytes at rest are not what was written.
	ErrDamaged = log.ErrDamaged
	// ErrUnknownTopic: a topic is not there and may not be created.
	ErrUnknownTopic = log.ErrUnknownTopic
	// ErrFenced: another instance runs under the same id.
	ErrFenced = log.ErrFenced
	// ErrLost: a group cannot tell any more what it has handled already, because
	// positions expired, or a topic was deleted. It has to begin anew: [ResetGroup].
	ErrLost = thread.ErrLost
)
