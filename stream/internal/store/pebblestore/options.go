package pebblestore

import (
	"context"
	"fmt"
	"log/slog"
	"math"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options adjust a store. The zero value is good.
type Options struct {
	// CacheBytes bounds the memory for blocks read from disk and for writes
	// that are not on disk as tables yet, together. Default 96 MiB; at least 8 MiB.
	CacheBytes int64
	// Logger is told what Pebble does, and what goes wrong. Default: nobody.
	Logger *slog.Logger
	// FS is where the store lies. Default: the operating system's files.
	FS vfs.FS
	// Deterministic keeps work in the background from depending on the clock:
	// nothing is compacted, so it is for short lives, in simulations.
	Deterministic bool
}

func (o *Options) ensureDefaults() {
	if o.CacheBytes == 0 {
		o.CacheBytes = 96 << 20
	}
	o.CacheBytes = max(o.CacheBytes, 8<<20)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
}

// memTables is how many memtables may wait to be written, the one in use included.
const memTables = 3

// pebble returns the options for Pebble. The store lends its lock and listens.
func (o *Options) pebble(lock *pebble.Lock, l *pebble.EventListener) *pebble.Options {
	po := &pebble.Options{
		FS:                          o.FS,
		Lock:                        lock,
		EventListener:               l,
		Logger:                      logger{o.Logger},
		CacheSize:                   o.CacheBytes,
		FormatMajorVersion:          pebble.FormatWALSyncChunks,
		Merger:                      counter,
		MemTableSize:                uint64(o.CacheBytes / (2 * memTables)),
		MemTableStopWritesThreshold: memTables,
		MaxOpenFiles:                256,
	}
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		po.Levels[i].BlockSize = 8 << 10
	}
	po.Experimental.FileCacheShards = 2
	if o.Deterministic {
		po.DisableAutomaticCompactions = true
		po.DisableTableStats = true
		po.L0StopWritesThreshold = math.MaxInt32
		po.L0CompactionThreshold = math.MaxInt32
	}
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

// Fatalf must not return. On the way through Apply and Open the panic becomes
// their error; in the background it ends the process, because Pebble cannot go
// on when it could not write its WAL or MANIFEST, and the next start repairs.
func (l logger) Fatalf(format string, args ...any) {
	panic(fatal{fmt.Errorf("the store cannot go on: "+format, args...)})
}

// fatal is what Fatalf panics with.
type fatal struct{ error }
