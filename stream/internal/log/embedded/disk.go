package embedded

import "github.com/cockroachdb/pebble/v2/vfs"

// A Disk is a log's directory in memory, which knows what of it was synced.
// For simulations of power loss.
type Disk struct{ fs *vfs.MemFS }

// NewDisk returns an empty disk.
func NewDisk() *Disk { return &Disk{vfs.NewCrashableMem()} }

// Open opens the log on the disk.
func (d *Disk) Open(o Options) (*Log, error) {
	o.FS = d.fs
	return Open("log", o)
}

// Crash returns what a power loss at this moment leaves: everything that was
// synced and nothing else. The log that is open on d works on, on d.
func (d *Disk) Crash() *Disk { return &Disk{d.fs.CrashClone(vfs.CrashCloneCfg{})} }
