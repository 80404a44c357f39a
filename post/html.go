package post

import (
	"bytes"
	"unicode/utf8"
)

// textOfHTML is the text of a piece of HTML as Mastodon's servers write them, in place: tags are dropped, those that
// begin a line become one, and references become characters. What is not well-formed is text, and behind a tag without
// end all is.
func textOfHTML(html []byte) []byte {
	out := html[:0]
	references := bytes.IndexByte(html, '&') >= 0
	for len(html) > 0 {
		n := bytes.IndexByte(html, '<')
		if n < 0 {
			return appendReferences(out, html)
		}
		switch {
		case n == 0:
		case references:
			out = appendReferences(out, html[:n])
		default:
			out = append(out, html[:n]...)
		}
		html = html[n:]
		end, apart := htmlTag(html)
		switch {
		case end < 0:
			return append(out, html...)
		case end == 0:
			out = append(out, '<')
			end = 1
		case apart:
			out = append(out, '\n')
		}
		html = html[end:]
	}
	return out
}

// appendReferences appends text with its references made characters. They may share memory as long as dst is first.
func appendReferences(dst, text []byte) []byte {
	for {
		n := bytes.IndexByte(text, '&')
		if n < 0 {
			return append(dst, text...)
		}
		dst = append(dst, text[:n]...)
		r, width := htmlReference(text[n:])
		dst = utf8.AppendRune(dst, r)
		text = text[n+width:]
	}
}

// htmlTag is the end of the tag that html begins with, 0 if it does not, -1 if that tag has none, and whether what
// follows it stands apart from what is before it.
func htmlTag(html []byte) (end int, apart bool) {
	i := 1
	if i < len(html) && html[i] == '/' {
		i++
	}
	start := i
	for i < len(html) && isLetter(html[i]) {
		i++
	}
	name := html[start:i]
	if len(name) == 0 && (i >= len(html) || html[i] != '!') {
		return 0, false
	}
	for ; i < len(html); i++ {
		switch c := html[i]; {
		case c > '>': // all letters
		case c == '"' || c == '\'':
			quoted := bytes.IndexByte(html[i+1:], c)
			if quoted < 0 {
				return -1, false
			}
			i += 1 + quoted
		case c == '>':
			return i + 1, !isInline(name)
		}
	}
	return -1, false
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// isInline reports whether the elements of that name stand within a line. Headings, whose names go on with a
// digit, do not.
func isInline(name []byte) bool {
	switch string(name) {
	case "a", "span", "b", "strong", "i", "em", "u", "s", "del", "ins", "code", "small", "sub", "sup", "wbr", "bdi", "bdo", "abbr", "mark", "q", "":
		return true
	}
	return false
}

// htmlReference is the character that the reference at the start of html stands for, and its length; the ampersand
// alone if it is none. No reference is shorter than its character.
func htmlReference(html []byte) (rune, int) {
	end := bytes.IndexByte(html[:min(len(html), len("&#1114111;"))], ';')
	if end < 0 {
		return '&', 1
	}
	switch name := html[1:end]; string(name) {
	case "amp":
		return '&', end + 1
	case "lt":
		return '<', end + 1
	case "gt":
		return '>', end + 1
	case "quot":
		return '"', end + 1
	case "apos":
		return '\'', end + 1
	case "nbsp":
		return '\u00A0', end + 1
	default:
		if r := numericReference(name); r > 0 {
			return r, end + 1
		}
	}
	return '&', 1
}

// numericReference is the character of #39 or #x27, 0 if there is none.
func numericReference(name []byte) (r rune) {
	if len(name) < 2 || name[0] != '#' {
		return 0
	}
	base, digits := rune(10), name[1:]
	if digits[0]|0x20 == 'x' {
		base, digits = 16, digits[1:]
	}
	for _, c := range digits {
		digit := rune(c - '0')
		if isLetter(c) {
			digit = rune(c|0x20-'a') + 10
		}
		if digit >= base {
			return 0
		}
		if r = r*base + digit; r > utf8.MaxRune {
			return 0
		}
	}
	if !utf8.ValidRune(r) {
		return 0
	}
	return r
}
