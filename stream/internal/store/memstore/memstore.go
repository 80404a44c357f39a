// Package memstore keeps tables in memory, for tests and for small groups that
// would rather restore than keep a directory. Nothing outlives Close.
package memstore

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// New returns an empty store.
func New() store.Store {
	return &memStore{tables: make(map[record.Partition]*content)}
}

// memStore is the store. Its lock is held for as long as memory is being
// copied, never longer.
type memStore struct {
	mu     sync.RWMutex
	closed bool
	tables map[record.Partition]*content
}

// content is what lies in the store of one table, open or not.
type content struct {
	identity   store.Identity
	checkpoint store.Checkpoint
	values     map[string][]byte // Invariant: a slice in here is never written to.
	open       bool
}

// Open implements [store.Store].
func (s *memStore) Open(changelog record.Partition, id store.Identity) (store.Table, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("open table %s/%d: %w", changelog.Topic, changelog.Number, store.ErrClosed)
	}
	c, wiped := s.tables[changelog], ""
	switch {
	case c == nil:
		c = &content{identity: id, values: make(map[string][]byte)}
		s.tables[changelog] = c
	case c.open:
		return nil, fmt.Errorf("open table %s/%d: it is open already", changelog.Topic, changelog.Number)
	case c.identity != id:
		wiped = c.identity.Differs(id)
		*c = content{identity: id, values: make(map[string][]byte)}
	}
	c.open = true
	return &table{store: s, content: c, changelog: changelog, wiped: wiped}, nil
}

// Apply implements [store.Store].
func (s *memStore) Apply(changes []store.Change, _ bool) error {
	if err := store.CheckChanges(changes); err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("apply: %w", store.ErrClosed)
	}
	for _, c := range changes {
		t, ok := c.Table.(*table)
		if !ok || t.store != s {
			return fmt.Errorf("apply: table %v is not of this store", c.Table)
		}
		if err := t.usable(); err != nil {
			return fmt.Errorf("apply to %s/%d: %w", t.changelog.Topic, t.changelog.Number, err)
		}
	}
	for _, c := range changes {
		c.Table.(*table).content.apply(c)
	}
	return nil
}

func (c *content) apply(change store.Change) {
	for _, e := range change.Entries {
		if e.Value == nil {
			delete(c.values, string(e.Key))
		} else {
			c.values[string(e.Key)] = append([]byte{}, e.Value...)
		}
	}
	c.checkpoint = change.Checkpoint
}

// Tables implements [store.Store].
func (s *memStore) Tables() ([]store.Info, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, fmt.Errorf("list tables: %w", store.ErrClosed)
	}
	infos := make([]store.Info, 0, len(s.tables))
	for changelog, c := range s.tables {
		infos = append(infos, store.Info{Changelog: changelog, Identity: c.identity, Checkpoint: c.checkpoint})
	}
	slices.SortFunc(infos, store.Info.Compare)
	return infos, nil
}

// Close implements [store.Store].
func (s *memStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.tables = nil
	return nil
}

// table is an open table.
type table struct {
	store     *memStore
	content   *content
	changelog record.Partition
	wiped     string
	closed    bool // guarded by store.mu
}

// usable says why the table cannot be used, if so. The store's lock is held.
func (t *table) usable() error {
	if t.closed || t.store.closed {
		return store.ErrClosed
	}
	return nil
}

func (t *table) Changelog() record.Partition { return t.changelog }
func (t *table) Wiped() string               { return t.wiped }

func (t *table) Checkpoint() store.Checkpoint {
	t.store.mu.RLock()
	defer t.store.mu.RUnlock()
	return t.content.checkpoint
}

// Durable implements [store.Table]: nothing outlives the store, so that nothing
// is lost before it.
func (t *table) Durable() store.Checkpoint { return t.Checkpoint() }

// Get implements [store.Table].
func (t *table) Get(dst, key []byte) ([]byte, bool, error) {
	t.store.mu.RLock()
	defer t.store.mu.RUnlock()
	if err := t.usable(); err != nil {
		return dst, false, t.failed("get", err)
	}
	value, ok := t.content.values[string(key)]
	return append(dst, value...), ok, nil
}

// Scan implements [store.Table]. It sorts the keys anew at every call.
func (t *table) Scan(from []byte, f func(key, value []byte) bool) error {
	entries, err := t.snapshot(from)
	if err != nil {
		return t.failed("scan", err)
	}
	for _, e := range entries {
		if !f(e.Key, e.Value) {
			break
		}
	}
	return nil
}

// snapshot returns the entries at and after from, in key order.
func (t *table) snapshot(from []byte) ([]store.Entry, error) {
	t.store.mu.RLock()
	if err := t.usable(); err != nil {
		t.store.mu.RUnlock()
		return nil, err
	}
	values := maps.Clone(t.content.values)
	t.store.mu.RUnlock()
	entries := make([]store.Entry, 0, len(values))
	for key, value := range values {
		if key >= string(from) {
			entries = append(entries, store.Entry{Key: []byte(key), Value: value})
		}
	}
	slices.SortFunc(entries, func(a, b store.Entry) int { return bytes.Compare(a.Key, b.Key) })
	return entries, nil
}

// Wipe implements [store.Table].
func (t *table) Wipe() error {
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	if err := t.usable(); err != nil {
		return t.failed("wipe", err)
	}
	t.content.values = make(map[string][]byte)
	t.content.checkpoint = store.Checkpoint{}
	return nil
}

// Close implements [store.Table].
func (t *table) Close() error {
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	if !t.closed {
		t.closed = true
		t.content.open = false
	}
	return nil
}

func (t *table) failed(what string, err error) error {
	return fmt.Errorf("%s table %s/%d: %w", what, t.changelog.Topic, t.changelog.Number, err)
}
