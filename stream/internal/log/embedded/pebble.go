package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// Sizes of the memory and files beneath.
const (
	memTableBytes = 24 << 20
	// memTables that may be full before writes wait: with them, the cache and
	// what passes through, a log stays below 256 MiB.
	memTables = 3
	// Tables, and the files with the values of one, of what is written
	// together. Small enough that one topic's end frees most of its files.
	flushBytes = 8 << 20
	tableBytes = 64 << 20
	// separateBytes is when a value is kept apart from its key.
	separateBytes = 1 << 10
)

// pebbleOptions are for a queue of large values: batches lie in files of their
// own, written once by the flush; what compactions move are keys. A purged
// prefix is a range deletion, flushed soon, that drops whole tables and the
// files only they refer to; a file that is half garbage is written anew.
func (l *Log) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                          l.fs,
		CacheSize:                   l.o.CacheBytes,
		Logger:                      pebbleLogger{l},
		FormatMajorVersion:          pebble.FormatValueSeparation,
		MemTableSize:                memTableBytes,
		MemTableStopWritesThreshold: memTables,
		FlushDelayDeleteRange:       5 * time.Second,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
	}
	o.TargetFileSizes[0] = flushBytes
	for i := 1; i < len(o.TargetFileSizes); i++ {
		o.TargetFileSizes[i] = tableBytes
	}
	// Compressing would take as much CPU as all the rest of an append.
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	o.Experimental.ReadSamplingMultiplier = -1 // reading never compacts
	o.Experimental.EnableDeleteOnlyCompactionExcises = func() bool { return true }
	o.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled: true, MinimumSize: separateBytes, MaxBlobReferenceDepth: 1000, TargetGarbageRatio: 0.5,
		}
	}
	if l.o.Deterministic {
		o.DisableAutomaticCompactions = true
		o.DisableTableStats = true
		o.L0StopWritesThreshold = math.MaxInt32 // nothing would ever take it down
		o.FlushDelayDeleteRange = 0
	}
	o.EventListener = &pebble.EventListener{
		BackgroundError: func(err error) { l.failed(fmt.Errorf("in the background: %w", err)) },
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			l.failed(fmt.Errorf("%w: file %s: %w", log.ErrDamaged, info.Path, info.Details))
		},
		DiskSlow: func(info pebble.DiskSlowInfo) { l.logger.Warn("slow disk", "dir", l.dir, "what", info.String()) },
	}
	if l.o.tune != nil {
		l.o.tune(o)
	}
	return o
}

// spareBytes of the disk are left for what Pebble holds in memory, and for the
// tidying that frees space.
const spareBytes = 128 << 20

// checkSpace refuses what would fill the disk.
func (l *Log) checkSpace(bytes int) error {
	usage, err := l.o.FS.GetDiskUsage(l.dir)
	if err != nil {
		return nil // a file system that cannot tell
	}
	if need := spareBytes + 2*uint64(bytes); usage.AvailBytes < need {
		return fmt.Errorf("%w: %d MiB are free in %s, %d MiB are needed", ErrDiskFull, usage.AvailBytes>>20, l.dir, need>>20)
	}
	return nil
}

// ErrDiskFull: nothing is written any more until there is space again.
var ErrDiskFull = errors.New("disk full")

// failed lets the log die of what happened beneath it.
func (l *Log) failed(why error) {
	l.mu.Lock()
	l.die(why)
	ready := l.moved
	l.moved = nil
	l.mu.Unlock()
	wake(ready)
}

// pebbleLogger takes what Pebble has to say. Pebble expects Fatalf to end the
// process; here it ends the log, and Pebble returns an error afterwards.
type pebbleLogger struct{ l *Log }

func (p pebbleLogger) Infof(format string, args ...any) {
	if p.l.logger.Enabled(context.Background(), slog.LevelDebug) {
		p.l.logger.Debug("pebble: " + fmt.Sprintf(format, args...))
	}
}

func (p pebbleLogger) Errorf(format string, args ...any) {
	p.l.logger.Error("pebble: " + fmt.Sprintf(format, args...))
}

func (p pebbleLogger) Fatalf(format string, args ...any) {
	for _, a := range args {
		if err, ok := a.(error); ok {
			p.l.failed(err)
			return
		}
	}
	p.l.failed(fmt.Errorf(format, args...))
}

// storageError marks damage as such.
func storageError(err error) error {
	if err != nil && (pebble.IsCorruptionError(err) || errors.Is(err, fs.ErrNotExist)) && !errors.Is(err, log.ErrDamaged) {
		return fmt.Errorf("%w: %w", log.ErrDamaged, err)
	}
	return err
}
