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

// load reads the table's progress. A table whose changes do not add up has
// lost some from the middle: it is wiped, for no checkpoint tells what is in it.
func (t *table) load() error {
	p, err := t.store.progress(t.id)
	if err != nil {
		return err
	}
	var count uint64
	err = t.store.get(appendPrefix(nil, t.id, kindCount), func(value []byte) error {
		count, err = decodeCount(value)
		return err
	})
	if err != nil {
		return err
	}
	t.progress.Store(&p)
	if count == p.changes {
		return nil
	}
	t.wiped = fmt.Sprintf("damaged: %d of %d changes are there", count, p.changes)
	return t.wipe()
}

func (t *table) Changelog() record.Partition  { return t.changelog }
func (t *table) Wiped() string                { return t.wiped }
func (t *table) Checkpoint() store.Checkpoint { return t.progress.Load().checkpoint }

// Get implements [store.Table].
func (t *table) Get(dst, key []byte) ([]byte, bool, error) {
	if err := t.usable(); err != nil {
		return dst, false, t.failed("get from", err)
	}
	// The end of dst is room for the key: Pebble is done with it when the
	// value is written there.
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
	if err := t.scan(from, f); err != nil {
		return t.failed("scan", err)
	}
	return nil
}

func (t *table) scan(from []byte, f func(key, value []byte) bool) (err error) {
	_, end := t.id.span()
	it, err := t.store.db.NewIter(&pebble.IterOptions{
		LowerBound: append(appendPrefix(nil, t.id, kindEntry), from...),
		UpperBound: end,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for it.First(); it.Valid(); it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if !f(it.Key()[prefixLen:], value) {
			break
		}
	}
	return nil
}

// Wipe implements [store.Table].
func (t *table) Wipe() error {
	t.busy <- struct{}{}
	defer func() { <-t.busy }()
	if err := t.usable(); err != nil {
		return t.failed("wipe", err)
	}
	if err := t.wipe(); err != nil {
		return t.failed("wipe", err)
	}
	return nil
}

func (t *table) wipe() error {
	start, end := t.id.span()
	err := t.store.write(func() error { return t.store.db.DeleteRange(start, end, pebble.Sync) })
	if err == nil {
		t.progress.Store(&progress{})
	}
	return err
}

// Close implements [store.Table].
func (t *table) Close() error {
	if t.closed.Swap(true) {
		return nil
	}
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	e := t.store.catalogue[t.changelog]
	e.open = false
	t.store.catalogue[t.changelog] = e
	return nil
}

// usable says why the table cannot be used, if so.
func (t *table) usable() error {
	if t.closed.Load() {
		return store.ErrClosed
	}
	return t.store.usable()
}

func (t *table) failed(what string, err error) error {
	return fmt.Errorf("%s table %s/%d in %s: %w", what, t.changelog.Topic, t.changelog.Number, t.store.dir, t.store.judge(err))
}
