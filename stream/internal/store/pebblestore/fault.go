package pebblestore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tagtide/tagtide/stream/internal/store"
)

// A fault is why a store cannot be used any more.
type fault struct {
	err     error
	damaged bool // its files cannot be trusted
	stuck   bool // Pebble holds locks that it will never give back
}

// fail sets the fault, and logs it, unless there is one already.
func (s *Store) fail(f fault) {
	if s.fault.CompareAndSwap(nil, &f) {
		s.opts.Logger.Error("store cannot be used any more", "dir", s.dir, "error", f.err)
		if f.stuck {
			close(s.stuck)
		}
	}
}

// usable says why the store cannot be used, if so.
func (s *Store) usable() error {
	if s.closed.Load() {
		return store.ErrClosed
	}
	if f := s.fault.Load(); f != nil {
		return f.err
	}
	return nil
}

// judge returns an error of reading. If it means damage, it becomes
// [store.ErrDamaged], and the store is out of use.
func (s *Store) judge(err error) error {
	if err == nil || !isDamage(err) {
		return err
	}
	return s.blame(err)
}

// blame takes the store out of use for an error, and returns it,
// as [store.ErrDamaged] if that is what it means.
func (s *Store) blame(err error) error {
	f := fault{err: err, damaged: isDamage(err)}
	if f.damaged && !errors.Is(err, store.ErrDamaged) {
		f.err = fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	s.fail(f)
	return f.err
}

// isDamage reports whether an error of Pebble means that files are not what
// they should be.
func isDamage(err error) bool {
	return pebble.IsCorruptionError(err) || errors.Is(err, store.ErrDamaged) ||
		errors.Is(err, fs.ErrNotExist) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// isDiskError reports whether the operating system refused something, other
// than by not having a file.
func isDiskError(err error) bool {
	var path *fs.PathError
	var number syscall.Errno
	return (errors.As(err, &number) || errors.As(err, &path)) && !errors.Is(err, fs.ErrNotExist)
}

// listener hears of what goes wrong in the background, also while Pebble opens.
func (s *Store) listener(o *opening) *pebble.EventListener {
	return &pebble.EventListener{
		FlushEnd: func(i pebble.FlushInfo) { o.flushed(i.Err) },
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			_ = s.blame(fmt.Errorf("%w: %s: %w", store.ErrDamaged, i.Path, i.Details))
		},
		BackgroundError: func(err error) {
			o.failed(err, s.blame(fmt.Errorf("in the background: %w", err)))
		},
	}
}

// write calls f, which writes to Pebble. If it fails, nothing can be written
// to the store any more: what f wrote may be there or not.
func (s *Store) write(f func() error) (err error) {
	if err := s.usable(); err != nil {
		return err
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case fatal:
			err = r
			s.fail(fault{err: err, stuck: r.stuck})
		case runtime.Error:
			panic(r) // a bug, not the disk
		case error:
			err = fmt.Errorf("pebble cannot go on: %w", r)
			s.fail(fault{err: err, stuck: true})
		default:
			panic(r)
		}
	}()
	if err = f(); err != nil {
		err = s.blame(err)
	}
	return err
}

// spare is how much of a disk must be free for anything to be written: Pebble
// needs room to flush and to compact, and ends the process when it cannot
// write its logs. At most a twentieth of small disks.
const spare = 256 << 20

func checkSpace(dir string, fs vfs.FS) error {
	u, err := fs.GetDiskUsage(dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	if need := min(spare, u.TotalBytes/20); u.AvailBytes < need {
		return fmt.Errorf("disk full: %d MiB of %d MiB are free, and %d MiB are kept free: %w",
			u.AvailBytes>>20, u.TotalBytes>>20, need>>20, syscall.ENOSPC)
	}
	return nil
}

// damagedMark is a file that says why the store is damaged, for the next Open.
const damagedMark = "DAMAGED"

func markDamaged(dir string, fs vfs.FS, reason error) error {
	f, err := fs.Create(fs.PathJoin(dir, damagedMark), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, reason.Error())
	return errors.Join(err, f.Sync(), f.Close())
}

// checkFiles looks for damage that Pebble does not notice, and removes the
// files that a crash in the middle of a large change left.
func checkFiles(dir string, fs vfs.FS) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	desc, err := pebble.Peek(dir, fs)
	if err != nil && !isDiskError(err) {
		return fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		switch {
		case name == damagedMark:
			return fmt.Errorf("%w: as found earlier, see %s", store.ErrDamaged, path)
		case strings.HasSuffix(name, largeSuffix):
			if err := fs.Remove(path); err != nil {
				return err
			}
		case !desc.Exists && (strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".log")):
			// Pebble would begin anew, and delete it.
			return fmt.Errorf("%w: there is %s, but no manifest", store.ErrDamaged, name)
		}
	}
	return nil
}

// removeFiles deletes the files of a store, and no others, except for the
// lock. What makes the rest a store goes first: a crash leaves a damaged one,
// not a smaller one.
func removeFiles(dir string, fs vfs.FS) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	slices.SortFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	for _, name := range names {
		if rank(name) == foreign {
			break
		}
		if err := fs.Remove(fs.PathJoin(dir, name)); err != nil {
			return fmt.Errorf("remove damaged store: %w", err)
		}
	}
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// foreign is the rank of files that are not the store's.
const foreign = 3

// rank says when removeFiles removes a file.
func rank(name string) int {
	hasAny := func(has func(s, part string) bool, parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return has(name, part) })
	}
	switch {
	case hasAny(strings.HasPrefix, "marker.", "MANIFEST-"):
		return 0
	case hasAny(strings.HasPrefix, "OPTIONS-") || hasAny(strings.HasSuffix, ".sst", ".blob", ".log", ".dbtmp", largeSuffix):
		return 1
	case name == damagedMark:
		return 2
	default:
		return foreign
	}
}
