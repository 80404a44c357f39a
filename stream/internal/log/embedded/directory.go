package embedded

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// What lies in a log's directory.
const (
	lockFile   = "LOCK"   // held while the log is open
	formatFile = "FORMAT" // what the directory is; made last, when all else is there
	dataDir    = "data"   // Pebble's
)

// formatVersion of the rows; docs/formats/embedded-log.md.
const formatVersion = 1

// A format is the content of formatFile.
type format struct {
	Format int    `json:"format"`
	ID     string `json:"id"`
}

// open takes the directory, opens what is in it or makes it a log, and loads it.
func (l *Log) open() (err error) {
	if err := makeDir(l.o.FS, l.dir); err != nil {
		return err
	}
	if l.lock, err = l.o.FS.Lock(l.path(lockFile)); err != nil {
		if file := (*fs.PathError)(nil); errors.As(err, &file) {
			return err
		}
		return fmt.Errorf("%w: %w", log.ErrInUse, err)
	}
	if err := l.openData(); err != nil {
		return errors.Join(err, l.lock.Close())
	}
	err = l.load()
	l.mu.Lock()
	err = errors.Join(err, l.dead)
	l.mu.Unlock()
	if err != nil {
		return errors.Join(err, l.db.Close(), l.lock.Close())
	}
	return nil
}

// makeDir makes a directory with its parents, all of which survive a crash.
func makeDir(fsys vfs.FS, dir string) error {
	if _, err := fsys.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := fsys.PathDir(dir)
	if parent != dir {
		if err := makeDir(fsys, parent); err != nil {
			return err
		}
	}
	if err := fsys.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return syncDir(fsys, parent)
}

func syncDir(fsys vfs.FS, name string) error {
	dir, err := fsys.OpenDir(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (l *Log) path(name string) string { return l.o.FS.PathJoin(l.dir, name) }

// openData opens Pebble, in a directory that may be empty.
func (l *Log) openData() error {
	f, err := l.readFormat()
	if errors.Is(err, fs.ErrNotExist) {
		return l.begin()
	}
	if err != nil {
		return err
	}
	l.id = f.ID
	o := l.pebbleOptions()
	o.ErrorIfNotExists = true
	l.db, err = pebble.Open(l.path(dataDir), o)
	if errors.Is(err, pebble.ErrDBDoesNotExist) {
		return fmt.Errorf("%w: %w", log.ErrDamaged, err)
	}
	return storageError(err)
}

func (l *Log) readFormat() (f format, err error) {
	file, err := l.o.FS.Open(l.path(formatFile))
	if err != nil {
		return f, err
	}
	text, err := io.ReadAll(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return f, err
	}
	if err := json.Unmarshal(text, &f); err != nil || f.ID == "" {
		return f, fmt.Errorf("%w: %s reads %q", log.ErrDamaged, formatFile, text)
	}
	if f.Format != formatVersion {
		return f, fmt.Errorf("the log has format %d, this program knows %d", f.Format, formatVersion)
	}
	return f, nil
}

// begin makes an empty directory a log. It is none before the last step, so a
// crash in between leaves something to begin anew with.
func (l *Log) begin() error {
	if err := l.clear(); err != nil {
		return err
	}
	o := l.pebbleOptions()
	o.ErrorIfExists = true
	db, err := pebble.Open(l.path(dataDir), o)
	if err != nil {
		return storageError(err)
	}
	if l.id = l.o.ID; l.id == "" {
		l.id = randomID()
	}
	if err := l.writeFormat(format{Format: formatVersion, ID: l.id}); err != nil {
		return errors.Join(err, db.Close())
	}
	l.db = db
	return nil
}

// clear removes what an earlier begin left halfway. What has any data in it
// has been a log, and lost its format.
func (l *Log) clear() error {
	names, err := l.o.FS.List(l.path(dataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		info, err := l.o.FS.Stat(l.o.FS.PathJoin(l.path(dataDir), name))
		if err != nil {
			return err
		}
		switch ext := path.Ext(name); {
		case ext == ".sst", ext == ".blob", ext == ".log" && info.Size() > 0:
			return fmt.Errorf("%w: there is data, but %s is missing", log.ErrDamaged, formatFile)
		}
	}
	return l.o.FS.RemoveAll(l.path(dataDir))
}

// writeFormat makes the format file, whole or not at all.
func (l *Log) writeFormat(f format) error {
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	temporary := l.path(formatFile + ".new")
	file, err := l.o.FS.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := l.o.FS.Rename(temporary, l.path(formatFile)); err != nil {
		return err
	}
	return syncDir(l.o.FS, l.dir)
}

func randomID() string {
	var b [12]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
