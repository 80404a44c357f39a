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
	if err := s.usable(); err != nil {
		return err
	}
	if err := store.CheckChanges(changes); err != nil {
		return err
	}
	if err := checkSpace(s.dir, s.opts.FS); err != nil {
		return err
	}
	steps, err := s.steps(changes)
	if err != nil {
		return err
	}
	for i := range steps {
		steps[i].table.busy <- struct{}{}
		defer func() { <-steps[i].table.busy }()
	}
	if err := s.take(steps, sync); err != nil {
		return err
	}
	for i := range steps {
		steps[i].table.progress.Store(&steps[i].progress)
	}
	return nil
}

// take takes all steps, the tables being the caller's. Large changes become
// files of Pebble's at once.
func (s *Store) take(steps []step, sync bool) error {
	size := 0
	for i := range steps {
		steps[i].progress.changes = steps[i].table.progress.Load().changes + 1
		size += steps[i].bytes()
	}
	if size >= s.opts.largeBytes && !s.opts.Deterministic {
		return s.write(func() error { return s.ingest(steps) })
	}
	return s.write(func() error { return s.commit(steps, size, sync) })
}

// A step is a change, with the progress that it makes.
type step struct {
	table    *table
	entries  []store.Entry
	progress progress
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

// bytes is about how large the step is in a batch.
func (st *step) bytes() int {
	const perStep, perEntry = 128, 1 + prefixLen + 3 // kind, prefix, lengths
	n := perStep + len(st.entries)*perEntry
	for _, e := range st.entries {
		n += len(e.Key) + len(e.Value)
	}
	return n
}

// commit writes the steps as one batch.
func (s *Store) commit(steps []step, size int, sync bool) error {
	b := s.db.NewBatchWithSize(size)
	for i := range steps {
		if err := steps[i].addTo(b); err != nil {
			return err
		}
	}
	if b.Empty() { // Pebble would pass it over, and not sync
		if err := b.LogData(nil, nil); err != nil {
			return err
		}
	}
	return errors.Join(b.Commit(&pebble.WriteOptions{Sync: sync}), b.Close())
}

func (st *step) addTo(b *pebble.Batch) error {
	id := st.table.id
	err := errors.Join(
		b.Set(appendPrefix(nil, id, kindCheckpoint), st.progress.append(nil), nil),
		b.Merge(appendPrefix(nil, id, kindCount), appendCount(nil, 1), nil))
	if err != nil {
		return err
	}
	for _, e := range st.entries {
		var op *pebble.DeferredBatchOp
		if e.Value == nil {
			op = b.DeleteDeferred(prefixLen + len(e.Key))
		} else {
			op = b.SetDeferred(prefixLen+len(e.Key), len(e.Value))
		}
		copy(op.Key[len(appendPrefix(op.Key[:0], id, kindEntry)):], e.Key)
		copy(op.Value, e.Value)
		if err := op.Finish(); err != nil {
			return err
		}
	}
	return nil
}
