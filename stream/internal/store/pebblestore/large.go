package pebblestore

import (
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

// ingest writes each step as a file and gives all of them to Pebble in one
// step. What it took is synced.
func (s *Store) ingest(steps []step) error {
	paths := make([]string, 0, len(steps))
	for i := range steps {
		path := s.opts.FS.PathJoin(s.dir, fmt.Sprintf("%06d%s", s.files.Add(1), largeSuffix))
		if err := s.writeFile(path, &steps[i]); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		paths = append(paths, path)
	}
	// Calls lose from the end only: sync the ones before this one first.
	if err := s.db.LogData(nil, pebble.Sync); err != nil {
		return err
	}
	return s.db.Ingest(context.Background(), paths)
}

func (s *Store) writeFile(path string, st *step) error {
	f, err := s.opts.FS.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	o := s.pebble.MakeWriterOptions(0, s.pebble.FormatMajorVersion.MaxTableFormat())
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), o)
	return errors.Join(st.writeTo(w), w.Close())
}

func (st *step) writeTo(w *sstable.Writer) error {
	id := st.table.id
	key := appendPrefix(nil, id, kindCheckpoint)
	if err := w.Set(key, st.progress.append(nil)); err != nil {
		return err
	}
	key = appendPrefix(key[:0], id, kindCount)
	if err := w.Merge(key, appendCount(nil, 1)); err != nil {
		return err
	}
	for _, e := range st.entries {
		key = append(appendPrefix(key[:0], id, kindEntry), e.Key...)
		var err error
		if e.Value == nil {
			err = w.Delete(key)
		} else {
			err = w.Set(key, e.Value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
