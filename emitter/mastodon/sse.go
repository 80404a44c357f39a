package mastodon

import (
	"bytes"
	"errors"
	"io"

	"github.com/tagtide/tagtide/emitter/live"
)

// An event is one event of the stream.
type event struct {
	name string
	data []byte // valid until the next one; of a long one the beginning
	long int64  // bytes of the data, if it has more than may be; else 0
}

// An eventReader reads server-sent events, as the HTML standard has them:
//
//	:thump              a comment, by which the server shows that it is there
//	event: update       the event's name
//	data: {"id":…}      a line of its data; several are one, with \n between
//	                    a blank line ends the event
//
// What the standard has for browsers is left out, as no server of this kind
// sends it: ids and times to come back (they are ignored), and lines that end
// in a carriage return alone.
type eventReader struct {
	lines *live.Lines
	max   int // bytes of an event's data
	// heard is called for each line.
	heard func()
	begun bool
	buf   []byte // data of the event at hand
	size  int64  // of all of it
}

// newEventReader returns a reader of events of at most max bytes of data.
func newEventReader(r io.Reader, max int, heard func()) *eventReader {
	const around = len("\ufeffdata: ")
	return &eventReader{lines: live.NewLines(r, max+around), max: max, heard: heard}
}

var byteOrderMark = []byte("\ufeff")

// next returns the next event. One that an error cuts off is not returned.
func (r *eventReader) next() (event, error) {
	name := ""
	lines := 0 // of data
	r.buf, r.size = r.buf[:0], 0
	for {
		line, missing, err := r.line()
		if err != nil {
			return event{}, err
		}
		if len(line) == 0 {
			if lines > 0 {
				return r.event(name), nil
			}
			name = ""
			continue
		}
		switch key, value := field(line); key {
		case "event":
			name = string(value)
		case "data":
			if lines++; lines > 1 {
				r.add([]byte{'\n'}, 0)
			}
			r.add(value, missing)
		}
	}
}

// event returns the event at hand.
func (r *eventReader) event(name string) event {
	e := event{name: name, data: r.buf}
	if r.size > int64(r.max) {
		e.long = r.size
	}
	return e
}

// line returns the next line, or the beginning of one that is too long, and how
// many bytes of it are missing.
func (r *eventReader) line() ([]byte, int64, error) {
	var missing int64
	line, err := r.lines.Next()
	if long := (*live.LongError)(nil); errors.As(err, &long) {
		line, missing, err = long.Head, long.Bytes-int64(len(long.Head)), nil
	}
	if err != nil {
		return nil, 0, err
	}
	r.heard()
	if !r.begun {
		line, r.begun = bytes.TrimPrefix(line, byteOrderMark), true
	}
	return line, missing, nil
}

// add adds to the data of the event at hand. Of too much data, what is beyond
// its beginning is only counted.
func (r *eventReader) add(data []byte, missing int64) {
	r.size += int64(len(data)) + missing
	r.buf = append(r.buf, data...)
	if r.size > int64(r.max) {
		r.buf = r.buf[:min(len(r.buf), cutLetter)]
	}
}

// field splits a line. A comment is a field without a name.
func field(line []byte) (key string, value []byte) {
	k, value, _ := bytes.Cut(line, []byte{':'})
	return string(k), bytes.TrimPrefix(value, []byte{' '})
}
