package post

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// plain is the first byte at or behind i that means something in a string: a quote, a backslash or a control
// character. It looks at eight bytes at a time.
func plain(data []byte, i int) int {
	if i < 0 { // never: so the compiler knows, and checks no bounds in the loop
		return 0
	}
	for ; i <= len(data)-8; i += 8 {
		if found := special(binary.LittleEndian.Uint64(data[i : i+8])); found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(data) && !isSpecial(data[i]) {
		i++
	}
	return i
}

func isSpecial(c byte) bool { return c < 0x20 || c == '"' || c == '\\' }

// special has the high bit of each byte of w set that means something in a string. That is so of the lowest such
// byte; those above it may be wrong, as it may have borrowed from them.
func special(w uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	// With the second bit turned, quotes (0x22) and control characters are all below 0x21, and nothing else is.
	quotes := w ^ ones*0x02 - ones*0x21
	backslashes := w ^ ones*'\\' - ones
	return (quotes | backslashes) &^ w & highs
}

// stringEnd is plain, but goes on behind the escapes that JSON has.
func stringEnd(data []byte, i int) int {
	for {
		i = plain(data, i)
		if i+1 < len(data) && data[i] == '\\' && escapes[data[i+1]] != 0 {
			i += 2
			continue
		}
		_, n := unicodeEscape(data[i:])
		if n == 0 {
			return i
		}
		i += n
	}
}

// escapes are what the letters behind a backslash stand for, 0 where there is no such escape.
var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unicodeEscape is what the \uXXXX that data begins with stands for, or two of them that are a surrogate pair, and
// their length; 0 if there is none. Half a pair is U+FFFD.
func unicodeEscape(data []byte) (r rune, n int) {
	r = hexRune(data)
	if r < 0 {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if pair := utf16.DecodeRune(r, hexRune(data[6:])); pair != utf8.RuneError {
		return pair, 12
	}
	return utf8.RuneError, 6
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
