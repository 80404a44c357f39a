package archive

import (
	"bytes"

	"github.com/tagtide/tagtide/post"
)

// Mastodon streams in server-sent events, and so do its dumps:
//
//	:thump                       a comment, a sign of life
//	event: status.update
//	data: {"id":"115…",…}
//	                             a blank line ends the event
//
// No JSON begins like that, so events are told from it line by line.

// fields are what lines of an event begin with.
var fields = [][]byte{[]byte("event:"), []byte("data:"), []byte("id:"), []byte("retry:")}

// isField tells whether a line belongs to an event.
func isField(line []byte) bool {
	for _, f := range fields {
		if bytes.HasPrefix(line, f) {
			return true
		}
	}
	return false
}

// eventEnd finds where the event that data begins with ends, and what comes
// behind it. It ends with a blank line, before a line that is none of its
// fields, where the next one is named, or when it has too many bytes. 0: more
// must be read to know.
func eventEnd(data []byte, most int, final bool) (end, next int) {
	hasData := false
	for at := 0; ; {
		n := bytes.IndexByte(data[at:], '\n') + 1
		if n == 0 && !final {
			return 0, 0
		}
		if n == 0 {
			n = len(data) - at
		}
		line := bytes.TrimSpace(data[at : at+n])
		switch {
		case at+n > most:
			return at + n, at + n
		case len(line) == 0:
			return at, at + n
		case line[0] == ':':
		case !isField(line), hasData && bytes.HasPrefix(line, fields[0]):
			return at, at
		}
		hasData = hasData || bytes.HasPrefix(line, fields[1])
		at += n
	}
}

// An event is what its fields say.
type event struct{ name, data []byte }

// parseEvent reads the fields. Data of several lines is copied.
func parseEvent(raw []byte) (e event) {
	seen := false
	for line := range bytes.Lines(raw) {
		line = bytes.TrimRight(line, "\r\n")
		name, value, _ := bytes.Cut(line, []byte{':'})
		value = bytes.TrimPrefix(value, []byte{' '})
		switch {
		case string(name) == "event":
			e.name = value
		case string(name) == "data" && seen:
			e.data = append(append(bytes.Clone(e.data), '\n'), value...)
		case string(name) == "data":
			e.data, seen = value, true
		}
	}
	return e
}

// decodeEvent decodes an event of Mastodon's, or a message that has no name.
func decodeEvent(raw []byte, d *post.Decoder, p *post.Post) (post.Result, error) {
	e := parseEvent(raw)
	switch string(e.name) {
	case "", "message":
		return d.Decode(e.data, p)
	}
	return d.DecodeEvent(string(e.name), e.data, p)
}
