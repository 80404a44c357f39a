package pebblestore

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options adjust a store. The zero value is good.
type Options struct {
	// CacheBytes bounds the memory for blocks read from disk and for writes
	// that are not on disk as tables yet, together. Default 128 MiB; at least 8 MiB.
	CacheBytes int64
	// GatherBytes bounds the memory for what lazy changes did and Pebble does not
	// have, of all tables together, between two calls. Default: a quarter of
	// CacheBytes.
	GatherBytes int
	// Logger is told what Pebble does (as debug), and what goes wrong. Default: nobody.
	Logger *slog.Logger
	// FS is where the store lies. Default: the operating system's files.
	FS vfs.FS
	// Deterministic keeps work in the background away, so that what a crash
	// leaves is a function of the calls: nothing is compacted, large changes are
	// synced only when told, and lazy ones not written by the clock. For short
	// lives, in simulations.
	Deterministic bool

	largeBytes  int           // see the constant, which is the default
	largeGather int           // likewise
	gatherFor   time.Duration // likewise
}

func (o *Options) ensureDefaults() {
	if o.CacheBytes == 0 {
		o.CacheBytes = 128 << 20
	}
	o.CacheBytes = max(o.CacheBytes, 8<<20)
	if o.GatherBytes == 0 {
		o.GatherBytes = int(o.CacheBytes / 4)
	}
	if o.largeBytes == 0 {
		o.largeBytes = largeBytes
	}
	if o.largeGather == 0 {
		o.largeGather = largeGather
	}
	if o.gatherFor == 0 {
		o.gatherFor = gatherFor
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
}

// memTables is how many memtables may wait to be written, the one in use
// included. Pebble takes their memory from the cache's, so that three quarters
// of it can be full of writes, and the rest is for blocks.
const memTables = 3

// pebble returns the options for a Pebble that sees this disk, and borrows the lock.
func (o *Options) pebble(disk vfs.FS, lock *pebble.Lock, l *pebble.EventListener, a *apart) *pebble.Options {
	po := &pebble.Options{
		FS:            disk,
		Lock:          lock,
		EventListener: l,
		Logger:        logger{o.Logger},
		CacheSize:     o.CacheBytes,
		Merger:        counter,
		MaxOpenFiles:  256,
		// The first format with a checksum in the footers of tables.
		FormatMajorVersion:          pebble.FormatTableFormatV6,
		MemTableSize:                uint64(o.CacheBytes / (memTables + 1)),
		MemTableStopWritesThreshold: memTables,
		// A table of counts is overwritten all the time, so compacting later
		// means compacting less: four flushes at once instead of Pebble's two.
		L0CompactionThreshold: 8,
		L0StopWritesThreshold: 32,
	}
	// Levels inherit from the one above. Pebble asks the filters of all but the
	// last one, so that one gets none; and one index block for a whole file saves
	// each read a step.
	po.Levels[0].FilterPolicy = bloom.FilterPolicy(10)
	po.Levels[0].IndexBlockSize = 256 << 10
	po.Levels[len(po.Levels)-1].FilterPolicy = pebble.NoFilterPolicy
	po.Experimental.SpanPolicyFunc = a.policy
	if o.Deterministic {
		po.DisableAutomaticCompactions = true
		po.DisableTableStats = true
		po.L0StopWritesThreshold = math.MaxInt32
	}
	po.EnsureDefaults()
	return po
}

// logger passes Pebble's log on: its reports as debug, since they are for
// those who study Pebble.
type logger struct{ to *slog.Logger }

func (l logger) Infof(format string, args ...any) {
	if l.to.Enabled(context.Background(), slog.LevelDebug) {
		l.to.Debug(fmt.Sprintf(format, args...))
	}
}

func (l logger) Errorf(format string, args ...any) { l.to.Error(fmt.Sprintf(format, args...)) }

// Fatalf must not return. On the way through Open and Apply the panic becomes
// their error; in the background it ends the process, because Pebble cannot go
// on when it could not write its MANIFEST, and the next start repairs.
func (l logger) Fatalf(text string, args ...any) {
	f := fatal{
		text:  "pebble cannot go on: " + fmt.Sprintf(text, args...),
		stuck: !strings.HasPrefix(text, "pebble: fatal commit error"),
	}
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			f.cause = err
		}
	}
	panic(f)
}

// fatal is what Fatalf panics with.
type fatal struct {
	text  string
	cause error // nil if Pebble named none
	stuck bool  // Pebble held locks when it gave up
}

func (f fatal) Error() string { return f.text }
func (f fatal) Unwrap() error { return f.cause }
