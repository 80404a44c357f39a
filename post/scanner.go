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

// fail notes an error, unless there was one, and is the end of data.
//
//go:noinline
func (s *scanner) fail(pos int, reason string) (end int) {
	if s.err == nil {
		s.err = &Error{Reason: reason, Offset: min(pos, len(s.data))}
		s.pos = len(s.data)
	}
	return len(s.data)
}

// unexpected fails at pos, where JSON wants something else.
//
//go:noinline
func (s *scanner) unexpected(pos int, wanted string) (end int) {
	if pos >= len(s.data) {
		return s.fail(pos, "the value ends where "+wanted+" should be")
	}
	return s.fail(pos, "not JSON, "+wanted+" should be")
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
	if s.depth++; s.depth > maxDepth {
		s.fail(s.pos, "nested too deep")
		return nil
	}
	return s.keyBehind('{')
}

// array goes into the array at hand and reports whether there is anything in it. What else is at hand is an error.
func (s *scanner) array() bool { return s.arrayOf("the value") }

// arrayOf is array for the member name, which may also be null: then there is nothing in it.
func (s *scanner) arrayOf(name string) bool {
	if s.next() != '[' {
		s.field(name, array)
		return false
	}
	return s.enter()
}

// anyArray is arrayOf for what anybody may have written: it skips anything else, and there is nothing in it.
func (s *scanner) anyArray() bool {
	if s.next() != '[' {
		s.skip()
		return false
	}
	return s.enter()
}

// enter goes into the array at hand and reports whether there is anything in it.
func (s *scanner) enter() bool {
	s.pos++
	if s.depth++; s.depth > maxDepth {
		s.fail(s.pos-1, "nested too deep")
		return false
	}
	if s.next() == ']' {
		s.pos++
		s.depth--
		return false
	}
	return true
}

// element goes on behind an element of an array, and reports whether there is another one.
func (s *scanner) element() bool {
	switch s.next() {
	case ',':
		s.pos++
		return true
	case ']':
		s.pos++
		s.depth--
	default:
		s.unexpected(s.pos, "a comma or ]")
	}
	return false
}

// member goes on behind a member of an object and is the key of the next one, nil if there is none.
func (s *scanner) member() []byte { return s.keyBehind(',') }

// keyBehind is the key behind the comma or brace at hand, nil if the object ends instead.
func (s *scanner) keyBehind(before byte) []byte {
	data, i := s.data, s.pos
	if i >= 0 && i <= len(data)-2 && pairAt(data, i) == pair(before, '"') { // ,"key": as producers write it
		start := i + 2
		for end := start; end <= len(data)-8; end += 8 { // plain, without the call
			found := special(binary.LittleEndian.Uint64(data[end : end+8]))
			if found == 0 {
				continue
			}
			end += bits.TrailingZeros64(found) / 8
			if end <= len(data)-2 && pairAt(data, end) == pair('"', ':') {
				s.pos = end + 2
				return data[start:end]
			}
			break
		}
	}
	return s.anyKeyBehind(before)
}

func pair(first, second byte) uint16 { return uint16(first) | uint16(second)<<8 }

func pairAt(data []byte, i int) uint16 { return binary.LittleEndian.Uint16(data[i : i+2]) }

// anyKeyBehind is keyBehind however it is written.
func (s *scanner) anyKeyBehind(before byte) []byte {
	c := s.next()
	if c == before {
		s.pos++
		if before == ',' || s.next() != '}' {
			return s.key()
		}
		c = '}'
	}
	if c != '}' {
		s.unexpected(s.pos, "a comma or }")
		return nil
	}
	s.pos++
	s.depth--
	return nil
}

// key reads the key at hand and the colon.
func (s *scanner) key() []byte {
	if s.next() != '"' {
		s.unexpected(s.pos, "a key in quotes")
		return nil
	}
	name := s.str()
	if s.next() != ':' {
		s.unexpected(s.pos, "a colon")
		return nil
	}
	s.pos++
	if name.escaped {
		s.name = s.unescape(s.name[:0], name)
		return s.name
	}
	return s.data[name.start:name.end]
}
