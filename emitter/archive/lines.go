package archive

import (
	"bytes"
	"errors"
	"io"
)

const (
	// maxLine is the longest line that is decoded.
	maxLine = 4 << 20
	// cutLetter is how much of a line that is too long is kept.
	cutLetter = 64 << 10
	// chunkSize is how much is read at once.
	chunkSize = 256 << 10
)

// A line is a line that is not blank.
type line struct {
	data       []byte // without its end; of a long one, the first cutLetter bytes
	start, end int64  // unpacked bytes of the file; end is behind the line's end
	number     int64  // from 1
	long       int64  // the length of a line longer than maxLine; else 0
}

// A chunk is a run of whole lines.
type chunk struct {
	buf   []byte
	lines []line // their data lies in buf
	err   error  // what comes behind the lines: nil for more, io.EOF, or what is wrong
}

// limits of reading lines.
type limits struct{ line, cut, chunk int }

var usual = limits{line: maxLine, cut: cutLetter, chunk: chunkSize}

// A lineReader cuts what it reads into chunks.
type lineReader struct {
	limits
	r      io.Reader
	offset int64  // of the first byte of rest
	number int64  // of lines before it
	rest   []byte // the beginning of a line, of which the end was not read yet
	err    error  // what r said last
}

// next reads until c has a line end, or there is nothing more. Blank lines are
// left out but counted, so c may have no lines.
func (l *lineReader) next(c *chunk) {
	c.lines, c.err = c.lines[:0], nil
	c.buf = append(c.buf[:0], l.rest...)
	ends := l.fill(c)
	if l.offset == 0 {
		if err := foreign(c.buf); err != nil {
			c.err = err
			return
		}
	}
	if ends == 0 && l.err == nil {
		l.long(c)
		return
	}
	if l.err == io.EOF {
		ends = len(c.buf) // also without a line end
	}
	l.rest = append(l.rest[:0], c.buf[ends:]...)
	l.split(c, c.buf[:ends])
	c.err = l.err
}

// fill reads into c.buf until there is a line end in it, and returns the
// position behind the last one; 0 if there is none in a line's bytes.
func (l *lineReader) fill(c *chunk) (ends int) {
	ends = bytes.LastIndexByte(c.buf, '\n') + 1
	for ends == 0 && l.err == nil && len(c.buf) < l.limits.line+extras {
		if cap(c.buf)-len(c.buf) < l.chunk/2 {
			c.buf = append(make([]byte, 0, max(2*cap(c.buf), l.chunk)), c.buf...)
		}
		before := len(c.buf)
		var n int
		n, l.err = l.r.Read(c.buf[before:cap(c.buf)])
		c.buf = c.buf[:before+n]
		if i := bytes.LastIndexByte(c.buf[before:], '\n'); i >= 0 {
			ends = before + i + 1
		}
	}
	return ends
}

// split makes lines of data, the next bytes of the file.
func (l *lineReader) split(c *chunk, data []byte) {
	for len(data) > 0 {
		n := bytes.IndexByte(data, '\n') + 1
		if n == 0 {
			n = len(data)
		}
		l.add(c, data[:n])
		data = data[n:]
	}
}

var bom = []byte("\ufeff")

// extras is how many bytes more than its own a line may have.
const extras = len("\ufeff\r\n")

// add adds a line, with its end, unless it is blank.
func (l *lineReader) add(c *chunk, data []byte) {
	start := l.offset
	l.offset += int64(len(data))
	l.number++
	if start == 0 && bytes.HasPrefix(data, bom) {
		start += int64(len(bom))
		data = data[len(bom):]
	}
	data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte{'\n'}), []byte{'\r'})
	if len(bytes.TrimSpace(data)) == 0 {
		return
	}
	added := line{data: data, start: start, end: l.offset, number: l.number}
	if len(data) > l.limits.line {
		added.data, added.long = data[:l.cut], int64(len(data))
	}
	c.lines = append(c.lines, added)
}

// long reads to the end of a line that is too long, of which c.buf has the
// beginning. If an error comes before its end, the line is left out.
func (l *lineReader) long(c *chunk) {
	added := line{data: c.buf, start: l.offset, number: l.number + 1}
	if l.offset == 0 && bytes.HasPrefix(c.buf, bom) {
		added.data, added.start = c.buf[len(bom):], int64(len(bom))
	}
	added.data, added.long = added.data[:l.cut], int64(len(added.data))
	last := c.buf[len(c.buf)-1] // of the line
	buf := make([]byte, l.chunk)
	ended := false
	l.rest = l.rest[:0]
	for l.err == nil && !ended {
		var n int
		n, l.err = l.r.Read(buf)
		data := buf[:n]
		if data, l.rest, ended = cutLine(data, l.rest); len(data) > 0 {
			last = data[len(data)-1]
		}
		added.long += int64(len(data))
	}
	if !ended && l.err != io.EOF {
		c.err = l.err
		return
	}
	l.offset = added.start + added.long
	if ended {
		l.offset++
	}
	if last == '\r' {
		added.long--
	}
	l.number, added.end = added.number, l.offset
	c.lines = append(c.lines, added)
}

// cutLine cuts data at its first line end, and appends what is behind to rest.
func cutLine(data, rest []byte) (line, longer []byte, ended bool) {
	line, behind, ended := bytes.Cut(data, []byte{'\n'})
	return line, append(rest, behind...), ended
}

// foreign names what certainly is no JSON Lines.
func foreign(data []byte) error {
	switch {
	case len(data) > 262 && string(data[257:262]) == "ustar":
		return errors.New("this is a tar archive; unpack it first")
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return errors.New("this is a zip archive; unpack it first")
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return errors.New("this is UTF-16; convert it to UTF-8 first")
	}
	return nil
}
