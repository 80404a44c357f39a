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
//	for more := s.enter('{'); more; more = s.more('}') {
//		switch string(s.key()) {
//		case "id":
//			id = s.value()
//		default:
//			s.skip()
//		}
//	}
type scanner struct {
	data  []byte
	pos   int // the next byte to read
	depth int // containers entered and not left
	err   *Error
	name  []byte // scratch for a key with escapes in it
}

// kind is the type of a JSON value, as JSON names them.
type kind uint8

const (
	absent kind = iota
	null
	text
	number
	boolean
	array
	object
)

func (k kind) String() string {
	return [...]string{"nothing", "null", "a string", "a number", "a boolean", "an array", "an object"}[k]
}

// value is a place in the data: of a string what is between the quotes, of anything else all of it.
type value struct {
	start, end uint32
	kind       kind
	escaped    bool // a string with a backslash in it
}

func (s *scanner) fail(pos int, reason string) {
	if s.err == nil {
		s.err = &Error{Reason: reason, Offset: min(pos, len(s.data))}
		s.pos = len(s.data)
	}
}

// next skips space and is the next byte, 0 at the end.
func (s *scanner) next() byte {
	if s.pos < len(s.data) && s.data[s.pos] > ' ' {
		return s.data[s.pos]
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

// unexpected fails at the next byte, which is not what JSON wants there.
func (s *scanner) unexpected(wanted string) {
	if s.pos >= len(s.data) {
		s.fail(s.pos, "the value ends where "+wanted+" should be")
	} else {
		s.fail(s.pos, "not JSON, "+wanted+" should be")
	}
}

// enter goes into the array or object at hand and reports whether there is anything in it. What else is at hand
// is an error.
func (s *scanner) enter(open byte) bool {
	if s.next() != open {
		s.mistaken("the value", open)
		return false
	}
	s.pos++
	if s.depth++; s.depth > maxDepth {
		s.fail(s.pos-1, "nested too deep")
		return false
	}
	if s.next() == open+2 { // '[' and ']', '{' and '}' are two apart
		s.pos++
		s.depth--
		return false
	}
	return s.err == nil
}

// more goes on behind a member, and reports whether there is another one.
func (s *scanner) more(end byte) bool {
	switch s.next() {
	case ',':
		s.pos++
		return s.err == nil
	case end:
		s.pos++
		s.depth--
	default:
		s.unexpected("a comma or " + string(end))
	}
	return false
}

// key reads the key of the next member and the colon. It is valid until the next call.
func (s *scanner) key() []byte {
	if s.next() != '"' {
		s.unexpected("a key in quotes")
		return nil
	}
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

// value reads any value. Of an array or object only the place is kept.
func (s *scanner) value() value {
	v := value{start: uint32(s.pos)}
	switch c := s.next(); c {
	case '"':
		return s.str()
	case '{', '[':
		v.start, v.kind = uint32(s.pos), object
		if c == '[' {
			v.kind = array
		}
		s.skip()
	case 't', 'f', 'n':
		v.start, v.kind = uint32(s.pos), boolean
		if c == 'n' {
			v.kind = null
		}
		s.literal(c)
	default:
		v.start, v.kind = uint32(s.pos), number
		s.number()
	}
	v.end = uint32(s.pos)
	return v
}

// skip reads over any value.
func (s *scanner) skip() {
	switch c := s.next(); c {
	case '"':
		s.str()
	case '{':
		for more := s.enter('{'); more; more = s.more('}') {
			s.key()
			s.skip()
		}
	case '[':
		for more := s.enter('['); more; more = s.more(']') {
			s.skip()
		}
	case 't', 'f', 'n':
		s.literal(c)
	default:
		s.number()
	}
}

// field reads the value of the member name, which must be of the kind want or null. Null is absent.
func (s *scanner) field(name string, want kind) value {
	s.next()
	at := s.pos
	v := s.value()
	if v.kind == null {
		return value{}
	}
	if v.kind != want && s.err == nil {
		s.fail(at, name+" is "+v.kind.String()+" where "+want.String()+" belongs")
	}
	return v
}

// enterField is enter for the member name, which may also be null: then there is nothing in it.
func (s *scanner) enterField(name string, open byte) bool {
	if s.next() == open {
		return s.enter(open)
	}
	s.mistaken(name, open)
	return false
}

// enterAny is enterField for what anybody may have written: it skips anything else, and there is nothing in it.
func (s *scanner) enterAny(open byte) bool {
	if s.next() == open {
		return s.enter(open)
	}
	s.skip()
	return false
}

// mistaken reads what is at hand instead of the array or object that open opens. Only null may be.
func (s *scanner) mistaken(name string, open byte) {
	want := object
	if open == '[' {
		want = array
	}
	s.field(name, want)
}

func (s *scanner) literal(first byte) {
	word := "null"
	switch first {
	case 't':
		word = "true"
	case 'f':
		word = "false"
	}
	for i := range len(word) {
		if s.pos+i >= len(s.data) || s.data[s.pos+i] != word[i] {
			s.pos += i
			s.unexpected(word)
			return
		}
	}
	s.pos += len(word)
}

// number reads a number as JSON allows them: no leading zero or plus, digits on both sides of the point.
func (s *scanner) number() {
	if s.at('-') {
		s.pos++
	}
	if s.at('0') {
		s.pos++
	} else {
		s.digits()
	}
	if s.at('.') {
		s.pos++
		s.digits()
	}
	if s.at('e') || s.at('E') {
		s.pos++
		if s.at('+') || s.at('-') {
			s.pos++
		}
		s.digits()
	}
}

func (s *scanner) at(c byte) bool { return s.pos < len(s.data) && s.data[s.pos] == c }

func (s *scanner) digits() {
	start := s.pos
	for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
		s.pos++
	}
	if s.pos == start {
		s.unexpected("a value")
	}
}

// str reads the string at hand.
func (s *scanner) str() value {
	start := s.pos + 1
	escaped := false
	for i := start; ; {
		i = plain(s.data, i)
		switch {
		case i >= len(s.data):
			s.fail(i, "the value ends inside a string")
			return value{}
		case s.data[i] == '"':
			s.pos = i + 1
			return value{uint32(start), uint32(i), text, escaped}
		case s.data[i] == '\\':
			n := escapeLen(s.data[i:])
			if n == 0 {
				s.fail(i, "not JSON, unknown escape in a string")
				return value{}
			}
			escaped = true
			i += n
		default:
			s.fail(i, "not JSON, control character in a string")
			return value{}
		}
	}
}

// plain is the first byte at or behind i that means something in a string: a quote, a backslash or a control
// character. It looks at eight bytes at a time.
func plain(data []byte, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(data); i += 8 {
		w := binary.LittleEndian.Uint64(data[i:])
		quote, backslash := w^ones*'"', w^ones*'\\'
		// The high bit of each byte that is below 0x20, or became 0; above the lowest such byte it may be wrong.
		found := ((w - ones*0x20) &^ w) | ((quote - ones) &^ quote) | ((backslash - ones) &^ backslash)
		if found &= highs; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(data); i++ {
		if c := data[i]; c < 0x20 || c == '"' || c == '\\' {
			break
		}
	}
	return i
}
