package archive

// A shape follows the brackets and strings of one JSON value, as it comes, to
// tell where it ends. It knows what may follow what, but not what a number, a
// literal or an escape looks like: that is for who decodes the value.
type shape struct {
	objects uint64 // open containers, the innermost in the lowest bit: 1 for an object
	depth   int
	expect  expect
	text    bool // in a string
	escape  bool // behind a backslash in it
	bare    bool // in a number or a literal
}

// expect is what may come next.
type expect uint8

const (
	expectValue expect = iota
	expectFirst        // a value, or the end of the array
	expectKey
	expectFirstKey // a key, or the end of the object
	expectColon
	expectMore // a comma, or the end
)

// A verdict is what is known of a value.
type verdict uint8

const (
	unfinished verdict = iota
	whole
	broken // it is no JSON
)

// maxDepth is how deep values may be nested.
const maxDepth = 64

// feed reads on in the value that begins with an object or a string. n is how
// much of data was read: all of it, or up to behind the value's end, or up to
// the first byte that cannot be.
func (s *shape) feed(data []byte) (n int, v verdict) {
	for n < len(data) {
		c := data[n]
		if s.bare {
			if isBare(c) {
				n++
				continue
			}
			s.bare, s.expect = false, expectMore
		}
		var fits bool
		if s.text {
			fits = s.inText(c)
		} else {
			fits = isSpace(c) || s.token(c)
		}
		if !fits {
			return n, broken
		}
		n++
		if s.depth == 0 && !s.text {
			return n, whole
		}
	}
	return n, unfinished
}

// inText reads a byte of a string.
func (s *shape) inText(c byte) bool {
	switch {
	case c < ' ':
		return false
	case s.escape:
		s.escape = false
	case c == '\\':
		s.escape = true
	case c == '"':
		s.text = false
		if s.expect == expectKey {
			s.expect = expectColon
		} else {
			s.expect = expectMore
		}
	}
	return true
}

// token reads a byte outside of strings that is no space.
func (s *shape) token(c byte) bool {
	value := s.expect == expectValue || s.expect == expectFirst
	switch c {
	case '"':
		if s.expect == expectFirstKey {
			s.expect = expectKey
		}
		s.text = value || s.expect == expectKey
		return s.text
	case '{':
		return value && s.open(1, expectFirstKey)
	case '[':
		return value && s.open(0, expectFirst)
	case '}':
		return s.close(1, expectFirstKey)
	case ']':
		return s.close(0, expectFirst)
	case ':':
		fits := s.expect == expectColon
		s.expect = expectValue
		return fits
	case ',':
		fits := s.expect == expectMore
		s.expect = expectValue
		if s.objects&1 == 1 {
			s.expect = expectKey
		}
		return fits
	}
	s.bare = value && s.depth > 0 && isBare(c)
	return s.bare
}

func (s *shape) open(object uint64, first expect) bool {
	s.objects, s.depth, s.expect = s.objects<<1|object, s.depth+1, first
	return s.depth <= maxDepth
}

func (s *shape) close(object uint64, first expect) bool {
	fits := s.depth > 0 && s.objects&1 == object && (s.expect == first || s.expect == expectMore)
	s.objects, s.depth, s.expect = s.objects>>1, s.depth-1, expectMore
	return fits
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// isBare tells whether c may be in a number or a literal.
func isBare(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E'
}
