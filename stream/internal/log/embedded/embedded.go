// Package embedded keeps the log's contract in one process, on Pebble.
//
// # How it holds together
//
// Everything but the records is in memory and, row for row, in Pebble: topics,
// the extents of partitions, groups, producers, open transactions. A change of
// any kind is one write: one atomic, synced Pebble batch, and one step of the
// memory, taken when the batch is durable. Nobody sees a change before.
//
//	            turn (one at a time)              any time later
//	┌───────────────────────────────────┐ ┌────────────────────────────┐
//	  check → allot → fill batch → apply     sync → publish, in order
//
// Writes take turns only up to the apply, so that the sync of many serves all.
// As Pebble's log is one sequence, a durable write means that all before it
// are durable too, and they are published in the order of their turns.
//
// # What lies on disk
//
// docs/formats/embedded-log.md draws the rows. A record batch is one value
// under (topic, partition, base offset), in the bytes of package record.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

var _ log.Log = (*Log)(nil)

// Options tune a log. The zero value is good.
type Options struct {
	// FS holds the files. Default: the disk.
	FS vfs.FS
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Logger receives what happens beneath. Default: nothing is logged.
	Logger *slog.Logger
	// CacheBytes of blocks kept in memory. Default 32 MiB.
	CacheBytes int64
	// ID a new log gets. Default: a random one.
	ID string
	// TransactionTimeout after which a transaction left open is aborted.
	// Default 1 min.
	TransactionTimeout time.Duration
	// Deterministic leaves everything that waits for a time, and all cleaning,
	// to calls of [Log.Tick], and makes Poll a member's heartbeat: whoever
	// does not poll for a session timeout is taken for dead, and a rebalance
	// waits for everybody's poll. For simulations.
	Deterministic bool
	// Faults decides the fate of transactions. Needs Deterministic. Default:
	// all is well.
	Faults Faults

	tune func(*pebble.Options) // by tests: small sizes, so that little data does all there is
}

func (o Options) withDefaults() (Options, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = 32 << 20
	}
	if o.TransactionTimeout <= 0 {
		o.TransactionTimeout = time.Minute
	}
	if o.Faults == nil {
		o.Faults = func(Attempt) Fate { return Fate{} }
	} else if !o.Deterministic {
		return o, errors.New("faults need a deterministic log")
	}
	return o, nil
}

// Log is a log in a directory. See [log.Log].
type Log struct {
	dir string
	o   Options
	id  string
	db  *pebble.DB
	fs  guardFS
	// maxKeys of a compaction pass.
	maxKeys int
	lock    io.Closer
	logger  *slog.Logger

	// turn is held by the one write that is being prepared and applied.
	turn chan struct{}
	// stop ends the housekeeper, which closes done.
	stop context.CancelFunc
	done chan struct{}
	// reading are the iterators there are. None comes once dead is set.
	reading sync.WaitGroup

	mu sync.Mutex
	// settled is signalled when a write was published, and when the log died.
	settled sync.Cond
	// Invariant: in the order of their turns; what is in here is applied, but
	// not known to be durable.
	inflight []*pending
	// moved collects whom the writes published since the last wake concern.
	moved []chan struct{}
	// dead says why nothing works any more: closed, or failed.
	dead   error
	closed bool
	// Invariant: what follows is as of the last published write, but for the
	// ends of partitions, their holds, and groups' unstable positions, which
	// know of writes in flight.
	topics    map[string]*topic
	byID      map[uint32]*topic
	groups    map[string]*group
	producers map[string]producerRow
	undecided map[string]*txn // open transactions, by transactional id
	counters  counters
	readers   map[*reader]struct{}
}

// Open opens the log in a directory, and creates it if there is none. It fails
// with [log.ErrInUse] while another process has it, with [log.ErrDamaged] if
// files are missing or not what was written, and with an error that says so
// for formats it does not know.
func Open(dir string, o Options) (*Log, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Log{
		dir: dir, o: o, logger: o.Logger, maxKeys: maxPassKeys,
		turn: make(chan struct{}, 1), done: make(chan struct{}),
		topics: map[string]*topic{}, byID: map[uint32]*topic{}, groups: map[string]*group{},
		producers: map[string]producerRow{}, undecided: map[string]*txn{}, readers: map[*reader]struct{}{},
	}
	l.settled.L = &l.mu
	l.fs = guardFS{o.FS, &guard{failed: l.failed}}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("open log in %s: %w", dir, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	if o.Deterministic {
		close(l.done)
	} else {
		go l.keepHouse(ctx)
	}
	return l, nil
}

// ID implements [log.Log].
func (l *Log) ID() string { return l.id }

// Markers implements [log.Log]: records follow one another.
func (l *Log) Markers() int64 { return 0 }

// Close implements [log.Log]. It waits for the reads and writes that are under way.
func (l *Log) Close() error {
	l.stop()
	<-l.done
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	l.mu.Lock()
	l.drain()
	first := !l.closed
	l.closed = true
	if l.dead == nil {
		l.dead = log.ErrClosed
	}
	ready := l.everybody()
	l.mu.Unlock()
	wake(ready)
	if !first {
		return nil
	}
	l.reading.Wait()
	if err := errors.Join(l.db.Close(), l.lock.Close()); err != nil {
		return fmt.Errorf("close log in %s: %w", l.dir, err)
	}
	return nil
}

// everybody returns the Ready channels of all readers and members. l.mu is held.
func (l *Log) everybody() []chan struct{} {
	var ready []chan struct{}
	for r := range l.readers {
		ready = append(ready, r.ready)
	}
	for _, g := range l.groups {
		for _, m := range g.members {
			ready = append(ready, m.ready)
		}
	}
	return ready
}

// wake signals Ready channels; it never blocks. l.mu is not held.
func wake(ready []chan struct{}) {
	for _, c := range ready {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// partition returns a partition. l.mu is held.
func (l *Log) partition(p record.Partition) (*partition, error) {
	t := l.topics[p.Topic]
	if t == nil || p.Number < 0 || int(p.Number) >= len(t.partitions) {
		return nil, fmt.Errorf("%w: %s/%d", log.ErrUnknownTopic, p.Topic, p.Number)
	}
	return t.partitions[p.Number], nil
}
