package live

import (
	"bufio"
	"fmt"
	"io"
)

// Lines reads lines that end with "\n" or "\r\n", and refuses those that are
// too long without holding them.
type Lines struct {
	r   *bufio.Reader
	max int
	buf []byte
}

// NewLines returns the lines of r. One of more than max bytes is refused.
func NewLines(r io.Reader, max int) *Lines {
	return &Lines{r: bufio.NewReaderSize(r, 16<<10), max: max}
}

// A LongError tells that a line was refused.
type LongError struct {
	Head  []byte // its first bytes; valid until the next call
	Bytes int64  // its length
	Max   int
}

func (e *LongError) Error() string {
	return fmt.Sprintf("a line of %d bytes: at most %d are read", e.Bytes, e.Max)
}

// Next returns the next line without its end, valid until the next call. After
// a [*LongError] it goes on with the line behind. A line that is cut off by the
// end of r is no line: the error is [io.ErrUnexpectedEOF], or what r said.
func (l *Lines) Next() ([]byte, error) {
	l.buf = l.buf[:0]
	var size int64  // of the line with its end
	var before byte // the last one that was read
	for {
		part, err := l.r.ReadSlice('\n')
		size += int64(len(part))
		if room := l.max + len("\r\n") - len(l.buf); room > 0 {
			l.buf = append(l.buf, part[:min(len(part), room)]...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			before = part[len(part)-1]
			continue
		case err == io.EOF && size > 0:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		}
		if len(part) > 1 {
			before = part[len(part)-2]
		}
		end := size - 1
		if before == '\r' {
			end--
		}
		if end > int64(l.max) {
			return nil, &LongError{Head: l.buf[:l.max], Bytes: end, Max: l.max}
		}
		return l.buf[:end], nil
	}
}
