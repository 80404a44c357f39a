package post

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

// value reads any value. Of an array or object only the place is kept.
func (s *scanner) value() value {
	c := s.next()
	if c == '"' {
		return s.str()
	}
	v := value{start: uint32(s.pos), kind: kindOf(c)}
	s.skip()
	v.end = uint32(s.pos)
	return v
}

// kindOf is the kind of a value, other than a string, by its first byte.
func kindOf(first byte) kind {
	switch first {
	case '{':
		return object
	case '[':
		return array
	case 't', 'f':
		return boolean
	case 'n':
		return null
	}
	return number
}

// field reads the value of the member name, which must be of the kind want or null. Null is absent.
func (s *scanner) field(name string, want kind) value {
	if want == text && s.next() == '"' {
		return s.str()
	}
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

// str reads the string at hand.
func (s *scanner) str() value {
	start := s.pos + 1
	end := plain(s.data, start)
	if end < len(s.data) && s.data[end] == '"' {
		s.pos = end + 1
		return value{uint32(start), uint32(end), text, false}
	}
	return s.escapedStr(start, end)
}

// escapedStr is str for a string with an escape at i, if any.
func (s *scanner) escapedStr(start, i int) value {
	end := stringEnd(s.data, i)
	if end >= len(s.data) || s.data[end] != '"' {
		s.failString(end)
		return value{}
	}
	s.pos = end + 1
	return value{uint32(start), uint32(end), text, true}
}

// failString fails at what must not be in a string.
func (s *scanner) failString(at int) int {
	switch {
	case at >= len(s.data):
		return s.fail(at, "the value ends inside a string")
	case s.data[at] == '\\':
		return s.fail(at, "not JSON, unknown escape in a string")
	}
	return s.fail(at, "not JSON, control character in a string")
}
