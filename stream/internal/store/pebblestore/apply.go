package pebblestore

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tagtide/tagtide/stream/internal/store"
)

// Apply implements [store.Store].
func (s *Store) Apply(changes []store.Change, sync bool) error {
	if err := s.apply(changes, sync); err != nil {
		return fmt.Errorf("apply to store %s: %w", s.dir, err)
	}
	return nil
}

func (s *Store) apply(changes []store.Change, sync bool) error {
	if s.closed.Load() {
		return store.ErrClosed
	}
	if err := store.CheckChanges(changes); err != nil {
		return err
	}
	steps, err := s.steps(changes)
	if err != nil {
		return err
	}
	for _, st := range steps {
		st.table.busy <- struct{}{}
		defer func() { <-st.table.busy }()
	}
	b := s.db.NewBatchWithSize(batchBytes(steps))
	for i := range steps {
		if err := steps[i].add(b); err != nil {
			return err
		}
	}
	if err := s.commit(b, sync); err != nil {
		return err
	}
	for i := range steps {
		steps[i].table.progress.Store(&steps[i].progress)
	}
	return nil
}

// A step is a change, with the progress it makes.
type step struct {
	table    *table
	progress progress
	entries  []store.Entry
}

// steps returns the changes in the order of their tables' ids: that is the
// order of their keys, and one in which calls cannot block one another.
func (s *Store) steps(changes []store.Change) ([]step, error) {
	steps := make([]step, len(changes))
	for i, c := range changes {
		t, ok := c.Table.(*table)
		if !ok || t.store != s {
			return nil, errors.New("a table of another store")
		}
		if err := t.usable(); err != nil {
			return nil, err
		}
		steps[i] = step{table: t, entries: c.Entries, progress: progress{checkpoint: c.Checkpoint}}
	}
	slices.SortFunc(steps, func(a, b step) int { return cmp.Compare(a.table.id, b.table.id) })
	return steps, nil
}

// add adds the change to a batch. The table is the caller's, so that nobody
// else counts.
func (st *step) add(b *pebble.Batch) error {
	var buf [checkpointLen]byte
	st.progress.changes = st.table.progress.Load().changes + 1
	id := st.table.id
	err := errors.Join(
		b.Set(appendPrefix(nil, id, kindCheckpoint), st.progress.append(buf[:0]), nil),
		b.Merge(appendPrefix(nil, id, kindCount), appendCount(nil, 1), nil))
	if err != nil {
		return err
	}
	for _, e := range st.entries {
		if e.Value == nil {
			op := b.DeleteDeferred(prefixLen + len(e.Key))
			copy(appendPrefix(op.Key[:0], id, kindEntry)[prefixLen:prefixLen+len(e.Key)], e.Key)
			if err := op.Finish(); err != nil {
				return err
			}
			continue
		}
		op := b.SetDeferred(prefixLen+len(e.Key), len(e.Value))
		copy(appendPrefix(op.Key[:0], id, kindEntry)[prefixLen:prefixLen+len(e.Key)], e.Key)
		copy(op.Value, e.Value)
		if err := op.Finish(); err != nil {
			return err
		}
	}
	return nil
}

// batchBytes is about how large the batch will be.
func batchBytes(steps []step) int {
	const perEntry = 1 + prefixLen + 3 // kind, prefix, lengths
	n := 64
	for _, st := range steps {
		n += 128
		for _, e := range st.entries {
			n += perEntry + len(e.Key) + len(e.Value)
		}
	}
	return n
}

// commit writes a batch, and gives it back. An empty one is of use too: with
// sync, it makes durable what was written before. Pebble would pass it over.
func (s *Store) commit(b *pebble.Batch, sync bool) error {
	if sync && b.Empty() {
		if err := b.LogData(nil, nil); err != nil {
			return err
		}
	}
	if err := s.db.Apply(b, &pebble.WriteOptions{Sync: sync}); err != nil {
		return err
	}
	return b.Close()
}
