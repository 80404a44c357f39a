// Package pebblestore keeps tables on disk, all tables of a process in one
// Pebble.
//
// docs/formats/store.md draws what lies in it; format.go writes and reads it.
package pebblestore

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// Store implements [store.Store].
type Store struct {
	dir    string
	opts   Options
	pebble *pebble.Options
	lock   *pebble.Lock
	db     *pebble.DB

	closing  atomic.Bool
	closed   atomic.Bool
	fault    atomic.Pointer[fault] // Invariant: once set it stays.
	files    atomic.Uint64         // numbers the files made for large changes
	stuck    chan struct{}         // is closed when Pebble will never go on
	opening  chan struct{}         // holds a token while a table is being opened
	gathered atomic.Int64          // bytes in the gathers of all contents
	late     *late
	apart    apart

	mu        sync.Mutex // guards the catalogue; never held while the disk is used
	catalogue map[record.Partition]entry
}

// An entry is a table's row in the catalogue, with what is not stored of it.
type entry struct {
	row     row
	id      tableID
	open    bool
	content *content // nil: it was not opened yet
}

// Open opens the store in a directory of its own, which it creates if need be.
// [store.ErrInUse] if it is open elsewhere; [store.ErrDamaged] if its files
// cannot be trusted, see [OpenOrWipe].
func Open(dir string, o Options) (*Store, error) {
	s, _, err := open(dir, o, false)
	return s, err
}

// OpenOrWipe is Open, but deletes a damaged store and opens an empty one
// instead. wiped says why, or is empty.
func OpenOrWipe(dir string, o Options) (s *Store, wiped string, err error) {
	return open(dir, o, true)
}

func open(dir string, o Options, wipe bool) (s *Store, wiped string, err error) {
	o.ensureDefaults()
	lock, err := lockDir(dir, o.FS)
	if err != nil {
		return nil, "", fmt.Errorf("open store %s: %w", dir, err)
	}
	s, err = load(dir, o, lock)
	if wipe && errors.Is(err, store.ErrDamaged) {
		wiped = err.Error()
		if err = removeFiles(dir, o.FS); err == nil {
			s, err = load(dir, o, lock)
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("open store %s: %w", dir, errors.Join(err, lock.Close()))
	}
	return s, wiped, nil
}

// lockDir creates the directory and takes it for this process.
func lockDir(dir string, fs vfs.FS) (*pebble.Lock, error) {
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := pebble.LockDirectory(dir, fs)
	if err != nil && (!isDiskError(err) || errors.Is(err, syscall.EAGAIN)) {
		return nil, fmt.Errorf("%w: %w", store.ErrInUse, err)
	}
	return lock, err
}

// load opens Pebble and reads the catalogue.
func load(dir string, o Options, lock *pebble.Lock) (*Store, error) {
	s := &Store{dir: dir, opts: o, lock: lock, stuck: make(chan struct{}), opening: make(chan struct{}, 1), catalogue: make(map[record.Partition]entry)}
	s.late = newLate(s)
	if err := checkFiles(dir, o.FS); err != nil {
		return nil, err
	}
	if err := s.openPebble(); err != nil {
		return nil, err
	}
	err := s.loadFormat()
	if err == nil {
		err = s.loadCatalogue()
	}
	if err != nil {
		return nil, errors.Join(s.judge(err), s.db.Close())
	}
	return s, nil
}

// openPebble opens Pebble. Whatever keeps Pebble from opening, and is not the
// disk's refusal, is taken for damage: there is nothing else it could be.
func (s *Store) openPebble() (err error) {
	o := newOpening(s.opts.FS)
	s.pebble = s.opts.pebble(o, s.lock, s.listener(o), &s.apart)
	s.db, err = o.run(s.callPebble)
	if o.abandoned() { // and does not give back its share of the lock
		err = errors.Join(err, s.lock.Close())
	}
	if err != nil && !isDiskError(err) && !errors.Is(err, store.ErrDamaged) {
		err = fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	return err
}

// callPebble makes errors of Pebble's panics.
func (s *Store) callPebble() (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("pebble panicked: %v", r)
			if f, ok := r.(fatal); ok {
				err = f
			}
		}
	}()
	return pebble.Open(s.dir, s.pebble)
}

// loadFormat checks the version of the formats, and writes it into a new store.
func (s *Store) loadFormat() error {
	value, closer, err := s.db.Get(formatKey())
	if errors.Is(err, pebble.ErrNotFound) {
		return s.saveFormat()
	}
	if err != nil {
		return err
	}
	if string(value) != format {
		err = fmt.Errorf("%w: its format is %.20q, this program reads %q", store.ErrDamaged, value, format)
	}
	return errors.Join(err, closer.Close())
}

func (s *Store) saveFormat() error {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return err
	}
	if it.First() {
		err = fmt.Errorf("%w: it has keys, but no format version", store.ErrDamaged)
	}
	if err = errors.Join(err, it.Close()); err != nil {
		return err
	}
	return s.write(func() error { return s.db.Set(formatKey(), []byte(format), pebble.Sync) })
}

func (s *Store) loadCatalogue() error {
	start, end := catalogueSpan()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return err
	}
	for it.First(); it.Valid(); it.Next() {
		id, r, err := decodeCatalogue(it.Key(), it.Value())
		if err != nil {
			return errors.Join(fmt.Errorf("%w: %w", store.ErrDamaged, err), it.Close())
		}
		s.catalogue[r.changelog()] = entry{row: r, id: id}
	}
	return it.Close()
}

// Open implements [store.Store].
func (s *Store) Open(changelog record.Partition, id store.Identity) (store.Table, error) {
	t, err := s.openTable(changelog, id)
	if err != nil {
		return nil, fmt.Errorf("open table %s/%d in %s: %w", changelog.Topic, changelog.Number, s.dir, s.judge(err))
	}
	return t, nil
}

// openTable opens a table. Tables are opened one after another, so that the
// catalogue has one writer.
func (s *Store) openTable(changelog record.Partition, id store.Identity) (*table, error) {
	s.opening <- struct{}{}
	defer func() { <-s.opening }()
	if err := s.usable(); err != nil {
		return nil, err
	}
	e, wiped, err := s.row(changelog, id)
	if err != nil {
		return nil, err
	}
	if e.content == nil {
		var damage string
		if e.content, damage, err = s.loadContent(e.id); err != nil {
			return nil, err
		}
		wiped = cmp.Or(wiped, damage)
	}
	t := &table{content: e.content, changelog: changelog, why: wiped}
	e.open = true
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catalogue[changelog] = e
	return t, nil
}

// row returns the catalogue's entry of a table that is not open. If there is
// none with this identity, it makes one, and an empty table.
func (s *Store) row(changelog record.Partition, id store.Identity) (e entry, wiped string, err error) {
	s.mu.Lock()
	e, ok := s.catalogue[changelog]
	next := storeID + 1
	for _, other := range s.catalogue {
		next = max(next, other.id+1)
	}
	s.mu.Unlock()
	switch {
	case e.open:
		return entry{}, "", errors.New("it is open already")
	case ok && e.row.identity() == id:
		return e, "", nil
	case ok:
		wiped = e.row.identity().Differs(id)
	case next > lastID:
		return entry{}, "", errors.New("the store cannot hold more tables")
	default:
		e.id = next
	}
	e.row = newRow(changelog, id)
	return e, wiped, s.create(e)
}

// create writes a row, and empties the table unless it is: after damage, something
// that the catalogue did not know may lie under its id.
func (s *Store) create(e entry) error {
	if e.content != nil {
		e.content.hold()
		defer e.content.release()
	}
	start, end := e.id.span()
	empty, err := s.empty(start, end)
	if err != nil {
		return err
	}
	err = s.write(func() error {
		b := s.db.NewBatch()
		if !empty {
			err = b.DeleteRange(start, end, nil)
		}
		if err = errors.Join(err, b.Set(catalogueKey(e.id), e.row.encode(), nil)); err != nil {
			return err
		}
		return errors.Join(b.Commit(pebble.Sync), b.Close())
	})
	if err == nil && e.content != nil {
		e.content.wiped()
	}
	return err
}

// empty tells whether Pebble has no key in a span.
func (s *Store) empty(start, end []byte) (bool, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return false, err
	}
	found := it.First()
	return !found, it.Close()
}

// Tables implements [store.Store].
func (s *Store) Tables() ([]store.Info, error) {
	if err := s.usable(); err != nil {
		return nil, fmt.Errorf("list tables of %s: %w", s.dir, err)
	}
	s.mu.Lock()
	catalogue := maps.Clone(s.catalogue)
	s.mu.Unlock()
	infos := make([]store.Info, 0, len(catalogue))
	for p, e := range catalogue {
		at, err := s.checkpoint(e)
		if err != nil {
			return nil, fmt.Errorf("list tables of %s: %w", s.dir, s.judge(err))
		}
		infos = append(infos, store.Info{Changelog: p, Identity: e.row.identity(), Checkpoint: at})
	}
	slices.SortFunc(infos, store.Info.Compare)
	return infos, nil
}

// checkpoint is how far the table of an entry is.
func (s *Store) checkpoint(e entry) (store.Checkpoint, error) {
	if e.content != nil {
		return *e.content.checkpoint.Load(), nil
	}
	p, err := s.progress(e.id)
	return p.checkpoint, err
}

// progress reads how far a table is.
func (s *Store) progress(id tableID) (p progress, err error) {
	err = s.get(appendPrefix(nil, id, kindCheckpoint), func(value []byte) error {
		p, err = decodeProgress(value)
		return err
	})
	return p, err
}

// get calls f with the value of a key, if there is one.
func (s *Store) get(key []byte, f func(value []byte) error) error {
	if err := s.usable(); err != nil {
		return err
	}
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f(value), closer.Close())
}

// Close implements [store.Store].
func (s *Store) Close() error {
	if s.closing.Swap(true) {
		return nil
	}
	s.late.stop()
	err := s.writeGathered()
	s.closed.Store(true)
	if err = errors.Join(err, s.close()); err != nil {
		return fmt.Errorf("close store %s: %w", s.dir, err)
	}
	return nil
}

func (s *Store) close() error {
	f := s.fault.Load()
	switch {
	case f == nil:
		return errors.Join(s.db.LogData(nil, pebble.Sync), s.db.Close(), s.lock.Close())
	case f.stuck:
		// Pebble waits for itself. Nobody may have the directory while it is
		// there, so the lock stays, too, until the process ends.
		return f.err
	case f.damaged:
		return errors.Join(s.db.Close(), markDamaged(s.dir, s.opts.FS, f.err), s.lock.Close())
	default:
		return errors.Join(s.db.Close(), s.lock.Close())
	}
}
