package table

import (
	"cmp"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// A Follower copies a changelog partition that somebody else writes, or wrote,
// into a store: fetched batches are folded to the last value of each key and
// applied as one change, with the position they reach. It belongs to one
// goroutine.
type Follower struct {
	kept  store.Table
	from  int64
	next  int64 // position behind all that was folded or applied
	given int64 // position of the last Change
	last  map[string][]byte
	bytes int // of the batches that last points into
}

// A chunk of what was folded is large enough to be applied sorted and in bulk,
// and small enough to be held in memory.
const (
	ChunkKeys  = 1 << 17
	ChunkBytes = 32 << 20
)

// NewFollower follows into kept, which it does not own, from a position on: the
// checkpoint of kept, or the changelog's start if that is behind it.
func NewFollower(kept store.Table, from int64) *Follower {
	return &Follower{kept: kept, from: from, next: from, last: map[string][]byte{}}
}

// Next is the position behind all that was taken.
func (f *Follower) Next() int64 { return f.next }

// Len is the number of keys folded and not yet applied.
func (f *Follower) Len() int { return len(f.last) }

// Bytes is how much memory the batches hold that Len keys point into.
func (f *Follower) Bytes() int { return f.bytes }

// Full tells that what was folded is a chunk.
func (f *Follower) Full() bool { return len(f.last) >= ChunkKeys || f.bytes >= ChunkBytes }

// Applied is the position up to which everything is in the store: behind Next
// while something is folded, or its Change is being applied.
func (f *Follower) Applied() int64 {
	kept := f.kept.Checkpoint().Next
	if len(f.last) == 0 && kept >= f.given {
		return f.next
	}
	return max(kept, f.from)
}

// Settled tells whether the checkpoint is as good as one could be now: at Next,
// and of a time that is within an hour of seen, when Next was found to be all
// there is. If not, and nothing is folded, an empty Change makes it so. It
// matters to Check: a changelog's end is often not right behind its last
// record, but behind a marker or a hole, and a checkpoint that stays before
// that looks like one that has missed something.
func (f *Follower) Settled(seen time.Time) bool {
	c := f.kept.Checkpoint()
	return f.next == 0 || f.next == c.Next && seen.Sub(c.Time) < time.Hour
}

// Take folds what was fetched at Next. It keeps references to the batches
// until the change made of them is applied.
func (f *Follower) Take(fetched log.Fetched) error {
	for _, b := range fetched.Batches {
		r := b.Reader()
		f.bytes += len(b.Bytes())
		for r.Next() {
			if rec := r.Record(); rec.Offset >= f.next {
				f.last[str(rec.Key)] = rec.Value
			}
		}
		if err := r.Err(); err != nil {
			return fmt.Errorf("read %s partition %d: %w", fetched.Partition.Topic, fetched.Partition.Number, err)
		}
	}
	f.next = max(f.next, fetched.Next)
	if len(f.last) == 0 {
		f.bytes = 0
	}
	return nil
}

// Change returns what was taken since the last Change, for store.Apply, sorted
// by key. The entries point into the batches.
func (f *Follower) Change(now time.Time) store.Change {
	entries := make([]store.Entry, 0, len(f.last))
	for key, value := range f.last {
		entries = append(entries, store.Entry{Key: raw(key), Value: value})
	}
	clear(f.last)
	f.bytes, f.given = 0, f.next
	slices.SortFunc(entries, func(a, b store.Entry) int {
		return cmp.Compare(str(a.Key), str(b.Key))
	})
	c := f.kept.Checkpoint()
	return store.Change{Table: f.kept, Entries: entries, Checkpoint: store.Checkpoint{Next: f.next, Commit: c.Commit + 1, Time: now}}
}

// Sweep does nothing: rows of a changelog end by deletes.
func (f *Follower) Sweep(*store.Change) error { return nil }

// str and raw look at the same bytes as the other type, without a copy. They
// are for bytes that nobody writes to: those of batches and of staged keys.
func str(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func raw(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// Horizon is for how long a store that was not written may be followed on from:
// half of the time that deletes stay readable in the changelog.
func Horizon(changelog log.Topic) time.Duration {
	if changelog.DeleteRetention == 0 {
		return 12 * time.Hour
	}
	return changelog.DeleteRetention / 2
}

// Check tells whether a table kept from an earlier run may be followed on from
// its checkpoint, given the changelog's extent now. If not, it says why; the
// table must be wiped, and the changelog read from its start.
//
// Behind the horizon a delete may have been compacted away before this table
// saw it, and its key would come back; that only matters if there is something
// newer to read. The markers of one transaction (see [log.Log]) are nothing: it
// is the one that the checkpoint stands behind, since another would have at
// least a record before them. More than that may be no more than markers and
// holes, but may also be what is left of a delete: that they look the same is
// why followers settle their checkpoints.
func Check(c store.Checkpoint, extent log.Range, markers int64, now time.Time, horizon time.Duration) (reason string) {
	switch {
	case c.Next > extent.End:
		return fmt.Sprintf("the store has position %d, but the changelog ends at %d: it is not the changelog this store was made from", c.Next, extent.End)
	case c.Next == 0 || c.Next >= extent.Start && extent.End-c.Next <= markers:
		return ""
	case c.Next < extent.Start:
		return fmt.Sprintf("the store has position %d, but the changelog begins at %d: what is between is gone", c.Next, extent.Start)
	case now.Sub(c.Time) > horizon:
		return fmt.Sprintf("the store was last written %s ago, and deletes older than %s may be gone from the changelog", now.Sub(c.Time).Round(time.Second), horizon)
	}
	return ""
}
