package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// openPebble opens the database beneath.
func (l *Log) openPebble() (*pebble.DB, error) {
	if err := l.o.FS.MkdirAll(l.dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := pebble.LockDirectory(l.dir, l.o.FS)
	if err != nil {
		if file := (*fs.PathError)(nil); errors.As(err, &file) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", log.ErrInUse, err)
	}
	db, err := l.openLocked(lock)
	if err != nil {
		return nil, errors.Join(storageError(err), lock.Close())
	}
	l.lock = lock
	return db, nil
}

func (l *Log) openLocked(lock *pebble.Lock) (*pebble.DB, error) {
	if err := l.checkFiles(); err != nil {
		return nil, err
	}
	o := l.pebbleOptions()
	o.Lock = lock
	return pebble.Open(l.dir, o)
}

// checkFiles refuses a directory with data that no manifest knows of: Pebble
// would begin anew there, and delete it.
func (l *Log) checkFiles() error {
	desc, err := pebble.Peek(l.dir, l.o.FS)
	if err != nil {
		return storageError(err)
	}
	if desc.Exists {
		return nil
	}
	names, err := l.o.FS.List(l.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		switch path.Ext(name) {
		case ".sst", ".blob", ".log":
			return fmt.Errorf("%w: %s is there, but no manifest", log.ErrDamaged, name)
		}
	}
	return nil
}

func (l *Log) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                          l.o.FS,
		CacheSize:                   l.o.CacheBytes,
		Logger:                      pebbleLogger{l},
		FormatMajorVersion:          pebble.FormatNewest,
		DisableAutomaticCompactions: l.o.Deterministic,
		DisableTableStats:           l.o.Deterministic,
	}
	o.EventListener = &pebble.EventListener{
		BackgroundError: func(err error) { l.failed(fmt.Errorf("in the background: %w", err)) },
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			l.failed(fmt.Errorf("%w: file %s: %w", log.ErrDamaged, info.Path, info.Details))
		},
		DiskSlow: func(info pebble.DiskSlowInfo) { l.logger.Warn("slow disk", "dir", l.dir, "what", info.String()) },
	}
	return o
}

// failed lets the log die of what happened beneath it.
func (l *Log) failed(why error) {
	l.mu.Lock()
	l.die(why)
	l.mu.Unlock()
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
