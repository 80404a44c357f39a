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

// unpackFile unpacks a file from its start.
func (s *Source) unpackFile(f *os.File) (*unpacked, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return unpack(&counting{r: f, n: &s.done})
}

// resume unpacks a file from a place on. same is false if it is not the file
// that the place is in; without an error, u is nil if the place is its end.
func (s *Source) resume(f *os.File, p place) (u *unpacked, same bool, err error) {
	if finished, err := p.finished(f); finished || err != nil {
		return nil, finished, err
	}
	done := s.done.Load()
	if u, err = s.unpackFile(f); err != nil {
		return nil, false, err
	}
	if same, err = s.skip(f, u, p, done); !same || err != nil {
		u.close()
		s.done.Store(done)
		return nil, false, err
	}
	return u, true, nil
}

// skip goes to a place, and tells whether the last line before it stands there.
// done is the progress at the file's start.
func (s *Source) skip(f *os.File, u *unpacked, p place, done int64) (same bool, err error) {
	if u.packed == "no" {
		at, err := f.Seek(p.From, io.SeekStart)
		if err != nil {
			return false, err
		}
		s.done.Store(done + at)
		u.Reader = &counting{r: f, n: &s.done}
	} else if over, err := copyN(io.Discard, u, p.From); over || err != nil {
		return false, err
	}
	var check bytes.Buffer
	if over, err := copyN(&check, u, int64(p.Length)); over || err != nil {
		return false, err
	}
	if p.Length > 0 && sum(check.Bytes()) != p.Check {
		return false, nil
	}
	over, err := copyN(io.Discard, u, p.Offset-p.From-int64(p.Length))
	return !over && err == nil, err
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

// counting counts what is read.
type counting struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
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
