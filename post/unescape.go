package post

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// unescape appends what the string v says to dst.
func (s *scanner) unescape(dst []byte, v value) []byte {
	dst, _ = appendText(dst, s.data[:v.end], int(v.start))
	return dst
}

// strTo is str for a string of which all is wanted: it appends what the string says to dst in the same pass.
func (s *scanner) strTo(dst []byte) []byte {
	said, end := appendText(dst, s.data, s.pos+1)
	if end >= len(s.data) || s.data[end] != '"' {
		s.failString(end)
		return dst
	}
	s.pos = end + 1
	return said
}

// appendText reads the string that begins at data[i], behind its quote, as stringEnd does, and appends what it says to
// dst. Half a surrogate pair is U+FFFD.
func appendText(dst, data []byte, i int) (text []byte, end int) {
	// Nothing in a string is shorter than what it says, so there is room for all of it.
	dst = slices.Grow(dst, len(data)-i+utf8.UTFMax)
	j := len(dst)
	dst = dst[:cap(dst)]
	for {
		i, j = copyText(dst, data, i, j)
		for i < len(data) && !isSpecial(data[i]) { // the last few
			dst[j] = data[i]
			i, j = i+1, j+1
		}
		if i+1 < len(data) && data[i] == '\\' && escapes[data[i+1]] != 0 {
			dst[j] = escapes[data[i+1]]
			i, j = i+2, j+1
			continue
		}
		r, n := unicodeEscape(data[i:])
		if n == 0 {
			return dst[:j], i
		}
		i, j = i+n, j+utf8.EncodeRune(dst[j:], r)
	}
}

// copyText copies what stands at data[i] to dst[j], short escapes as what they stand for, and returns how far it got:
// to another byte that means something in a string, or near the end of data or dst. It takes eight bytes at a time, so
// up to as many behind the last one in dst are overwritten, too.
func copyText(dst, data []byte, i, j int) (behind, to int) {
	for i >= 0 && i <= len(data)-9 && j >= 0 && j <= len(dst)-8 {
		w := binary.LittleEndian.Uint64(data[i : i+8])
		binary.LittleEndian.PutUint64(dst[j:j+8], w)
		found := special(w)
		if found == 0 {
			i, j = i+8, j+8
			continue
		}
		n := bits.TrailingZeros64(found) / 8
		i, j = i+n, j+n
		c := escapes[data[i+1]]
		if c == 0 || data[i] != '\\' {
			break
		}
		dst[j] = c
		i, j = i+2, j+1
	}
	return i, j
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
