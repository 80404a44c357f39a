package live

import (
	"bytes"
	"encoding/json"
	"iter"
	"unicode/utf8"
)

// Members are the members of the JSON object that data is, in order: the key as
// it stands between its quotation marks, and the value without the space around
// it, both parts of data. It does not look into values, and ends where data
// stops to look like an object, so it tells what a message is about in a small
// part of the time that decoding takes, and nothing about whether it is sound:
// who decodes it later will say.
func Members(data []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		rest, more := cutSign(data, '{')
		for more {
			var key, value []byte
			rest = trimSpace(rest)
			end := endOfString(rest)
			if end < 0 {
				return
			}
			key, rest = rest[1:end-1], rest[end:]
			if rest, more = cutSign(rest, ':'); !more {
				return
			}
			if value, rest = cutValue(rest); len(value) == 0 || !yield(key, value) {
				return
			}
			rest, more = cutSign(rest, ',')
		}
	}
}

// Text is the text of a value that is a string, else empty.
func Text(value []byte) string {
	if len(value) < 2 || value[0] != '"' {
		return ""
	}
	if inner := value[1 : len(value)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var text string
	if json.Unmarshal(value, &text) != nil {
		return ""
	}
	return text
}

func trimSpace(data []byte) []byte {
	for len(data) > 0 && isSpace(data[0]) {
		data = data[1:]
	}
	return data
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// cutSign returns what is behind a sign, if it comes next.
func cutSign(data []byte, sign byte) ([]byte, bool) {
	data = trimSpace(data)
	if len(data) == 0 || data[0] != sign {
		return nil, false
	}
	return data[1:], true
}

// endOfString is the place behind the string that data begins with, negative if
// there is none.
func endOfString(data []byte) int {
	if len(data) == 0 || data[0] != '"' {
		return -1
	}
	for i := 1; ; i++ {
		next := bytes.IndexByte(data[i:], '"')
		if next < 0 {
			return -1
		}
		i += next
		escapes := i
		for data[escapes-1] == '\\' {
			escapes--
		}
		if (i-escapes)%2 == 0 {
			return i + 1
		}
	}
}

// cutValue parts a value from what is behind it. Without anything behind it, it
// is cut off, and there is none.
func cutValue(data []byte) (value, rest []byte) {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			end := endOfString(data[i:])
			if end < 0 {
				return nil, nil
			}
			i += end - 1
		case '{', '[':
			depth++
		case '}', ']', ',':
			if depth == 0 {
				return bytes.TrimSpace(data[:i]), data[i:]
			}
			if data[i] != ',' {
				depth--
			}
		}
	}
	return nil, nil
}
