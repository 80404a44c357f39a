package pebblestore

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// table implements [store.Table].
type table struct {
	store     *Store
	changelog record.Partition
	id        tableID
	wiped     string
	closed    atomic.Bool
	progress  atomic.Pointer[progress] // what lies in the store
	busy      chan struct{}            // holds a token while the table is being changed
}

func (t *table) Changelog() record.Partition  { return t.changelog }
func (t *table) Wiped() string                { return t.wiped }
func (t *table) Checkpoint() store.Checkpoint { return t.progress.Load().checkpoint }

// Get implements [store.Table].
func (t *table) Get(dst, key []byte) ([]byte, bool, error) {
	if err := t.usable(); err != nil {
		return dst, false, t.failed("get from", err)
	}
	// The tail of dst serves as room for the key: it is only read before the
	// value is written over it.
	n := len(dst)
	dst = append(appendPrefix(dst, t.id, kindEntry), key...)
	value, closer, err := t.store.db.Get(dst[n:])
	dst = dst[:n]
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, t.failed("get from", err)
	}
	dst = append(dst, value...)
	if err := closer.Close(); err != nil {
		return dst[:n], false, t.failed("get from", err)
	}
	return dst, true, nil
}

// Scan implements [store.Table].
func (t *table) Scan(from []byte, f func(key, value []byte) bool) error {
	if err := t.usable(); err != nil {
		return t.failed("scan", err)
	}
	_, end := t.id.span()
	it, err := t.store.db.NewIter(&pebble.IterOptions{
		LowerBound: append(appendPrefix(nil, t.id, kindEntry), from...),
		UpperBound: end,
	})
	if err != nil {
		return t.failed("scan", err)
	}
	for it.First(); it.Valid(); it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return t.failed("scan", errors.Join(err, it.Close()))
		}
		if !f(it.Key()[prefixLen:], value) {
			break
		}
	}
	if err := it.Close(); err != nil {
		return t.failed("scan", err)
	}
	return nil
}

// Wipe implements [store.Table].
func (t *table) Wipe() error {
	if err := t.usable(); err != nil {
		return t.failed("wipe", err)
	}
	t.busy <- struct{}{}
	defer func() { <-t.busy }()
	b := t.store.db.NewBatch()
	start, end := t.id.span()
	if err := b.DeleteRange(start, end, nil); err != nil {
		return t.failed("wipe", err)
	}
	if err := t.store.commit(b, true); err != nil {
		return t.failed("wipe", err)
	}
	t.progress.Store(&progress{})
	return nil
}

// Close implements [store.Table].
func (t *table) Close() error {
	if t.closed.Swap(true) {
		return nil
	}
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	t.store.catalogue[t.changelog].open = false
	return nil
}

// usable says why the table cannot be used, if so.
func (t *table) usable() error {
	if t.closed.Load() || t.store.closed.Load() {
		return store.ErrClosed
	}
	return nil
}

func (t *table) failed(what string, err error) error {
	return fmt.Errorf("%s table %s/%d in %s: %w", what, t.changelog.Topic, t.changelog.Number, t.store.dir, err)
}
