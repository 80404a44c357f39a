// Package follow keeps a whole table, all partitions of its changelog, on this
// machine: the engine of views and lookups. It is a restore that never ends.
// Like a thread it is a machine that is stepped; unlike a thread's, its steps
// write to the local store themselves.
package follow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
	"github.com/tagtide/tagtide/stream/internal/table"
)

// Config is what a follower needs.
type Config struct {
	Log   log.Log
	Store store.Store
	Topic string // the changelog
	// Partitioner of the table's keys.
	Partitioner record.Partitioner
	// Space sets this copy apart in the store from other copies of the same
	// changelog, such as the one of the task that owns it. It ends with a colon.
	Space string
	// Changed, if set, is given all that changes, in order within a partition,
	// after it is in the store: at the start everything the store has, then
	// what the log brings. Entries are only valid during the call.
	Changed func(partition int32, entries []store.Entry) error
	Logger  *slog.Logger
}

// A Follower belongs to one goroutine, except for Get, Scan and Progress.
type Follower struct {
	cfg    Config
	reader log.Reader
	parts  []*part
	tables atomic.Pointer[[]store.Table] // by partition, once open
	synced time.Time
	dirty  bool      // something was applied since
	id     string    // of the topic
	lookAt time.Time // when to look for more partitions

	progress atomic.Pointer[Progress]
}

type part struct {
	kept     store.Table
	follower *table.Follower
	from     int64
	target   int64 // recovered at this position
	stable   int64
	heard    time.Time // when the log last told how far the partition goes
}

// Progress tells how far a follower has got; a copy.
type Progress struct {
	Recovered bool    // every partition has reached the end it had when it was opened
	Done      int64   // changelog positions gone through since the start
	ToGo      int64   // changelog positions left to that end
	Next      []int64 // by partition: everything before it can be read
}

// New returns a follower that has not read anything.
func New(cfg Config) *Follower {
	f := &Follower{cfg: cfg, reader: cfg.Log.NewReader(log.ReaderOptions{})}
	f.progress.Store(&Progress{})
	return f
}

// Ready receives after Step may have something to do.
func (f *Follower) Ready() <-chan struct{} { return f.reader.Ready() }

// Progress returns how far the follower has got. Safe from any goroutine.
func (f *Follower) Progress() Progress { return *f.progress.Load() }

// Open finds the table in the log and in the store, and hands over what the
// store has. It is to be called once, before Step.
func (f *Follower) Open(ctx context.Context, now time.Time) error {
	topics, err := f.cfg.Log.Topics(ctx, f.cfg.Topic)
	if err != nil {
		return fmt.Errorf("find topic %s: %w", f.cfg.Topic, err)
	}
	if len(topics) == 0 {
		return fmt.Errorf("table %s: %w", f.cfg.Topic, log.ErrUnknownTopic)
	}
	ends, err := f.cfg.Log.Ends(ctx, f.lacking(topics[0].Partitions)...)
	if err != nil {
		return err
	}
	f.id, f.synced, f.lookAt = topics[0].ID, now, now.Add(LookEvery)
	return f.openParts(topics[0], ends, now)
}

// lacking are the partitions that are not followed of a table that has n.
func (f *Follower) lacking(n int32) (ps []record.Partition) {
	for number := int32(len(f.parts)); number < n; number++ {
		ps = append(ps, record.Partition{Topic: f.cfg.Topic, Number: number})
	}
	return ps
}

// openParts opens the partitions that are not followed yet, and hands over what
// the store has of them.
func (f *Follower) openParts(t log.Topic, ends map[record.Partition]log.Range, now time.Time) error {
	before := len(f.parts)
	for _, p := range f.lacking(t.Partitions) {
		if err := f.openPart(t, p, ends[p], now); err != nil {
			return fmt.Errorf("open table %s partition %d: %w", p.Topic, p.Number, err)
		}
	}
	tables := make([]store.Table, len(f.parts))
	for i, p := range f.parts {
		tables[i] = p.kept
	}
	f.tables.Store(&tables)
	f.publish()
	return f.load(f.parts[before:])
}

// LookEvery is how often it is worth calling Look.
const LookEvery = time.Second

// lookWithin bounds how long a follower waits to hear of partitions.
const lookWithin = time.Second

// Look asks the log, when it is time to, whether the table has got more
// partitions, and follows those from their beginning: then there is something to
// step. It may wait for the log a little; if that does not answer, Look will ask
// again. It belongs to the goroutine of Step, after Open.
func (f *Follower) Look(ctx context.Context, now time.Time) (found bool, err error) {
	if now.Before(f.lookAt) {
		return false, nil
	}
	f.lookAt = now.Add(LookEvery)
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	topic, ends, err := f.grown(ctx)
	if err != nil {
		f.cfg.Logger.Debug("cannot tell whether a table has more partitions", "table", f.cfg.Topic, "error", err)
		return false, nil
	}
	if len(ends) == 0 {
		return false, nil
	}
	f.cfg.Logger.Info("the table has more partitions now, following them", "table", f.cfg.Topic, "had", len(f.parts), "has", topic.Partitions)
	return true, f.openParts(topic, ends, now)
}

// grown returns the table's topic and the extents of the partitions that are not
// followed yet; none if there is nothing new, or if it is another topic by now,
// which reading tells.
func (f *Follower) grown(ctx context.Context) (t log.Topic, ends map[record.Partition]log.Range, err error) {
	counts, err := f.cfg.Log.Partitions(ctx, f.cfg.Topic)
	if err != nil || int(counts[f.cfg.Topic]) <= len(f.parts) {
		return t, nil, err
	}
	topics, err := f.cfg.Log.Topics(ctx, f.cfg.Topic)
	if err != nil || len(topics) == 0 || topics[0].ID != f.id || int(topics[0].Partitions) <= len(f.parts) {
		return t, nil, err
	}
	ends, err = f.cfg.Log.Ends(ctx, f.lacking(topics[0].Partitions)...)
	return topics[0], ends, err
}

// openPart opens the copy of one partition, which is what was written there,
// however many partitions the table has.
func (f *Follower) openPart(t log.Topic, p record.Partition, extent log.Range, now time.Time) error {
	name := record.Partition{Topic: f.cfg.Space + p.Topic, Number: p.Number}
	kept, err := f.cfg.Store.Open(name, store.Identity{LogID: f.cfg.Log.ID(), TopicID: t.ID, Partitioner: f.cfg.Partitioner.String()})
	if err != nil {
		return err
	}
	why := kept.Wiped()
	if why == "" {
		why = table.Check(kept.Checkpoint(), extent, f.cfg.Log.Markers(), now, table.Horizon(t))
		if why != "" {
			err = kept.Wipe()
		}
	}
	if why != "" {
		f.cfg.Logger.Warn("local copy cannot be used, reading the table anew", "table", p.Topic, "partition", p.Number, "reason", why)
	}
	if err != nil {
		return err
	}
	from := max(kept.Checkpoint().Next, extent.Start)
	f.parts = append(f.parts, &part{kept: kept, follower: table.NewFollower(kept, from), from: from, target: extent.End, stable: extent.Stable, heard: now})
	f.reader.Seek(p, from)
	return nil
}

// loadChunk is how many stored rows are handed over at once.
const loadChunk = 4096

// load hands over what the store has of some partitions.
func (f *Follower) load(parts []*part) error {
	if f.cfg.Changed == nil {
		return nil
	}
	for _, p := range parts {
		if err := f.loadPart(p); err != nil {
			return fmt.Errorf("load table %s: %w", f.cfg.Topic, err)
		}
	}
	return nil
}

func (f *Follower) loadPart(p *part) error {
	var chunk []store.Entry
	var arena []byte
	var failed error
	flush := func() bool {
		failed = f.cfg.Changed(p.kept.Changelog().Number, chunk)
		chunk, arena = chunk[:0], arena[:0]
		return failed == nil
	}
	err := p.kept.Scan(nil, func(key, value []byte) bool {
		start := len(arena)
		arena = append(append(arena, key...), value...)
		row := arena[start:len(arena):len(arena)]
		chunk = append(chunk, store.Entry{Key: row[:len(key):len(key)], Value: row[len(key):]})
		return len(chunk) < loadChunk || flush()
	})
	if err == nil && failed == nil {
		flush()
	}
	return errors.Join(err, failed)
}

// syncEvery bounds what a power loss makes the follower read again.
const syncEvery = time.Second

// settleEvery is how old a checkpoint gets before an empty change brings it up
// to what was read since: markers and holes move positions, too.
const settleEvery = time.Hour

// unsettled tells that all there was is in the store, but the checkpoint does
// not tell. Its time is to be the one at which the log was last heard, not the
// clock's: silence does not tell whether there is nothing to read, or no log.
func (p *part) unsettled() bool {
	return p.follower.Len() == 0 && p.follower.Next() >= p.stable && !p.follower.Settled(p.heard)
}

// Step reads and applies what is there, without waiting. If it did nothing,
// nothing changes before wake (zero: never) unless Ready receives.
func (f *Follower) Step(now time.Time) (busy bool, wake time.Time, err error) {
	fetched, err := f.reader.Poll()
	if err != nil {
		return false, wake, fmt.Errorf("read table %s: %w", f.cfg.Topic, err)
	}
	for _, one := range fetched {
		if one.Err != nil {
			return false, wake, fmt.Errorf("read table %s partition %d: %w", f.cfg.Topic, one.Partition.Number, one.Err)
		}
		p := f.parts[one.Partition.Number]
		p.stable, p.heard = one.Range.Stable, now
		if err := p.follower.Take(one); err != nil {
			return false, wake, err
		}
	}
	every := settleEvery
	if f.dirty {
		every = syncEvery
	}
	if err := f.apply(now, now.Sub(f.synced) >= every); err != nil {
		return false, wake, err
	}
	wake = f.synced.Add(settleEvery)
	if f.dirty {
		wake = f.synced.Add(syncEvery)
	}
	f.publish()
	return len(fetched) > 0, wake, nil
}

// apply brings what was taken into the store, then tells of it: near the end at
// once, and while there is a long way to go in chunks over all partitions.
func (f *Follower) apply(now time.Time, sync bool) error {
	full := f.full()
	var changes []store.Change
	for _, p := range f.parts {
		near := p.stable-p.follower.Next() <= 0
		switch {
		case p.follower.Len() > 0 && (near || full):
			changes = append(changes, p.follower.Change(now))
		case sync && p.unsettled() && now.Sub(p.kept.Checkpoint().Time) >= settleEvery:
			changes = append(changes, p.follower.Change(p.heard))
		}
	}
	if len(changes) == 0 && !sync {
		return nil
	}
	if err := f.cfg.Store.Apply(changes, sync); err != nil {
		return fmt.Errorf("apply table %s to the store: %w", f.cfg.Topic, err)
	}
	f.dirty = f.dirty || len(changes) > 0
	if sync {
		f.dirty, f.synced = false, now
	}
	if f.cfg.Changed == nil {
		return nil
	}
	for _, c := range changes {
		if err := f.cfg.Changed(c.Table.Changelog().Number, c.Entries); err != nil {
			return err
		}
	}
	return nil
}

func (f *Follower) full() bool {
	keys, bytes := 0, 0
	for _, p := range f.parts {
		keys += p.follower.Len()
		bytes += p.follower.Bytes()
	}
	return keys >= table.ChunkKeys || bytes >= table.ChunkBytes
}

func (f *Follower) publish() {
	p := Progress{Recovered: true, Next: make([]int64, len(f.parts))}
	for i, part := range f.parts {
		next := part.follower.Applied()
		p.Next[i] = next
		p.Done += next - part.from
		p.ToGo += max(0, part.target-next)
	}
	p.Recovered = p.ToGo == 0
	f.progress.Store(&p)
}

// Get appends the value of key to dst. Safe from any goroutine.
func (f *Follower) Get(dst, key []byte) ([]byte, bool, error) {
	tables := f.tables.Load()
	if tables == nil {
		return dst, false, nil
	}
	return (*tables)[f.cfg.Partitioner.Of(key, int32(len(*tables)))].Get(dst, key)
}

// Scan calls g for all rows at or after from, partition by partition, until it
// returns false. Safe from any goroutine.
func (f *Follower) Scan(from []byte, g func(key, value []byte) bool) error {
	tables := f.tables.Load()
	if tables == nil {
		return nil
	}
	more := true
	for _, t := range *tables {
		err := t.Scan(from, func(key, value []byte) bool {
			more = g(key, value)
			return more
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// Close gives the tables back to the store, settled and synced.
func (f *Follower) Close() error {
	f.reader.Close()
	var changes []store.Change
	for _, p := range f.parts {
		if p.unsettled() {
			changes = append(changes, p.follower.Change(p.heard))
		}
	}
	err := f.cfg.Store.Apply(changes, true)
	for _, p := range f.parts {
		err = errors.Join(err, p.kept.Close())
	}
	return err
}
