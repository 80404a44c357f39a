package archive

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// A member is a part of a file that holds values: of an archive one of the
// files in it, unpacked too, of any other file all of it.
type member struct {
	name string // empty: it is the whole file
	at   int64  // see place.At
	u    *unpacked
	err  error // why it cannot be read, although those behind it may be
}

func (m *member) close() {
	if m.u != nil {
		m.u.close()
	}
}

// A walk goes through the members of a file.
type walk interface {
	// next closes the member before, and returns the next one, io.EOF behind
	// the last.
	next() (*member, error)
	// packed is by what the file is packed.
	packed() string
	// end reads what is left behind the last member, and returns how many
	// bytes the file had.
	end() (int64, error)
	close()
}

func isTar(data []byte) bool { return len(data) > 262 && string(data[257:262]) == "ustar" }

func isZip(data []byte) bool {
	return bytes.HasPrefix(data, []byte("PK\x03\x04")) || bytes.HasPrefix(data, []byte("PK\x05\x06"))
}

// peekSize is how much is looked at to know what something is.
const peekSize = 512

// walk begins a walk at the first member of a file, or at the one that a place
// is in.
func (s *Source) walk(ctx context.Context, f *os.File, p place) (walk, error) {
	head := make([]byte, peekSize)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if isZip(head[:n]) {
		return s.walkZip(ctx, f, p)
	}
	if isTar(head[:n]) && p.At > 0 { // no need to read what is before
		if _, err := f.Seek(p.At, io.SeekStart); err != nil {
			return nil, err
		}
		s.done.Add(p.At)
		w := newTarWalk(&unpacked{s.counting(ctx, f), "no", func() {}}, p.At)
		w.f = f
		return w, nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return s.walkStream(ctx, f, f, p)
}

// walkStream walks through what can only be read forwards. f is what r reads,
// nil if that is no file.
func (s *Source) walkStream(ctx context.Context, r io.Reader, f *os.File, p place) (walk, error) {
	u, err := unpack(s.counting(ctx, r))
	if err != nil {
		return nil, err
	}
	peek := bufio.NewReaderSize(u.Reader, 64<<10)
	head, _ := peek.Peek(peekSize) // an error comes again when it is read
	u.Reader = peek
	switch {
	case !isTar(head):
		return &wholeWalk{u: u, f: f}, nil
	case p.At > 0:
		if over, err := copyN(io.Discard, u, p.At); over || err != nil {
			u.close()
			return nil, errors.Join(err, errOver(over))
		}
	}
	w := newTarWalk(u, p.At)
	w.f = f
	return w, nil
}

// errOver tells of a place that is not there: it belongs to another file.
func errOver(over bool) error {
	if over {
		return errElsewhere
	}
	return nil
}

var errElsewhere = errors.New("the place is not in this file")

// wholeWalk is a file that is its only member.
type wholeWalk struct {
	u     *unpacked
	f     *os.File // nil: none
	begun bool
}

func (w *wholeWalk) packed() string { return w.u.packed }

func (w *wholeWalk) next() (*member, error) {
	if w.begun {
		return nil, io.EOF
	}
	w.begun = true
	return &member{u: w.u}, nil
}

func (w *wholeWalk) end() (int64, error) { return position(w.f) }
func (w *wholeWalk) close()              { w.u.close() }

// position is how far a file was read.
func position(f *os.File) (int64, error) {
	if f == nil {
		return 0, nil
	}
	return f.Seek(0, io.SeekCurrent)
}

// tarWalk goes through a tar archive.
type tarWalk struct {
	u   *unpacked
	f   *os.File // nil: none
	raw *offsetReader
	r   *tar.Reader
	cur *member
}

// newTarWalk walks from a header on, that lies at a place of the archive.
func newTarWalk(u *unpacked, at int64) *tarWalk {
	raw := &offsetReader{u, at}
	return &tarWalk{u: u, raw: raw, r: tar.NewReader(raw)}
}

func (w *tarWalk) packed() string {
	if w.u.packed == "no" {
		return "tar"
	}
	return "tar in " + w.u.packed
}

func (w *tarWalk) next() (*member, error) {
	for {
		w.leave()
		// Behind the end of what was read of a member, headers begin at the
		// next block.
		if _, err := io.Copy(io.Discard, w.r); err != nil {
			return nil, err
		}
		const block = 512
		at := (w.raw.n + block - 1) / block * block
		header, err := w.r.Next()
		if err != nil {
			return nil, err
		}
		if header.Typeflag == tar.TypeReg && !hiddenMember(header.Name) {
			w.cur = openMember(header.Name, at, w.r)
			return w.cur, nil
		}
	}
}

func (w *tarWalk) leave() {
	if w.cur != nil {
		w.cur.close()
		w.cur = nil
	}
}

func (w *tarWalk) end() (int64, error) {
	if _, err := io.Copy(io.Discard, w.u); err != nil {
		return 0, err
	}
	return position(w.f)
}

func (w *tarWalk) close() {
	w.leave()
	w.u.close()
}

// offsetReader knows where it is.
type offsetReader struct {
	r io.Reader
	n int64
}

func (o *offsetReader) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	o.n += int64(n)
	return n, err
}

// zipWalk goes through a zip archive in the order of its directory.
type zipWalk struct {
	r    *zip.Reader
	size int64
	i    int
	cur  *member
	body io.Closer
}

func (s *Source) walkZip(ctx context.Context, f *os.File, p place) (walk, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r, err := zip.NewReader(&countingAt{s.counting(ctx, nil), f}, info.Size())
	if err != nil {
		return nil, fmt.Errorf("read the zip's directory: %w", err)
	}
	r.RegisterDecompressor(zipBzip2, func(r io.Reader) io.ReadCloser { return io.NopCloser(bzip2.NewReader(r)) })
	r.RegisterDecompressor(zstd.ZipMethodWinZip, zstd.ZipDecompressor(zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow)))
	if p.At > int64(len(r.File)) {
		return nil, errElsewhere
	}
	return &zipWalk{r: r, size: info.Size(), i: int(p.At)}, nil
}

const zipBzip2 = 12 // the method's number

func (w *zipWalk) packed() string { return "zip" }

func (w *zipWalk) next() (*member, error) {
	w.close()
	for ; w.i < len(w.r.File); w.i++ {
		f := w.r.File[w.i]
		if !f.Mode().IsRegular() || hiddenMember(f.Name) {
			continue
		}
		at := int64(w.i)
		w.i++
		if f.Flags&1 != 0 {
			return &member{name: f.Name, at: at, err: errors.New("it is encrypted")}, nil
		}
		body, err := f.Open()
		if err != nil {
			return &member{name: f.Name, at: at, err: err}, nil
		}
		w.body, w.cur = body, openMember(f.Name, at, body)
		return w.cur, nil
	}
	return nil, io.EOF
}

func (w *zipWalk) end() (int64, error) { return w.size, nil }

func (w *zipWalk) close() {
	if w.cur != nil {
		w.cur.close()
		_ = w.body.Close() // it was only read
		w.cur = nil
	}
}

// openMember unpacks a member. That it cannot be is its error.
func openMember(name string, at int64, r io.Reader) *member {
	u, err := unpack(r)
	return &member{name: name, at: at, u: u, err: err}
}

// hiddenMember tells whether a member is none of those that people mean.
func hiddenMember(name string) bool {
	return strings.HasPrefix(path.Base(name), ".") || strings.HasPrefix(name, "__MACOSX/")
}

// promising tells whether a member holds values: its name says so, or it
// begins as they do.
func (m *member) promising() (bool, error) {
	if m.name == "" || isLines(m.name) {
		return true, nil
	}
	peek := bufio.NewReaderSize(m.u.Reader, 64<<10)
	head, err := peek.Peek(peekSize)
	m.u.Reader = peek
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	head = bytes.TrimSpace(bytes.TrimPrefix(head, bom))
	return len(head) == 0 || bytes.IndexByte([]byte(`{["`), head[0]) >= 0 || head[0] == ':' || isField(head), nil
}
