package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// The records of a cursors topic, which is compacted and has one partition:
//
//	key              value
//	<id>             <instance> <n>   the mark: who committed last under the id, for the how manieth time
//	<id>/<name>      …                a cursor
func markKey(id string) []byte { return []byte(id) }

func cursorKey(id, name string) []byte { return []byte(id + "/" + name) }

// A cursorTable is what is known of the committed cursors of one id. Safe for
// concurrent use.
type cursorTable struct {
	ready chan struct{} // closed when the table was read

	mu     sync.Mutex
	values map[string][]byte // guarded by mu; by name; values are never written to
	known  bool              // guarded by mu; ready is closed
}

func newCursorTable() *cursorTable { return &cursorTable{ready: make(chan struct{})} }

// await returns t when it was read.
func (t *cursorTable) await(ctx context.Context, q *emitQueue) (*cursorTable, error) {
	for {
		q.mu.Lock()
		ended, moved := q.ended, q.moved
		q.mu.Unlock()
		if ended != nil {
			return nil, ended
		}
		select {
		case <-t.ready:
			return t, nil
		case <-moved:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (t *cursorTable) get(name string) ([]byte, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	value, ok := t.values[name]
	return value, ok
}

// all iterates over a copy of the table.
func (t *cursorTable) all() iter.Seq2[string, []byte] {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.All(maps.Clone(t.values))
}

// replace puts in what was read.
func (t *cursorTable) replace(values map[string][]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.values = values
	if !t.known {
		t.known = true
		close(t.ready)
	}
}

// update puts in what was committed.
func (t *cursorTable) update(cursors []emitCursor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range cursors {
		t.values[c.name] = slices.Clone(c.value)
	}
}

// A cursorReader reads the cursors of one id, up to a position.
type cursorReader struct {
	reader    log.Reader
	id        string
	partition record.Partition
	next      int64
	target    int64 // done when next is there, whatever record stands before it
	since     time.Time
	mark      string
	cursors   map[string][]byte
}

// readCursors begins to read. A producer of the id must have been made before:
// then everything that is or will ever be committed under earlier ones lies
// before the end of the partition.
func readCursors(ctx context.Context, l log.Log, p record.Partition, id string) (*cursorReader, error) {
	ends, err := l.Ends(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("find the end of the cursors: %w", err)
	}
	r := &cursorReader{
		reader: l.NewReader(log.ReaderOptions{}), id: id, partition: p,
		next: ends[p].Start, target: ends[p].End, cursors: map[string][]byte{},
	}
	r.reader.Seek(p, r.next)
	return r, nil
}

// step reads what is there to be read.
func (r *cursorReader) step() (progress, done bool, err error) {
	if r.next >= r.target {
		return true, true, nil
	}
	fetched, err := r.reader.Poll()
	if err != nil {
		return false, false, fmt.Errorf("read the cursors: %w", err)
	}
	for i := range fetched {
		f := &fetched[i]
		if f.Err != nil {
			if err := r.failed(f); err != nil {
				return false, false, err
			}
			continue
		}
		if err := r.apply(f); err != nil {
			return false, false, err
		}
		r.next = f.Next
	}
	return len(fetched) > 0, r.next >= r.target, nil
}

// failed goes on behind what was removed while it was to be read.
func (r *cursorReader) failed(f *log.Fetched) error {
	if errors.Is(f.Err, log.ErrOutOfRange) && f.Range.Start > r.next {
		r.next = f.Range.Start
		r.reader.Seek(r.partition, r.next)
		return nil
	}
	return fmt.Errorf("read the cursors at %d: %w", r.next, f.Err)
}

func (r *cursorReader) apply(f *log.Fetched) error {
	for _, batch := range f.Batches {
		records := batch.Reader()
		for records.Next() {
			if rec := records.Record(); rec.Offset >= f.From {
				r.set(rec)
			}
		}
		if err := records.Err(); err != nil {
			return fmt.Errorf("read the cursors: %w: %w", log.ErrDamaged, err)
		}
	}
	return nil
}

// set takes over a record, if it is of our id.
func (r *cursorReader) set(rec *record.Record) {
	id, name, isCursor := bytes.Cut(rec.Key, []byte("/"))
	switch {
	case string(id) != r.id:
	case !isCursor:
		r.mark = string(rec.Value)
	case rec.Value == nil:
		delete(r.cursors, string(name))
	default:
		r.cursors[string(name)] = bytes.Clone(rec.Value)
	}
}

// cursorsLate is after how long reading the cursors is worth a word.
const cursorsLate = 5 * time.Second

// stuck tells, now and then, that the end has not been reached for long.
func (r *cursorReader) stuck(now time.Time) bool {
	if r.since.IsZero() {
		r.since = now
	}
	if now.Sub(r.since) < cursorsLate {
		return false
	}
	r.since = now
	return true
}

// holders names the open transactions that may be in the way.
func (r *cursorReader) holders(ctx context.Context, l log.Log) string {
	open, err := l.OpenTransactions(ctx)
	if err != nil {
		return "unknown: " + err.Error()
	}
	var names []string
	for _, t := range open {
		if slices.Contains(t.Partitions, r.partition) {
			names = append(names, t.TransactionalID)
		}
	}
	return strings.Join(names, ", ")
}
