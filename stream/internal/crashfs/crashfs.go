// Package crashfs has the disk on which tests of what Pebble keeps crash while
// others write to it.
package crashfs

import (
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// An FS is a MemFS that one goroutine may clone while others use it. Some of
// MemFS's own operations lock for reading twice, and hang for ever when
// CrashClone wants the lock in between: those and clones wait for one another
// here.
type FS struct {
	*vfs.MemFS
	gate sync.RWMutex
}

// New returns an empty disk.
func New() *FS { return &FS{MemFS: vfs.NewCrashableMem()} }

// CrashClone returns what a power loss at this moment leaves.
func (f *FS) CrashClone(cfg vfs.CrashCloneCfg) *vfs.MemFS {
	f.gate.Lock()
	defer f.gate.Unlock()
	return f.MemFS.CrashClone(cfg)
}

// Link implements [vfs.FS].
func (f *FS) Link(oldname, newname string) error {
	f.gate.RLock()
	defer f.gate.RUnlock()
	return f.MemFS.Link(oldname, newname)
}

// ReuseForWrite implements [vfs.FS].
func (f *FS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f.gate.RLock()
	defer f.gate.RUnlock()
	return f.MemFS.ReuseForWrite(oldname, newname, category)
}
