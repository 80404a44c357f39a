// Package archive is the source of posts from files and standard input, told
// apart by what is in them, not by their names:
//
//	packed    by gzip, bzip2 or zstd, or not
//	archives  tar, packed or not, and zip; the files in them may be packed too
//	posts     lines of JSON; documents of many lines, such as pages of answers;
//	          an array of either; dumps of server-sent events
//
// What damage there is stays small: a line, or a document, becomes a dead
// letter, and a file, or a member of an archive, that cannot be read to its end
// is told of at the end, while the others are read.
//
// # Coming back
//
// Each file has a cursor, committed with the posts before it, so that a restart
// goes on behind the last committed line, and a file that was read to its end
// is skipped. A file is known by its content, not by its path: by the hash of
// its beginning (64 KiB, or all of a smaller file), and by the last line that
// was read, which must still stand at its place. So
//
//   - a file that was moved, or lies here twice, is read once;
//   - a file that was appended to is read on from where it ended;
//   - a file that was replaced is another file, and read from its start.
//
// Places are counted in unpacked bytes, in an archive those of the member: to
// come back to one in something packed, everything before it is unpacked again,
// but not the members before it if the archive itself is not packed. Standard input and pipes have no
// content to come back to; they are read once, from where they stand.
package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/tagtide/tagtide/emitter"
)

// Options of the source. Paths are required.
type Options struct {
	// Paths of files and folders; [Stdin] for standard input. Of a folder, all
	// files in it and in the folders below that are named *.json, *.jsonl,
	// *.ndjson, *.sse or *.tar, with the ending of a packer behind it or not, *.tgz
	// or *.zip, are read in the
	// order of their paths; hidden ones are not.
	Paths []string
	// Stdin is standard input.
	Stdin io.Reader
	// Again reads files from their start that were read before.
	Again bool
	// Logger for what operators should know; default slog.Default().
	Logger *slog.Logger
}

// A Source reads files one after the other. It runs once.
type Source struct {
	o     Options
	done  atomic.Int64 // bytes on disk
	total atomic.Int64
	known known
}

// New returns a source that reads the given files.
func New(o Options) *Source {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Source{o: o}
}

// Name implements [emitter.Source].
func (s *Source) Name() string { return "file" }

// Progress implements [emitter.Source]: bytes as they lie on disk.
func (s *Source) Progress() emitter.Progress {
	return emitter.Progress{Done: s.done.Load(), Total: s.total.Load(), Unit: "bytes"}
}

// Run implements [emitter.Source]. A file that cannot be read to its end does
// not stop the others; its error comes at the end, naming file and place.
func (s *Source) Run(ctx context.Context, sink emitter.Sink) error {
	inputs, failed, err := s.find()
	if err != nil {
		return err
	}
	cursors, err := sink.Cursors(ctx, cursorPrefix)
	if err != nil {
		return err
	}
	s.known = parseKnown(cursors)
	for _, in := range inputs {
		done := s.done.Load()
		err := s.read(ctx, sink, in)
		s.done.Store(done + in.size)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if stop := (*stopError)(nil); errors.As(err, &stop) {
			return errors.Join(append(failed, stop.error)...)
		}
		if err != nil {
			s.o.Logger.Error("a file cannot be read to its end", "error", err)
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// A stopError ends Run: nothing is wrong with the file.
type stopError struct{ error }

func (s *Source) read(ctx context.Context, sink emitter.Sink, in input) error {
	if in.path == Stdin {
		return s.readPipe(ctx, sink, s.o.Stdin, "standard input")
	}
	f, err := os.Open(in.path)
	if err != nil {
		return err
	}
	defer f.Close()
	if in.piped {
		return s.readPipe(ctx, sink, f, in.path)
	}
	return s.readFile(ctx, sink, f, in.path)
}

// readPipe reads what cannot be read twice.
func (s *Source) readPipe(ctx context.Context, sink emitter.Sink, r io.Reader, name string) error {
	if r == nil {
		return errors.New("there is no standard input")
	}
	s.o.Logger.Info("reading; a restart cannot go on where this one ends", "file", name)
	w, err := s.walkStream(ctx, &interruptible{ctx: ctx, r: r}, nil, place{})
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	defer w.close()
	first, err := w.next()
	if err != nil && err != io.EOF {
		return fmt.Errorf("read %s: %w", name, err)
	}
	_, err = s.members(ctx, sink, w, first, place{File: name})
	return err
}

// readFile reads a file on from where it was left, if it was.
func (s *Source) readFile(ctx context.Context, sink emitter.Sink, f *os.File, path string) error {
	id, err := identify(f)
	if err != nil {
		return err // names the file
	}
	if len(id.head) == 0 {
		s.o.Logger.Info("skipping a file: it is empty", "file", path)
		return nil
	}
	o, err := s.open(ctx, f, id, path)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if o == nil {
		return nil // finished before
	}
	defer o.close()
	s.o.Logger.Info("reading", "file", path, "packed", o.packed(), "member", o.from.Member, "from_line", o.from.Line+1)
	end, err := s.members(ctx, sink, o.walk, o.first, o.from)
	end.current = true
	s.known.add(end)
	if err != nil {
		return err
	}
	size, err := o.end()
	if err == nil {
		err = end.finish(f, size)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	s.known.add(end)
	s.o.Logger.Info("read", "file", path, "lines", end.Line)
	if err := sink.Send(ctx, &block{&chunk{}, end}); err != nil {
		return &stopError{err}
	}
	return nil
}

// members sends the values of the member that a place is in, from there, and of
// all behind it, and returns the place behind the last of them. One that cannot
// be read to its end does not stop the others.
func (s *Source) members(ctx context.Context, sink emitter.Sink, w walk, m *member, at place) (place, error) {
	var failed []error
	for err := error(nil); m != nil; {
		if at, err = s.member(ctx, sink, m, at); err != nil {
			if stop := (*stopError)(nil); m.name == "" || errors.As(err, &stop) {
				return at, err
			}
			failed = append(failed, err)
			at.Lost++
		}
		if m, err = w.next(); err == io.EOF {
			break
		}
		if err != nil {
			return at, errors.Join(append(failed, fmt.Errorf("read %s behind its member %s: %w", at.File, at.Member, err))...)
		}
		at = at.enter(m)
	}
	if lost := at.Lost - int64(len(failed)); lost > 0 {
		failed = append(failed, fmt.Errorf("read %s: %d of its members could not be read to their end in an earlier run (--again tries once more)", at.File, lost))
	}
	return at, errors.Join(failed...)
}

// member sends the values of a member from a place on.
func (s *Source) member(ctx context.Context, sink emitter.Sink, m *member, at place) (place, error) {
	if m.err != nil {
		return at, fmt.Errorf("read %s: %w", at.where(), m.err)
	}
	promising, err := m.promising()
	if err != nil {
		return at, fmt.Errorf("read %s: %w", at.where(), err)
	}
	if !promising {
		s.o.Logger.Warn("not reading a member of an archive: it does not look like posts", "file", at.File, "member", m.name)
		return at, nil
	}
	return s.values(ctx, sink, m.u, at)
}

// An opened file is at a place from which it can be read on.
type opened struct {
	walk
	first *member // that the place is in; nil: there are none
	from  place
}

// open opens a file where it was left. Without an error it returns nil if that
// is its end.
func (s *Source) open(ctx context.Context, f *os.File, id identity, path string) (*opened, error) {
	matches := s.known.matches(id)
	for _, p := range matches {
		done := s.done.Load()
		o, err := s.resume(ctx, f, p, path)
		switch {
		case errors.Is(err, errElsewhere):
			continue
		case err != nil:
			return nil, fmt.Errorf("come back to line %d: %w", p.Line+1, err)
		case s.o.Again && !p.current:
			if o != nil {
				o.close()
			}
			s.done.Store(done)
			return s.openAt(ctx, f, p.restart(path))
		case o == nil:
			s.skipped(path, p)
		}
		return o, nil
	}
	if len(matches) > 0 {
		s.o.Logger.Warn("a file begins like one that was read before, but is another one or was changed; reading it from its start", "file", path)
	}
	return s.openAt(ctx, f, s.known.place(id, path))
}

func (s *Source) skipped(path string, p place) {
	if p.current && p.File != path {
		s.o.Logger.Info("skipping a file: it is the same as another one", "file", path, "other", p.File)
		return
	}
	s.o.Logger.Info("skipping a file: it was read before (--again reads it once more)", "file", path, "lines", p.Line)
}
