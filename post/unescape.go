package post

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// escapeLen is the length of the escape that data begins with, 0 if JSON has no such escape.
func escapeLen(data []byte) int {
	if len(data) < 2 {
		return 0
	}
	switch data[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if hexRune(data) >= 0 {
			return 6
		}
	}
	return 0
}

// hexRune is the value of the \uXXXX that data begins with, -1 if it does not.
func hexRune(data []byte) rune {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range data[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// unescape appends what the string v says to dst. Half a surrogate pair is U+FFFD.
func (s *scanner) unescape(dst []byte, v value) []byte {
	rest := s.data[v.start:v.end]
	for {
		i := bytes.IndexByte(rest, '\\')
		if i < 0 {
			return append(dst, rest...)
		}
		dst = append(dst, rest[:i]...)
		rest = rest[i:]
		n := 2
		switch c := rest[1]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			n = 6
			r := hexRune(rest)
			if pair := utf16.DecodeRune(r, hexRune(rest[n:])); pair != utf8.RuneError {
				r = pair
				n = 12
			}
			dst = utf8.AppendRune(dst, r) // half a pair becomes U+FFFD here
		default:
			dst = append(dst, c)
		}
		rest = rest[n:]
	}
}

// unescapeHTML replaces the three entities that X writes into texts, in place.
func unescapeHTML(text []byte) []byte {
	first := bytes.IndexByte(text, '&')
	if first < 0 {
		return text
	}
	out := text[:first]
	for i := first; i < len(text); {
		c, n := text[i], 1
		if c == '&' {
			c, n = htmlEntity(text[i:])
		}
		out = append(out, c)
		i += n
	}
	return out
}

// htmlEntity is the character that the entity at the start of text stands for, and the length of the entity; the
// ampersand alone if there is none.
func htmlEntity(text []byte) (byte, int) {
	switch {
	case bytes.HasPrefix(text, []byte("&amp;")):
		return '&', 5
	case bytes.HasPrefix(text, []byte("&lt;")):
		return '<', 4
	case bytes.HasPrefix(text, []byte("&gt;")):
		return '>', 4
	}
	return '&', 1
}
