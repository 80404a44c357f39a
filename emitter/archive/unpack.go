package archive

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// unpacked is what is in a file.
type unpacked struct {
	io.Reader
	packed string // by what; "no"
	close  func()
}

// maxWindow of zstd files; what `zstd` itself takes without being told more.
const maxWindow = 128 << 20

// unpack tells by the first bytes how r is packed. Files of several members,
// one behind the other, are read through all of them.
func unpack(r io.Reader) (*unpacked, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	magic, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("unpack gzip: %w", unexpected(err))
		}
		return &unpacked{z, "gzip", func() { _ = z.Close() }}, nil
	case bytes.HasPrefix(magic, []byte("BZh")):
		return &unpacked{bzip2.NewReader(b), "bzip2", func() {}}, nil
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("unpack zstd: %w", err)
		}
		return &unpacked{z, "zstd", z.Close}, nil
	}
	return &unpacked{b, "no", func() {}}, nil
}

// unexpected makes the end of a file in the middle of something an error.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// openAt opens a file and goes to the member that a place is in, before its
// first line.
func (s *Source) openAt(ctx context.Context, f *os.File, p place) (*opened, error) {
	w, err := s.walk(ctx, f, p)
	if err != nil {
		return nil, err
	}
	m, err := w.next()
	switch {
	case err == io.EOF:
		return &opened{w, nil, p}, nil
	case err == nil && p.Member == "" && p.Line == 0 && p.At == 0:
		p = p.enter(m)
	case err == nil && m.name != p.Member:
		err = errElsewhere
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return &opened{w, m, p}, nil
}

// resume opens a file at a place; without an error it returns nil if that is
// the file's end. It is errElsewhere if this is not the file that the place is
// in.
func (s *Source) resume(ctx context.Context, f *os.File, p place, path string) (*opened, error) {
	if finished, err := p.finished(f); finished || err != nil {
		return nil, err
	}
	done := s.done.Load()
	o, err := s.openAt(ctx, f, p.again(path))
	if err == nil && o.first != nil {
		if err = s.skip(ctx, f, o.first, p, done); err != nil {
			o.close()
		}
	}
	if err != nil {
		s.done.Store(done)
		return nil, err
	}
	return o, nil
}

// skip goes to a place in a member, if the last value before it stands there.
// done is the progress at the file's start.
func (s *Source) skip(ctx context.Context, f *os.File, m *member, p place, done int64) error {
	if m.err != nil {
		return nil // it will be told of
	}
	if m.name == "" && m.u.packed == "no" {
		at, err := f.Seek(p.From, io.SeekStart)
		if err != nil {
			return err
		}
		s.done.Store(done + at)
		m.u.Reader = s.counting(ctx, f)
	} else if over, err := copyN(io.Discard, m.u, p.From); over || err != nil {
		return errors.Join(err, errOver(over))
	}
	var check bytes.Buffer
	if over, err := copyN(&check, m.u, int64(p.Length)); over || err != nil {
		return errors.Join(err, errOver(over))
	}
	if p.Length > 0 && sum(check.Bytes()) != p.Check {
		return errElsewhere
	}
	over, err := copyN(io.Discard, m.u, p.Offset-p.From-int64(p.Length))
	return errors.Join(err, errOver(over))
}

// copyN copies n bytes, or tells that there are not so many. An end in the
// middle of something packed is an error.
func copyN(w io.Writer, r io.Reader, n int64) (over bool, err error) {
	switch _, err := io.CopyN(w, r, n); err {
	case nil:
		return false, nil
	case io.EOF:
		return true, nil
	default:
		return false, err
	}
}

// counting counts what is read of files, until ctx ends.
type counting struct {
	ctx context.Context
	r   io.Reader
	n   *atomic.Int64
}

func (s *Source) counting(ctx context.Context, r io.Reader) *counting {
	return &counting{ctx, r, &s.done}
}

func (c *counting) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// countingAt is counting for what is read here and there.
type countingAt struct {
	*counting
	r io.ReaderAt
}

func (c *countingAt) ReadAt(p []byte, at int64) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.ReadAt(p, at)
	c.n.Add(int64(n))
	return n, err
}

// interruptible reads from what may block for ever, such as a terminal, and
// returns when ctx ends. The Read under way is then left behind: nothing can
// end it but who writes to the other side, or the end of the process.
type interruptible struct {
	ctx  context.Context
	r    io.Reader
	rest []byte
	err  error
}

func (i *interruptible) Read(p []byte) (int, error) {
	if len(i.rest) == 0 && i.err == nil {
		i.fill()
	}
	if len(i.rest) == 0 {
		return 0, i.err
	}
	n := copy(p, i.rest)
	i.rest = i.rest[n:]
	return n, nil
}

func (i *interruptible) fill() {
	type result struct {
		data []byte
		err  error
	}
	read := make(chan result, 1)
	go func() {
		buf := make([]byte, 64<<10) // of its own: it may be written to after we left
		n, err := i.r.Read(buf)
		read <- result{buf[:n], err}
	}()
	select {
	case r := <-read:
		i.rest, i.err = r.data, r.err
	case <-i.ctx.Done():
		i.err = i.ctx.Err()
	}
}
