package hashtag

import (
	"unicode"
	"unicode/utf8"
)

// Characters that make a hash sign an emoji, or keep one from being it.
const (
	textStyle  = '\uFE0E'
	emojiStyle = '\uFE0F'
	keycap     = '\u20E3'
)

// isLetterOrMark is for what a tag needs at least one of.
func isLetterOrMark(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	return unicode.IsLetter(r) || unicode.IsMark(r)
}

// isTagRune is for all that a tag may consist of.
func isTagRune(r rune) bool {
	if r < utf8.RuneSelf {
		return isAlnum(byte(r)) || r == '_'
	}
	return isLetterOrMark(r) || unicode.Is(unicode.Nd, r) || isJoiner(r)
}

// isJoiner is for the characters beside letters, marks and digits that hold a tag together.
func isJoiner(r rune) bool {
	switch r {
	case '\u200C', '\u200D', // zero-width non-joiner and joiner
		'\uA67E',                     // Cyrillic kavyka
		'\u05BE', '\u05F3', '\u05F4', // Hebrew maqaf, geresh, gershayim
		'\uFF5E', '\u301C', // fullwidth tilde, wave dash
		'\u309B', '\u309C', // voiced and semi-voiced sound marks
		'\u30A0', '\u30FB', // katakana double hyphen and middle dot
		'\u3003',           // ditto mark
		'\u0F0B', '\u0F0C', // Tibetan tshegs
		'\u00B7': // middle dot
		return true
	}
	return false
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// mayPrecedeLink is for the character before a URL.
func mayPrecedeLink(r rune) bool {
	if r < utf8.RuneSelf {
		return !isAlnum(byte(r)) && r != '@' && r != '$' && r != '#'
	}
	return r != '＠' && r != '＃' && !isInvalid(r)
}

// isLabelRune is for the characters of a domain label, other than the - and _ within one: everything that is
// neither punctuation in ASCII, nor space, nor a byte order mark or its like.
func isLabelRune(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return isAlnum(byte(r)) || r == '"' || r == '`' || r < '\t' || '\r' < r && r < ' ' || r == 0x7F
	case r == '\u0085', r == '\u00A0', r == '\u1680', r == '\u180E', '\u2000' <= r && r <= '\u200A',
		r == '\u2028', r == '\u2029', r == '\u202F', r == '\u205F', r == '\u3000':
		return false
	}
	return !isInvalid(r)
}

// isInvalid is for what X rejects in a post: byte order marks, the non-characters, directional overrides.
func isInvalid(r rune) bool {
	return r == '\uFFFE' || r == '\uFEFF' || r == '\uFFFF' || '\u202A' <= r && r <= '\u202E'
}

// isLatinAccent is for the letters outside ASCII that X takes in the path of a URL, and in a domain without
// protocol.
func isLatinAccent(r rune) bool {
	switch {
	case r < 0xC0 || r == 0xD7 || r == 0xF7:
		return false
	case r <= 0x24F, '\u0300' <= r && r <= '\u036F', '\u1E00' <= r && r <= '\u1EFF':
		return true
	}
	switch r {
	case '\u0253', '\u0254', '\u0256', '\u0257', '\u0259', '\u025B', '\u0263', '\u0268', '\u026F', '\u0272',
		'\u0289', '\u028B', '\u02BB':
		return true
	}
	return false
}

// isPathRune is for the characters of a URL's path, round brackets aside.
func isPathRune(r rune) bool {
	if isPathEnd(r) {
		return true
	}
	switch r {
	case '!', '*', '\'', ';', ':', ',', '.', '$', '%', '[', ']', '–', '~', '@', '|', '&':
		return true
	}
	return false
}

// isPathEnd is for the characters that a URL's path may end in.
func isPathEnd(r rune) bool {
	if r < utf8.RuneSelf {
		return isAlnum(byte(r)) || r == '+' || r == '-' || r == '=' || r == '_' || r == '#' || r == '/'
	}
	return '\u0400' <= r && r <= '\u04FF' || isLatinAccent(r)
}

// isQueryByte is for the characters of a URL's query.
func isQueryByte(c byte) bool {
	switch c {
	case '!', '?', '*', '\'', '@', '(', ')', ';', ':', '+', '$', '%', '[', ']', '.', ',', '~', '|':
		return true
	}
	return isQueryEnd(c)
}

// isQueryEnd is for the characters that a URL's query may end in.
func isQueryEnd(c byte) bool {
	return isAlnum(c) || c == '-' || c == '_' || c == '&' || c == '=' || c == '#' || c == '/'
}

// decodeRune is the character at text[i] and its length. A byte that is not UTF-8 is U+FFFD.
func decodeRune(text []byte, i int) (rune, int) {
	if c := text[i]; c < utf8.RuneSelf {
		return rune(c), 1
	}
	return utf8.DecodeRune(text[i:])
}
