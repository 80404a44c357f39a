// Package pebblestore keeps tables on disk, all tables of a process in one
// Pebble.
//
// docs/formats/store.md draws what lies in it.
package pebblestore

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// Store implements [store.Store].
type Store struct {
	dir  string
	opts Options
	lock *pebble.Lock
	db   *pebble.DB

	closed  atomic.Bool
	broken  atomic.Pointer[error] // why nothing can be written any more
	opening chan struct{}         // holds a token while a table is being opened

	mu        sync.Mutex // guards the catalogue; never held while the disk is used
	catalogue map[record.Partition]*entry
	nextID    tableID
}

// An entry of the catalogue, as it lies in the store.
type entry struct {
	id   tableID
	row  row
	open bool
}

// Open opens the store in a directory, which it creates if need be and which
// is its own. [store.ErrInUse] if it is open elsewhere, [store.ErrDamaged] if
// its files cannot be trusted: see [OpenOrWipe].
func Open(dir string, o Options) (*Store, error) {
	o.ensureDefaults()
	s, err := open(dir, o)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	return s, nil
}

func open(dir string, o Options) (*Store, error) {
	lock, err := lockDir(dir, o.FS)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, opts: o, lock: lock, opening: make(chan struct{}, 1), catalogue: make(map[record.Partition]*entry), nextID: 1}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// lockDir creates the directory and takes it for this process.
func lockDir(dir string, fs vfs.FS) (*pebble.Lock, error) {
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := pebble.LockDirectory(dir, fs)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", store.ErrInUse, err)
	}
	return lock, nil
}

// load opens Pebble and reads the catalogue.
func (s *Store) load() error {
	db, err := pebble.Open(s.dir, s.opts.pebble(s.lock, &pebble.EventListener{}))
	if err != nil {
		return err
	}
	s.db = db
	if err := s.loadCatalogue(); err != nil {
		return errors.Join(err, db.Close())
	}
	return nil
}

func (s *Store) loadCatalogue() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: catalogueKey(0), UpperBound: catalogueKey(0xffff)})
	if err != nil {
		return err
	}
	for it.First(); it.Valid(); it.Next() {
		id := tableID(it.Key()[prefixLen])<<8 | tableID(it.Key()[prefixLen+1])
		r, err := decodeRow(it.Value())
		if err != nil {
			return errors.Join(err, it.Close())
		}
		s.catalogue[r.changelog()] = &entry{id: id, row: r}
		s.nextID = max(s.nextID, id+1)
	}
	return it.Close()
}

// Open implements [store.Store].
func (s *Store) Open(changelog record.Partition, id store.Identity) (store.Table, error) {
	t, err := s.openTable(changelog, id)
	if err != nil {
		return nil, fmt.Errorf("open table %s/%d: %w", changelog.Topic, changelog.Number, err)
	}
	return t, nil
}

func (s *Store) openTable(changelog record.Partition, id store.Identity) (*table, error) {
	if s.closed.Load() {
		return nil, store.ErrClosed
	}
	s.opening <- struct{}{}
	defer func() { <-s.opening }()
	s.mu.Lock()
	e := s.catalogue[changelog]
	s.mu.Unlock()
	t := &table{store: s, changelog: changelog, busy: make(chan struct{}, 1)}
	switch {
	case e == nil:
		e = &entry{id: s.nextID, row: newRow(changelog, id)}
		if err := s.create(e); err != nil {
			return nil, err
		}
	case e.open:
		return nil, errors.New("it is open already")
	case e.row.identity() != id:
		t.wiped = e.row.identity().Differs(id)
		e.row = newRow(changelog, id)
		if err := s.create(e); err != nil {
			return nil, err
		}
	}
	t.id = e.id
	p, err := s.progress(e.id)
	if err != nil {
		return nil, err
	}
	t.progress.Store(&p)
	s.mu.Lock()
	defer s.mu.Unlock()
	e.open = true
	s.catalogue[changelog] = e
	s.nextID = max(s.nextID, e.id+1)
	return t, nil
}

// create makes an empty table of what lies under the entry's id.
func (s *Store) create(e *entry) error {
	b := s.db.NewBatch()
	start, end := e.id.span()
	err := errors.Join(
		b.DeleteRange(start, end, nil),
		b.Set(catalogueKey(e.id), e.row.encode(), nil))
	if err != nil {
		return err
	}
	return s.commit(b, true)
}

// progress reads how far a table is.
func (s *Store) progress(id tableID) (progress, error) {
	data, closer, err := s.db.Get(appendPrefix(nil, id, kindCheckpoint))
	if errors.Is(err, pebble.ErrNotFound) {
		return progress{}, nil
	}
	if err != nil {
		return progress{}, err
	}
	p, err := decodeProgress(data)
	return p, errors.Join(err, closer.Close())
}

// Tables implements [store.Store].
func (s *Store) Tables() ([]store.Info, error) {
	if s.closed.Load() {
		return nil, fmt.Errorf("list tables of %s: %w", s.dir, store.ErrClosed)
	}
	s.mu.Lock()
	entries := make([]entry, 0, len(s.catalogue))
	for _, e := range s.catalogue {
		entries = append(entries, *e)
	}
	s.mu.Unlock()
	infos := make([]store.Info, len(entries))
	for i, e := range entries {
		p, err := s.progress(e.id)
		if err != nil {
			return nil, err
		}
		infos[i] = store.Info{Changelog: e.row.changelog(), Identity: e.row.identity(), Checkpoint: p.checkpoint}
	}
	slices.SortFunc(infos, store.Info.Compare)
	return infos, nil
}

// Close implements [store.Store].
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return errors.Join(s.db.LogData(nil, pebble.Sync), s.db.Close(), s.lock.Close())
}
