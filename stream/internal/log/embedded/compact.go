package embedded

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// Compaction follows Kafka's. A partition has a clean part, which was
// compacted before, and a dirty one behind it:
//
//	start            clean              upTo             stable
//	├── compacted ────┼── keys are read ──┼── next pass ───┤
//	└─────────── records are rewritten ───┘
//
// A pass reads the keys of as much of the dirty part as its map holds, with
// each key's last offset, and then walks everything up to there: a record
// stays if the map does not know of a later one. The rewriting goes in steps;
// each is one atomic write, and any prefix of them leaves a partition that
// folds to the same table. So a pass can be cut off anywhere.
//
// Deletes stay for the topic's DeleteRetention after a pass first met them,
// and for as long as a reader stands before them, which may have seen what
// they delete.
const (
	// maxPassKeys in a pass's map, at about 40 bytes each.
	maxPassKeys = 1 << 20
	// minDirty bytes are not worth a pass.
	minDirty = 1 << 20
	// fullBatch is when a batch that lost nothing is left as it is, rather
	// than merged with its neighbours.
	fullBatch = record.DefaultBatchBytes / 2
)

// keyHash stands for a key. 128 bits, from seeds nobody knows: keys come from
// outside, and two that collide would lose records.
type keyHash [2]uint64

// A pass compacts one partition once.
type pass struct {
	log       *Log
	partition *partition
	from      int64 // where the dirty part begins
	upTo      int64 // what is before is compacted afterwards
	horizon   int64 // of deletes that were not met before
	now       int64
	readers   int64 // no reader stands before this
	seeds     [2]maphash.Seed
	last      map[keyHash]int64
	out       record.Rewriter
	changed   bool // something would be lost if the run stayed as it is
	pace      pacer
}

// errOvertaken ends a pass under which the partition was purged or deleted.
var errOvertaken = errors.New("the partition has changed")

// compactDue compacts the partitions that have enough new in them, or, if
// forced, all that have anything new or deletes whose time is over.
func (l *Log) compactDue(ctx context.Context, force bool) error {
	for _, p := range l.compactible(force) {
		for again := true; again; {
			var err error
			again, err = l.compact(ctx, p)
			if errors.Is(err, errOvertaken) {
				break
			}
			if err != nil {
				return fmt.Errorf("compact %s/%d: %w", p.topic.row.Name, p.number, err)
			}
		}
	}
	return nil
}

// compactible are the partitions to compact now, the oldest topic first.
func (l *Log) compactible(force bool) (due []*partition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.sortedTopics() {
		if t.row.Cleanup&log.Compact == 0 {
			continue
		}
		for _, p := range t.partitions {
			enough := p.dirty >= minDirty && float64(p.dirty) >= t.row.MinDirtyRatio*float64(p.bytes)
			if enough || force {
				due = append(due, p)
			}
		}
	}
	return due
}

// compact makes one pass, and says whether another has something to do.
func (l *Log) compact(ctx context.Context, p *partition) (again bool, err error) {
	x := l.newPass(p)
	stable := x.upTo
	if x.upTo, err = x.readKeys(ctx, stable); err != nil {
		return false, err
	}
	if err := x.rewrite(ctx); err != nil {
		return false, err
	}
	return x.upTo < stable, x.finish(ctx)
}

func (l *Log) newPass(p *partition) *pass {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.o.Now()
	x := &pass{
		log: l, partition: p, from: p.clean, upTo: p.stable(), pace: l.newPacer(p),
		now: now.UnixMilli(), horizon: now.Add(p.topic.row.DeleteRetention).UnixMilli(),
		readers: math.MaxInt64,
		seeds:   [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		last:    map[keyHash]int64{},
	}
	for _, at := range p.readers {
		x.readers = min(x.readers, at)
	}
	return x
}

func (x *pass) hash(key []byte) keyHash {
	return keyHash{maphash.Bytes(x.seeds[0], key), maphash.Bytes(x.seeds[1], key)}
}

// readKeys reads the last offset of every key in the dirty part, batch by
// batch until the map is full, and returns how far it got.
func (x *pass) readKeys(ctx context.Context, stable int64) (upTo int64, err error) {
	full := false
	upTo = x.from
	err = x.walk(ctx, x.from, stable, func(b record.Batch) error {
		if full = len(x.last) >= x.log.maxKeys; full {
			return errStop
		}
		r := b.Reader()
		for r.Next() {
			if key := r.Record().Key; key != nil {
				x.last[x.hash(key)] = r.Record().Offset
			}
		}
		upTo = b.Next()
		return r.Err()
	})
	if err == nil && !full {
		upTo = stable
	}
	return upTo, err
}

// rewrite walks all batches up to upTo and takes out what is superseded.
func (x *pass) rewrite(ctx context.Context) error {
	var run run
	err := x.walk(ctx, 0, x.upTo, func(b record.Batch) error {
		if len(b.Bytes()) >= fullBatch && x.keepsAll(b) {
			return x.step(ctx, &run)
		}
		if err := x.take(b); err != nil {
			return err
		}
		run.add(b)
		if x.out.Bytes() < record.DefaultBatchBytes && run.bytes < maxRun {
			return nil
		}
		return x.step(ctx, &run)
	})
	if err != nil {
		return err
	}
	return x.step(ctx, &run)
}

// walk calls f for the batches with a base in [from, to), in order, until it
// returns errStop or another error. It rests now and then, without holding on
// to anything in Pebble.
func (x *pass) walk(ctx context.Context, from, to int64, f func(record.Batch) error) error {
	for more := true; more; {
		more = false
		read := 0
		err := x.log.eachBatch(x.partition.place(), from, to, func(b record.Batch) error {
			if more = read >= maxRun; more {
				from = b.Base()
				return errStop
			}
			read += len(b.Bytes())
			return f(b)
		})
		if errors.Is(err, errStop) && !more {
			return nil
		}
		if err != nil && !more {
			return err
		}
		if err := x.pace.rest(ctx); err != nil {
			return err
		}
	}
	return nil
}

// A run is neighbouring batches that one step replaces.
type run struct {
	first, last int64 // base offsets
	batches     int
	bytes       int64
}

// maxRun bytes are replaced by one step, however little is left of them.
const maxRun = 8 << 20

func (r *run) add(b record.Batch) {
	if r.batches == 0 {
		r.first = b.Base()
	}
	r.last = b.Base()
	r.batches++
	r.bytes += int64(len(b.Bytes()))
}

// keepsAll tells whether a batch would come out as it went in.
func (x *pass) keepsAll(b record.Batch) bool {
	_, met := b.Horizon()
	r := b.Reader()
	for r.Next() {
		if !x.keeps(b, r.Record()) || r.Record().Value == nil && !met {
			return false
		}
	}
	return r.Err() == nil
}

// keeps tells whether a record stays.
func (x *pass) keeps(b record.Batch, r *record.Record) bool {
	if r.Key == nil {
		return true
	}
	if last, ok := x.last[x.hash(r.Key)]; ok && last > r.Offset {
		return false
	}
	if r.Value != nil {
		return true
	}
	horizon, met := b.Horizon()
	return !met || horizon > x.now || r.Offset >= x.readers
}

// take puts what stays of a batch into the rewriter.
func (x *pass) take(b record.Batch) error {
	horizon, met := b.Horizon()
	if !met {
		horizon = x.horizon
	}
	r := b.Reader()
	for r.Next() {
		keep := x.keeps(b, r.Record())
		if keep {
			x.out.Append(r.Record(), horizon)
		}
		x.changed = x.changed || !keep || r.Record().Value == nil && !met
	}
	return r.Err()
}

// step replaces a run of batches by what the rewriter has of it.
func (x *pass) step(ctx context.Context, r *run) error {
	if r.batches == 0 {
		return nil
	}
	batches := x.out.Seal()
	done := *r
	*r = run{}
	if !x.changed && len(batches) == done.batches {
		return nil // nothing to win
	}
	x.changed = false
	return x.log.writeLazily(ctx, func(b *pebble.Batch) error { return x.planStep(b, done, batches) })
}

func (x *pass) planStep(b *pebble.Batch, old run, fresh []record.Batch) error {
	if x.overtaken(old.first) {
		return errOvertaken
	}
	at := x.partition.place()
	for _, kind := range []byte{kindBatch, kindIndex} {
		delRange(b, offsetKey(nil, kind, at, old.first), offsetKey(nil, kind, at, old.last+1))
	}
	bytes := -old.bytes
	for _, batch := range fresh {
		bytes += int64(len(batch.Bytes()))
		set(b, offsetKey(nil, kindBatch, at, batch.Base()), batch.Bytes())
		set(b, offsetKey(nil, kindIndex, at, batch.Base()), indexOf(batch).append(nil))
	}
	x.log.mu.Lock()
	defer x.log.mu.Unlock()
	x.partition.bytes += bytes
	set(b, placeKey(kindExtent, at), x.partition.encode())
	return nil
}

// overtaken tells whether what stood at an offset was purged meanwhile, so that
// rewriting it would bring it back.
func (x *pass) overtaken(offset int64) bool {
	x.log.mu.Lock()
	defer x.log.mu.Unlock()
	return x.log.byID[x.partition.topic.id] == nil || x.partition.cut > offset
}

// finish moves the clean part's end.
func (x *pass) finish(ctx context.Context) error {
	return x.log.write(ctx, func(b *pebble.Batch) (func(), error) {
		if x.overtaken(x.upTo) {
			return nil, errOvertaken
		}
		dirty := int64(0)
		err := x.log.eachIndex(x.partition.place(), x.upTo, math.MaxInt64, func(_ int64, row indexRow) bool {
			dirty += int64(row.bytes)
			return true
		})
		if err != nil {
			return nil, err
		}
		x.log.mu.Lock()
		defer x.log.mu.Unlock()
		p := x.partition
		p.clean, p.dirty = max(p.clean, x.upTo), dirty
		set(b, placeKey(kindExtent, p.place()), p.encode())
		return func() {}, nil
	})
}

// errStop ends eachBatch.
var errStop = errors.New("stop")

// eachBatch calls f for the batches with a base in [from, to), in order, until
// it returns an error. A batch is valid only during its call.
func (l *Log) eachBatch(at place, from, to int64, f func(record.Batch) error) (err error) {
	it, done, err := l.iterator(offsetKey(nil, kindBatch, at, from), offsetKey(nil, kindBatch, at, to))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, storageError(done())) }()
	for ok := it.First(); ok; ok = it.Next() {
		var b record.Batch
		value, err := it.ValueAndErr()
		if err == nil {
			b, err = parseBatch(it.Key(), value)
		}
		if err == nil {
			err = f(b)
		}
		if err != nil {
			return err
		}
	}
	return it.Error()
}

// A pacer keeps a pass from taking a whole CPU, the less the more there is to
// win: it rests for up to twice as long as it worked, and not at all in a
// partition that is all dirty.
type pacer struct {
	rests float64 // time to rest, per time worked
	since time.Time
}

func (l *Log) newPacer(p *partition) pacer {
	if l.o.Deterministic || p.bytes == 0 {
		return pacer{}
	}
	return pacer{rests: 2 * (1 - float64(p.dirty)/float64(p.bytes)), since: time.Now()}
}

// rest waits for its share of the time since the last rest.
func (p *pacer) rest(ctx context.Context) error {
	if p.rests <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(time.Duration(p.rests * float64(time.Since(p.since))))
	defer t.Stop()
	select {
	case <-t.C:
		p.since = time.Now()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
