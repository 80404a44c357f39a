package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// largeBytes is the size from which changes bypass Pebble's WAL and memtable.
// Writing their tables (in the sense of Pebble: sorted files) at once takes
// about half the time, for the price of a few more syncs.
const largeBytes = 2 << 20

// largeSuffix marks files of large changes that Pebble does not have yet.
const largeSuffix = ".large"

// manyDeletes is how many deletes in a row get a file of their own.
const manyDeletes = 1 << 10

// bottomBlock is the size of blocks of rows that go to the bottom: few of them are
// ever read, and so they take about a sixth less of the processor and a fifth of the disk.
const bottomBlock = 16 << 10

// ingest writes the steps as files and gives all of them to Pebble in one step.
// What it took is synced.
//
// Pebble puts a file as deep as it can without other rows between its keys, and
// what lies at the bottom is never compacted. So of what was gathered what is
// above all keys of the table goes into a file of its own, as do the checkpoint,
// which is below, and deletes of rows that have ended, if they are many:
//
//	checkpoint │ deletes │ among the table's rows │ above them
func (s *Store) ingest(steps []step) error {
	w := largeWriter{store: s}
	for i := range steps {
		if err := errors.Join(steps[i].writeTo(&w), w.cut()); err != nil {
			return fmt.Errorf("write a large change: %w", err)
		}
	}
	// Calls lose from the end only: sync the ones before this one first.
	if err := s.db.LogData(nil, pebble.Sync); err != nil {
		return err
	}
	return s.db.Ingest(context.Background(), w.paths)
}

// top is the largest key of a row in Pebble, with its prefix; nil if there is none.
func (c *content) top() (key []byte, err error) {
	start, end := appendPrefix(nil, c.id, kindEntry), appendPrefix(nil, c.id, kindEntry+1)
	it, err := c.store.db.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return nil, err
	}
	if it.Last() {
		key = bytes.Clone(it.Key())
	}
	return key, it.Close()
}

func (st *step) writeTo(w *largeWriter) (err error) {
	id, to := st.content.id, st.progress()
	w.above = false
	if err := w.set(appendPrefix(nil, id, kindCheckpoint), to.append(nil)); err != nil {
		return err
	}
	if err := w.table.Merge(appendPrefix(nil, id, kindCount), appendCount(nil, 1)); err != nil {
		return err
	}
	if st.gathered != nil {
		if w.top, err = st.content.top(); err != nil {
			return err
		}
		err = w.cut()
	}
	key := appendPrefix(nil, id, kindEntry)
	for k, value := range st.rows() {
		if err != nil {
			return err
		}
		key = append(key[:prefixLen], k...)
		if st.gathered != nil {
			err = w.part(key, value)
		}
		if err == nil {
			err = w.set(key, value)
		}
	}
	return err
}

// part begins another file where the picture has one.
func (w *largeWriter) part(key, value []byte) error {
	switch {
	case !w.above && bytes.Compare(key, w.top) > 0:
		w.above = true
	case value == nil || w.deletes < manyDeletes:
		return nil
	}
	return w.cut()
}

// A largeWriter writes sorted files, one after the other.
type largeWriter struct {
	store   *Store
	paths   []string
	table   *sstable.Writer // nil: no file has been begun
	deletes int             // how many were written last, and nothing after them

	// Of what was gathered:
	top   []byte // the largest key that the table has
	above bool   // what is written is above that
}

// cut ends the file.
func (w *largeWriter) cut() error {
	t := w.table
	if w.table, w.deletes = nil, 0; t == nil {
		return nil
	}
	return t.Close()
}

// set writes a key, or its delete if value is nil.
func (w *largeWriter) set(key, value []byte) error {
	if w.table == nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	if value == nil {
		w.deletes++
		return w.table.Delete(key)
	}
	w.deletes = 0
	return w.table.Set(key, value)
}

func (w *largeWriter) begin() error {
	s := w.store
	path := s.opts.FS.PathJoin(s.dir, fmt.Sprintf("%06d%s", s.files.Add(1), largeSuffix))
	f, err := s.opts.FS.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	level := 0
	if w.above {
		level = len(s.pebble.Levels) - 1
	}
	o := s.pebble.MakeWriterOptions(level, s.pebble.FormatMajorVersion.MaxTableFormat())
	if w.above {
		o.BlockSize = bottomBlock
	}
	w.table = sstable.NewWriter(objstorageprovider.NewFileWritable(f), o)
	w.paths = append(w.paths, path)
	return nil
}
