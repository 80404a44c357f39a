package pebblestore

import (
	"fmt"
	"sync/atomic"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// table implements [store.Table].
type table struct {
	*content
	changelog record.Partition
	why       string // it was wiped
	closed    atomic.Bool
}

func (t *table) Changelog() record.Partition  { return t.changelog }
func (t *table) Wiped() string                { return t.why }
func (t *table) Checkpoint() store.Checkpoint { return *t.checkpoint.Load() }
func (t *table) Durable() store.Checkpoint    { return *t.durable.Load() }

// Get implements [store.Table].
func (t *table) Get(dst, key []byte) (value []byte, ok bool, err error) {
	if err = t.usable(); err == nil {
		dst, ok, err = t.get(dst, key)
	}
	if err != nil {
		return dst, false, t.failed("get from", err)
	}
	return dst, ok, nil
}

// Scan implements [store.Table].
func (t *table) Scan(from []byte, f func(key, value []byte) bool) error {
	err := t.usable()
	if err == nil {
		err = t.scan(from, f)
	}
	if err != nil {
		return t.failed("scan", err)
	}
	return nil
}

// Wipe implements [store.Table].
func (t *table) Wipe() error {
	t.hold()
	defer t.release()
	err := t.usable()
	if err == nil {
		err = t.wipe()
	}
	if err != nil {
		return t.failed("wipe", err)
	}
	return nil
}

// Close implements [store.Table]. What lazy changes did stays with the store.
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
