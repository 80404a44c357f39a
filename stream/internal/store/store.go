// Package store is the contract for the bytes of tables on this machine: local
// copies of changelog partitions, each with the position up to which it has
// been applied. Everything in a store can be rebuilt from the log; a store is
// there so that it need not be.
//
// Two packages keep it: pebblestore and memstore. One conformance suite,
// storetest, holds both.
package store

import (
	"errors"
	"time"

	"github.com/tagtide/tagtide/stream/internal/record"
)

// A Store holds tables. All methods are safe for concurrent use.
type Store interface {
	// Open opens the table that copies one changelog partition, empty if the
	// store does not have it. If the store has one under that name with
	// another identity, it is wiped first and Wiped says why. A table can be
	// open once at a time.
	Open(changelog record.Partition, id Identity) (Table, error)
	// Apply makes changes to any number of tables real: all of them with their
	// checkpoints, or, after a crash in the middle, none. With sync they, and
	// all calls that returned before, survive power loss when Apply returns, also
	// if there are no changes; without, a crash may lose the last calls, in whole
	// calls and from the end only.
	// Lazy changes are not in that: see [Change].
	// Entries of one change are sorted by key, each key once.
	// An error leaves the store unusable but whole; opening it again repairs.
	Apply(changes []Change, sync bool) error
	// Tables lists the tables that lie in the store, open or not.
	Tables() ([]Info, error)
	// Close syncs and releases the store. Tables must not be used afterwards.
	Close() error
}

// A Table is the local copy of one changelog partition. Reads see all applied
// changes. Safe for concurrent use; Close waits for nobody, so its owner must.
type Table interface {
	// Changelog names the partition this table copies.
	Changelog() record.Partition
	// Checkpoint returns the last applied one; the zero value if nothing was.
	Checkpoint() Checkpoint
	// Durable returns a checkpoint that power loss does not take back: the last
	// one, or an earlier one if that came with a lazy change or without sync.
	Durable() Checkpoint
	// Wiped says why the table's earlier content was dropped by Open, or "".
	Wiped() string
	// Get appends the value of key to dst. ok is false if the key is not there.
	Get(dst, key []byte) (value []byte, ok bool, err error)
	// Scan calls f for every key at or after from, in key order, on a snapshot
	// taken at the call, until f returns false. The bytes are only valid
	// during the call of f.
	Scan(from []byte, f func(key, value []byte) bool) error
	// Wipe drops everything in the table, its checkpoint too.
	Wipe() error
	// Close gives the table back to the store, so that it can be opened again.
	Close() error
}

// Identity ties a table's bytes to the log they were made from. A table whose
// identity differs in any field must not be used.
type Identity struct {
	LogID       string // of the log
	TopicID     string // of the changelog topic; changes when it is created anew
	Partitions  int32  // of the changelog topic; 0 where no key depends on it
	Partitioner string // how keys were spread over them
}

// A Checkpoint says how far the changelog has been applied.
type Checkpoint struct {
	Next   int64     // the changelog position; all before it is applied, nothing after
	Commit uint64    // how many commits the table has seen, for people and checks
	Time   time.Time // wall clock of the apply, for deciding if deletes may have been missed
	// Stream is the stream time at Next, in Unix milliseconds: the largest
	// timestamp of the records before it. Only of tables whose rows age.
	Stream int64
}

// A Change is what one commit does to one table.
type Change struct {
	Table      Table
	Entries    []Entry // sorted by key, each key once
	Checkpoint Checkpoint
	// Lazy says that a crash of the process may undo the change, synced or not:
	// the store may gather what many lazy changes do to a table, and write it at
	// once. It does so before the store is closed, before a change that is not
	// lazy, and within about a minute. A crash undoes whole changes of a table,
	// from its end only.
	Lazy bool
}

// An Entry sets a key, or deletes it if Value is nil. The store copies the bytes.
type Entry struct {
	Key, Value []byte
}

// Info describes a table that lies in a store.
type Info struct {
	Changelog  record.Partition
	Identity   Identity
	Checkpoint Checkpoint
}

// The errors of the contract; keepers wrap them with what was tried.
var (
	ErrInUse   = errors.New("in use by another process")
	ErrDamaged = errors.New("data is damaged")
	ErrClosed  = errors.New("closed")
)
