package archive

import (
	"bytes"
	"errors"
	"io"
)

const (
	// maxLine is the longest line or value that is decoded.
	maxLine = 4 << 20
	// cutLetter is how much of a line that is too long is kept.
	cutLetter = 64 << 10
	// chunkSize is how much is read at once.
	chunkSize = 256 << 10
)

// A value is what may be a post, or several: a line, a JSON document of many
// lines, an element of an array, or an event.
type value struct {
	data       []byte // as it stands in the file, without its line end; of a long one, the first cutLetter bytes
	start, end int64  // unpacked bytes of the file; end is behind the line's end
	number     int64  // of the line it begins on, from 1
	lines      int64  // that end before end
	long       int64  // the length of a value longer than maxLine; else 0
}

// A chunk is a run of values.
type chunk struct {
	buf    []byte
	values []value // their data lies in buf
	array  bool    // the file is one
	err    error   // what comes behind the values: nil for more, io.EOF, or what is wrong
}

// limits of reading values.
type limits struct{ line, cut, chunk int }

var usual = limits{line: maxLine, cut: cutLetter, chunk: chunkSize}

// A valueReader cuts what it reads into values. What a file holds shows as it
// is read:
//
//   - A line is a value, unless it is blank.
//   - A line that begins with a brace and does not end with one opens a
//     document, which ends where its brackets close. If they cannot close any
//     more, its lines up to there are damaged, but none that begins with a brace
//     too, and the reading goes on there.
//   - In a file that begins with a bracket, the values are what stands between
//     brackets and commas; behind a damaged one the reading goes on with the
//     next line.
//   - Server-sent events are told by their lines (event.go).
type valueReader struct {
	limits
	r      io.Reader
	offset int64 // of the first byte of rest
	number int64 // of lines that end before it
	begun  bool  // something that is not blank was seen
	array  bool  // that was a bracket

	rest []byte // the beginning of a value, of which the end was not read yet
	scan scan   // how far rest was looked at
	err  error  // what r said last
}

// A scan is how far the value at hand was looked at.
type scan struct {
	shape
	at      int // bytes
	verdict verdict
}

// next reads until c has a value, or there is nothing more. What is blank is
// left out but counted, so c may have no values.
func (l *valueReader) next(c *chunk) {
	c.values, c.err = c.values[:0], nil
	c.buf = append(c.buf[:0], l.rest...)
	for {
		used, err := l.split(c)
		c.array = l.array
		if c.err = err; c.err == nil {
			c.err = l.err
		}
		l.rest = append(l.rest[:0], c.buf[used:]...)
		switch {
		case used > 0 || c.err != nil:
			return
		case len(c.buf) >= l.most():
			l.long(c)
			return
		}
		l.read(c)
	}
}

// read appends to c.buf what there is to read.
func (l *valueReader) read(c *chunk) {
	if cap(c.buf)-len(c.buf) < l.chunk/2 {
		c.buf = append(make([]byte, 0, max(2*cap(c.buf), l.chunk)), c.buf...)
	}
	before := len(c.buf)
	var n int
	n, l.err = l.r.Read(c.buf[before:cap(c.buf)])
	c.buf = c.buf[:before+n]
}

// split takes as many values out of c.buf as are whole.
func (l *valueReader) split(c *chunk) (used int, err error) {
	final := l.err == io.EOF
	if l.offset == 0 {
		if err := foreign(c.buf); err != nil {
			return 0, err
		}
	}
	for used < len(c.buf) {
		p := l.cut(c.buf[used:], final)
		if p.used == 0 {
			break
		}
		l.add(c, p, c.buf[used:])
		used += p.used
		l.scan = scan{}
	}
	return used, nil
}

// A piece is what comes next: a value, or something to be left out.
type piece struct {
	used  int // bytes, with the line end; 0: more must be read to know
	value int // of them, the value's; 0: there is none
}

var bom = []byte("\ufeff")

// extras is how many bytes more than its own a line may have.
const extras = len("\ufeff\r\n")

// most is how many bytes are held to find the end of a value. What ends behind
// them is too long, whether or not they happen to be at hand.
func (l *valueReader) most() int { return l.limits.line + extras }

// cut finds the piece that data begins with. final: there is nothing behind data.
func (l *valueReader) cut(data []byte, final bool) piece {
	switch {
	case l.offset > 0:
	case bytes.HasPrefix(data, bom):
		return piece{used: len(bom)}
	case bytes.HasPrefix(bom, data) && !final:
		return piece{}
	}
	if first := bytes.TrimLeft(data, " \t\r\n"); !l.begun && len(first) > 0 {
		l.begun, l.array = true, first[0] == '['
	}
	if l.array {
		return l.cutElement(data, final)
	}
	end := lineEnd(data, 0, final)
	line := bytes.TrimSpace(data[:end])
	switch {
	case end > l.most():
		return piece{end, end}
	case len(line) == 0 || line[0] == ':':
		return piece{used: end}
	case isField(line):
		value, used := eventEnd(data, l.most(), final)
		return piece{used, value}
	case data[0] == '{' && line[len(line)-1] != '}':
		return l.cutDocument(data, final)
	}
	return piece{end, end}
}

// lineEnd is the position behind the line end that comes next after at; 0 if
// that is not in data.
func lineEnd(data []byte, at int, final bool) int {
	if n := bytes.IndexByte(data[at:], '\n') + 1; n > 0 {
		return at + n
	}
	if final {
		return len(data)
	}
	return 0
}

// look looks at the value at hand as far as there is data.
func (l *valueReader) look(data []byte) {
	if l.scan.verdict == unfinished {
		var n int
		n, l.scan.verdict = l.scan.feed(data[l.scan.at:])
		l.scan.at += n
	}
}

// cutDocument finds the end of a value that may have many lines.
func (l *valueReader) cutDocument(data []byte, final bool) piece {
	l.look(data)
	at := l.scan.at
	switch l.scan.verdict {
	case unfinished:
		return l.untilEnd(data, final)
	case whole:
		end := lineEnd(data, at, final)
		switch {
		case end > l.most():
			return piece{end, end}
		case len(bytes.TrimSpace(data[at:max(at, end)])) == 0:
			return piece{end, at}
		}
	}
	return l.damaged(data, at, final)
}

// untilEnd is a value of which the end was never written.
func (l *valueReader) untilEnd(data []byte, final bool) piece {
	switch {
	case !final:
		return piece{}
	case len(data) >= l.most():
		return piece{len(data), len(data)}
	}
	return beforeNext(data, len(data))
}

// damaged is a value that cannot be one from at on: the lines before the one
// with at, or that one if there are none, or they are too long already.
func (l *valueReader) damaged(data []byte, at int, final bool) piece {
	n := bytes.LastIndexByte(data[:at], '\n') + 1
	if n == 0 || at >= l.most() {
		n = lineEnd(data, at, final)
		return piece{n, n}
	}
	return beforeNext(data, n)
}

// beforeNext is what of the first n bytes, whole lines of something damaged,
// belongs together: up to a line that begins as a value does. So of lines one of
// which is cut off where a value might follow, the next one is not lost.
func beforeNext(data []byte, n int) piece {
	for _, next := range []string{"\n{", "\n["} {
		if i := bytes.Index(data[:n], []byte(next)); i >= 0 {
			n = i + 1
		}
	}
	return piece{n, len(bytes.TrimRight(data[:n], " \t\r\n"))}
}

// cutElement finds the end of the next element of an array.
func (l *valueReader) cutElement(data []byte, final bool) piece {
	if n := len(data) - len(bytes.TrimLeft(data, " \t\r\n[],")); n > 0 {
		return piece{used: n}
	}
	if data[0] != '{' && data[0] != '"' {
		end := lineEnd(data, 0, final)
		return piece{end, end}
	}
	l.look(data)
	switch l.scan.verdict {
	case unfinished:
		return l.untilEnd(data, final)
	case whole:
		return piece{l.scan.at, l.scan.at}
	}
	return l.damaged(data, l.scan.at, final)
}

// add moves behind a piece, and adds its value.
func (l *valueReader) add(c *chunk, p piece, data []byte) {
	start, number := l.offset, l.number+1
	l.offset += int64(p.used)
	l.number += int64(bytes.Count(data[:p.used], newline))
	if p.value == 0 {
		return
	}
	data = withoutEnd(data[:p.value])
	added := value{data: data, start: start, end: l.offset, number: number, lines: l.number}
	if len(data) > l.limits.line {
		added.data, added.long = data[:l.limits.cut], int64(len(data))
	}
	c.values = append(c.values, added)
}

var newline = []byte{'\n'}

// long reads to the end of a value that is too long, of which c.buf has the
// beginning. If an error comes before its end, the value is left out.
func (l *valueReader) long(c *chunk) {
	added := value{data: c.buf[:l.limits.cut], start: l.offset, number: l.number + 1}
	length, lines := int64(len(c.buf)), int64(bytes.Count(c.buf, newline))
	ends := c.buf[len(c.buf)-2:] // the last two bytes
	buf := make([]byte, l.chunk)
	l.rest = l.rest[:0]
	for ended := false; l.err == nil && !ended; {
		var n, used int
		n, l.err = l.r.Read(buf)
		used, ended = l.longEnd(buf[:n])
		length, lines = length+int64(used), lines+int64(bytes.Count(buf[:used], newline))
		ends = append([]byte{}, append(ends, buf[:used]...)[len(ends)+used-2:]...)
		l.rest = append(l.rest, buf[used:n]...)
		if !ended && l.err != nil && l.err != io.EOF {
			c.err = l.err
			return
		}
	}
	l.offset, l.number, l.scan = l.offset+length, l.number+lines, scan{}
	added.end, added.lines = l.offset, l.number
	added.long = length - int64(len(ends)-len(withoutEnd(ends)))
	c.values = append(c.values, added)
}

// longEnd finds the end of a value that is too long: where its brackets close
// and, unless it stands in an array, the end of that line.
func (l *valueReader) longEnd(data []byte) (used int, ended bool) {
	if l.scan.at > 0 && l.scan.verdict == unfinished {
		used, l.scan.verdict = l.scan.feed(data)
		switch {
		case l.scan.verdict == unfinished:
			return used, false
		case l.scan.verdict == whole && l.array:
			return used, true
		}
	}
	if end := lineEnd(data, used, false); end > 0 {
		return end, true
	}
	return len(data), false
}

func withoutEnd(data []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(data, newline), []byte{'\r'})
}

// foreign names what certainly holds no posts that can be read.
func foreign(data []byte) error {
	switch {
	case isTar(data):
		return errors.New("this is a tar archive in another one; unpack it first")
	case isZip(data):
		return errors.New("this is a zip archive, which cannot be read from a pipe or in another archive; name it as a file, or unpack it first")
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return errors.New("this is UTF-16; convert it to UTF-8 first")
	}
	return nil
}
