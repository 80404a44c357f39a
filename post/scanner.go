package post

import (
	"encoding/binary"
	"math/bits"
)

// maxDepth bounds how deep values may be nested. A tweet that quotes another one nests about ten levels.
const maxDepth = 64

// scanner reads one JSON value from left to right, once, and checks all of its grammar, also where nobody looks.
// The first error sticks: from then on there is nothing to enter, no more members, and every value is absent, so
// callers check once at the end.
//
//	for key := s.object(); key != nil; key = s.member() {
//		switch string(key) {
//		case "id":
//			id = s.value()
//		case "tags":
//			for more := s.array(); more; more = s.element() {
//				tags = append(tags, s.value())
//			}
//		default:
//			s.skip()
//		}
//	}
//
// A key is valid until the next one is read.
type scanner struct {
	data []byte
	// pos is the next byte to read. Invariant: behind an error it is the end of data.
	pos   int
	depth int // containers entered and not left
	err   *Error
	name  []byte // scratch for a key with escapes in it
}

func (s *scanner) fail(pos int, reason string) {
	if s.err == nil {
		s.err = &Error{Reason: reason, Offset: min(pos, len(s.data))}
		s.pos = len(s.data)
	}
}

// unexpected fails at the next byte, which is not what JSON wants there.
//
//go:noinline
func (s *scanner) unexpected(wanted string) {
	if s.pos >= len(s.data) {
		s.fail(s.pos, "the value ends where "+wanted+" should be")
	} else {
		s.fail(s.pos, "not JSON, "+wanted+" should be")
	}
}

// next skips space and is the next byte, 0 at the end.
func (s *scanner) next() byte {
	if i := uint(s.pos); i < uint(len(s.data)) && s.data[i] > ' ' {
		return s.data[i]
	}
	return s.nextBehindSpace()
}

func (s *scanner) nextBehindSpace() byte {
	for ; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// object goes into the object at hand and is the key of its first member, nil if it has none. What else is at hand
// is an error.
func (s *scanner) object() []byte { return s.objectOf("the value") }

// objectOf is object for the member name, which may also be null: then there is nothing in it.
func (s *scanner) objectOf(name string) []byte {
	if s.next() != '{' {
		s.field(name, object)
		return nil
	}
	return s.firstKey()
}

// anyObject is objectOf for what anybody may have written: it skips anything else, and there is nothing in it.
func (s *scanner) anyObject() []byte {
	if s.next() != '{' {
		s.skip()
		return nil
	}
	return s.firstKey()
}

func (s *scanner) firstKey() []byte {
	if s.enter('}') {
		return s.key()
	}
	return nil
}

// array goes into the array at hand and reports whether there is anything in it. What else is at hand is an error.
func (s *scanner) array() bool { return s.arrayOf("the value") }

// arrayOf is array for the member name, which may also be null: then there is nothing in it.
func (s *scanner) arrayOf(name string) bool {
	if s.next() != '[' {
		s.field(name, array)
		return false
	}
	return s.enter(']')
}

// anyArray is arrayOf for what anybody may have written: it skips anything else, and there is nothing in it.
func (s *scanner) anyArray() bool {
	if s.next() != '[' {
		s.skip()
		return false
	}
	return s.enter(']')
}

// enter goes into the container at hand, which end ends, and reports whether there is anything in it.
func (s *scanner) enter(end byte) bool {
	s.pos++
	if s.depth++; s.depth > maxDepth {
		s.fail(s.pos-1, "nested too deep")
		return false
	}
	if s.next() == end {
		s.pos++
		s.depth--
		return false
	}
	return true
}

// element goes on behind an element of an array, and reports whether there is another one.
func (s *scanner) element() bool { return s.more(']') }

// member goes on behind a member of an object and is the key of the next one, nil if there is none.
func (s *scanner) member() []byte {
	data, i := s.data, s.pos
	if i >= 0 && i <= len(data)-10 && data[i] == ',' && data[i+1] == '"' { // as producers write it
		start := i + 2
		found := special(binary.LittleEndian.Uint64(data[start : start+8]))
		end := start + bits.TrailingZeros64(found)/8
		if found == 0 {
			end = plain(data, end)
		}
		if end < len(data)-1 && data[end] == '"' && data[end+1] == ':' {
			s.pos = end + 2
			return data[start:end]
		}
	}
	if s.more('}') {
		return s.key()
	}
	return nil
}

// more goes on behind a part of a container, which end ends, and reports whether there is another one.
func (s *scanner) more(end byte) bool {
	switch s.next() {
	case ',':
		s.pos++
		return true
	case end:
		s.pos++
		s.depth--
	default:
		s.unexpected("a comma or " + string(end))
	}
	return false
}

// key reads the key at hand and the colon.
func (s *scanner) key() []byte {
	if s.next() != '"' {
		s.unexpected("a key in quotes")
		return nil
	}
	start := s.pos + 1
	end := plain(s.data, start)
	if colon := end + 1; colon < len(s.data) && s.data[end] == '"' && s.data[colon] == ':' {
		s.pos = colon + 1
		return s.data[start:end]
	}
	return s.rareKey()
}

// rareKey is key for one with escapes in it, with space behind it, or one that is none.
func (s *scanner) rareKey() []byte {
	name := s.str()
	if s.next() != ':' {
		s.unexpected("a colon")
		return nil
	}
	s.pos++
	if name.escaped {
		s.name = s.unescape(s.name[:0], name)
		return s.name
	}
	return s.data[name.start:name.end]
}
