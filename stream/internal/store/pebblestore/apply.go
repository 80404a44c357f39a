package pebblestore

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
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
		steps[i].content.hold()
		defer steps[i].content.release()
	}
	if s.closing.Load() { // whoever holds a content before that is waited for
		return store.ErrClosed
	}
	return s.applySteps(steps, sync)
}

// applySteps takes the steps that are not lazy, all or none, and then the lazy
// ones. Their contents are held.
func (s *Store) applySteps(steps []step, sync bool) error {
	lazy := func(st step) bool { return st.lazy }
	eager := slices.DeleteFunc(slices.Clone(steps), lazy)
	if err := s.writeGathers(contentsOf(eager)); err != nil {
		return err
	}
	if len(eager) > 0 || sync {
		if err := s.take(eager, sync); err != nil {
			return err
		}
	}
	for i := range steps {
		if st := &steps[i]; st.lazy {
			st.content.add(st.entries, st.checkpoint)
		}
	}
	return s.relieve(contentsOf(steps))
}

func contentsOf(steps []step) (contents []*content) {
	for i := range steps {
		contents = append(contents, steps[i].content)
	}
	return contents
}

// take gives steps to Pebble, all or none. Their contents are held. Large steps
// become files of Pebble's at once.
func (s *Store) take(steps []step, sync bool) error {
	how := func() error { return s.commit(steps, sync) }
	if sizeOf(steps) >= s.opts.largeBytes && !s.opts.Deterministic {
		how, sync = func() error { return s.ingest(steps) }, true
	}
	if err := s.write(how); err != nil {
		return err
	}
	for i := range steps {
		steps[i].content.moved(steps[i].progress(), sync)
	}
	return nil
}

func sizeOf(steps []step) (size int) {
	for i := range steps {
		size += steps[i].size()
	}
	return size
}

// A step is a change, or what lazy changes have come to.
type step struct {
	content    *content
	entries    []store.Entry
	gathered   *gather // instead of entries
	checkpoint store.Checkpoint
	lazy       bool
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
		steps[i] = step{content: t.content, entries: c.Entries, checkpoint: c.Checkpoint, lazy: c.Lazy}
	}
	slices.SortFunc(steps, func(a, b step) int { return cmp.Compare(a.content.id, b.content.id) })
	return steps, nil
}

// progress is what the step makes of what Pebble has.
func (st *step) progress() progress {
	return progress{checkpoint: st.checkpoint, changes: st.content.kept.changes + 1}
}

// rows yields keys in order, with nil values where rows are deleted.
func (st *step) rows() iter.Seq2[[]byte, []byte] {
	if st.gathered != nil {
		return st.gathered.all(nil)
	}
	return func(yield func(key, value []byte) bool) {
		for _, e := range st.entries {
			if !yield(e.Key, e.Value) {
				return
			}
		}
	}
}

// size is about how large the step is in a batch.
func (st *step) size() int {
	const perStep, perEntry = 128, 1 + prefixLen + 3 // kind, prefix, lengths
	if st.gathered != nil {
		return perStep + st.gathered.bytes()
	}
	n := perStep + len(st.entries)*perEntry
	for _, e := range st.entries {
		n += len(e.Key) + len(e.Value)
	}
	return n
}

// commit writes the steps as one batch.
func (s *Store) commit(steps []step, sync bool) error {
	b := s.db.NewBatchWithSize(sizeOf(steps))
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
	id, to := st.content.id, st.progress()
	err := errors.Join(
		b.Set(appendPrefix(nil, id, kindCheckpoint), to.append(nil), nil),
		b.Merge(appendPrefix(nil, id, kindCount), appendCount(nil, 1), nil))
	if err != nil {
		return err
	}
	for key, value := range st.rows() {
		var op *pebble.DeferredBatchOp
		if value == nil {
			op = b.DeleteDeferred(prefixLen + len(key))
		} else {
			op = b.SetDeferred(prefixLen+len(key), len(value))
		}
		copy(op.Key[len(appendPrefix(op.Key[:0], id, kindEntry)):], key)
		copy(op.Value, value)
		if err := op.Finish(); err != nil {
			return err
		}
	}
	return nil
}
