// Package archive is the source of posts from files and standard input: JSON
// Lines, plain or packed by gzip, bzip2 or zstd, told apart by content.
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
// Places are counted in unpacked bytes: to come back to one in a packed file,
// everything before it is unpacked again. Standard input and pipes have no
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
	// files in it and in the folders below that are named *.json, *.jsonl or
	// *.ndjson, with the ending of a packer behind it or not, are read in the
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
	u, err := unpack(&counting{r: &interruptible{ctx: ctx, r: r}, n: &s.done})
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	defer u.close()
	_, err = s.lines(ctx, sink, u, place{File: name})
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
	u, from, err := s.open(f, id, path)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if u == nil {
		return nil // finished before
	}
	defer u.close()
	s.o.Logger.Info("reading", "file", path, "packed", u.packed, "from line", from.Line+1)
	end, err := s.lines(ctx, sink, u, from)
	end.current = true
	s.known.add(end)
	if err != nil {
		return err
	}
	if err := end.finish(f); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	s.known.add(end)
	s.o.Logger.Info("read", "file", path, "lines", end.Line)
	if err := sink.Send(ctx, &block{&chunk{}, end}); err != nil {
		return &stopError{err}
	}
	return nil
}

// open unpacks a file from where it was left. Without an error it returns nil
// if that is its end.
func (s *Source) open(f *os.File, id identity, path string) (*unpacked, place, error) {
	matches := s.known.matches(id)
	for _, p := range matches {
		u, same, err := s.resume(f, p)
		switch {
		case err != nil:
			return nil, p, fmt.Errorf("come back to line %d: %w", p.Line+1, err)
		case !same:
			continue
		case s.o.Again && !p.current:
			if u != nil {
				u.close()
			}
			u, err = s.unpackFile(f)
			return u, p.restart(path), err
		case u == nil:
			s.skipped(path, p)
			return nil, p, nil
		}
		return u, p.again(path), nil
	}
	if len(matches) > 0 {
		s.o.Logger.Warn("a file begins like one that was read before, but is another one or was changed; reading it from its start", "file", path)
	}
	u, err := s.unpackFile(f)
	return u, s.known.place(id, path), err
}

func (s *Source) skipped(path string, p place) {
	if p.current && p.File != path {
		s.o.Logger.Info("skipping a file: it is the same as another one", "file", path, "other", p.File)
		return
	}
	s.o.Logger.Info("skipping a file: it was read before (--again reads it once more)", "file", path, "lines", p.Line)
}
