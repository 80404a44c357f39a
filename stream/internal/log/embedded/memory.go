package embedded

import "github.com/cockroachdb/pebble/v2/vfs"

// OpenMemory opens a new log in memory, gone when it is closed.
func OpenMemory(o Options) (*Log, error) {
	o.FS = vfs.NewMem()
	return Open("memory", o)
}
