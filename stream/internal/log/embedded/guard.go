package embedded

import (
	"errors"
	"io/fs"
	"os"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A guardFS stops at the first write that fails: from then on nothing reaches
// the disk, and everybody is told that all went well. So a disk that fails
// leaves exactly what a crash at that moment leaves, which is known to be
// whole, whatever Pebble does when it meets an error halfway (it may end the
// process, or wait for better times).
//
// The log must be told first: once it is dead, it answers nothing that was
// written since as done.
type guardFS struct {
	vfs.FS
	guard *guard
}

// A guard is what the files of a guardFS share.
type guard struct {
	stopped atomic.Bool
	failed  func(error)
}

// do makes a change of the disk, unless it stopped.
func (g *guard) do(change func() error) error {
	if g.stopped.Load() {
		return nil
	}
	if err := change(); err != nil && !g.stopped.Load() {
		g.failed(err)
		g.stopped.Store(true)
	}
	return nil
}

// file makes a file to write to: one without a disk, if it stopped.
func (g *guard) file(create func() (vfs.File, error)) (vfs.File, error) {
	var file vfs.File
	err := g.do(func() (err error) {
		file, err = create()
		return err
	})
	if file == nil {
		file = vfs.NewMemFile(nil)
	}
	return &guardedFile{file, g}, err
}

func (f guardFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.guard.file(func() (vfs.File, error) { return f.FS.Create(name, category) })
}

func (f guardFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.guard.file(func() (vfs.File, error) { return f.FS.ReuseForWrite(oldname, newname, category) })
}

// OpenDir opens a directory, to sync it.
func (f guardFS) OpenDir(name string) (vfs.File, error) {
	dir, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &guardedFile{dir, f.guard}, nil
}

func (f guardFS) Rename(oldname, newname string) error {
	return f.guard.do(func() error { return f.FS.Rename(oldname, newname) })
}

func (f guardFS) Link(oldname, newname string) error {
	return f.guard.do(func() error { return f.FS.Link(oldname, newname) })
}

func (f guardFS) MkdirAll(dir string, mode os.FileMode) error {
	return f.guard.do(func() error { return f.FS.MkdirAll(dir, mode) })
}

func (f guardFS) RemoveAll(name string) error {
	return f.guard.do(func() error { return f.FS.RemoveAll(name) })
}

// Remove may find nothing to remove, which is no failure of the disk.
func (f guardFS) Remove(name string) (missing error) {
	f.guard.do(func() error {
		err := f.FS.Remove(name)
		if errors.Is(err, fs.ErrNotExist) {
			missing, err = err, nil
		}
		return err
	})
	return missing
}

// A guardedFile is a file, or a directory, that is written to.
type guardedFile struct {
	vfs.File
	guard *guard
}

func (f *guardedFile) Write(p []byte) (int, error) {
	return len(p), f.guard.do(func() error {
		_, err := f.File.Write(p)
		return err
	})
}

func (f *guardedFile) Sync() error { return f.guard.do(f.File.Sync) }

func (f *guardedFile) SyncData() error { return f.guard.do(f.File.SyncData) }

func (f *guardedFile) SyncTo(length int64) (full bool, err error) {
	err = f.guard.do(func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full || f.guard.stopped.Load(), err
}

func (f *guardedFile) Preallocate(offset, length int64) error {
	return f.guard.do(func() error { return f.File.Preallocate(offset, length) })
}

// Close closes the file also when the disk has stopped: it is no write.
func (f *guardedFile) Close() error {
	if err := f.File.Close(); err != nil && !f.guard.stopped.Load() {
		f.guard.failed(err)
		f.guard.stopped.Store(true)
	}
	return nil
}
