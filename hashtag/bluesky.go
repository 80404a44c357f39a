package hashtag

import (
	"iter"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// ScanBluesky yields the hashtags of text in order, repeated ones too, each without its hash sign, as Bluesky's
// app would mark them. It is [Scan] by other rules:
//
//   - A tag starts behind # or ＃ at the start of the text or behind white space, and goes on to the next white
//     space or zero-width character. It may hold anything, also other hash signs.
//   - At least one character must be neither an ASCII digit nor punctuation.
//   - The sign is not dressed up as an emoji (U+FE0F behind it).
//   - Punctuation at the end does not belong to the tag, which then has 64 UTF-16 units at most.
func ScanBluesky(text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { scanBluesky(text, yield) }
}

func scanBluesky(text []byte, yield func([]byte) bool) {
	for from := 0; ; {
		sign := nextHashSign(text, from)
		if sign < 0 {
			return
		}
		_, width := hashSign(text, sign)
		from = sign + width
		before, some := utf8.DecodeLastRune(text[:sign])
		if some > 0 && !isSpace(before) {
			continue
		}
		end, valid := blueskyTagEnd(text, from)
		tag := withoutTrailingPunctuation(text[from:end])
		from = end
		if valid && utf16Len(tag) <= maxBlueskyTag && !yield(tag) {
			return
		}
	}
}

// maxBlueskyTag is in UTF-16 units, as JavaScript counts.
const maxBlueskyTag = 64

// blueskyTagEnd follows a tag that starts at i and reports whether it is one.
func blueskyTagEnd(text []byte, i int) (end int, valid bool) {
	if r, _ := utf8.DecodeRune(text[i:]); r == emojiStyle {
		return i, false
	}
	for i < len(text) {
		r, width := decodeRune(text, i)
		if isSpace(r) || isZeroWidth(r) {
			break
		}
		valid = valid || !('0' <= r && r <= '9' || unicode.IsPunct(r))
		i += width
	}
	return i, valid
}

func withoutTrailingPunctuation(tag []byte) []byte {
	for {
		r, width := utf8.DecodeLastRune(tag)
		if width == 0 || !unicode.IsPunct(r) {
			return tag
		}
		tag = tag[:len(tag)-width]
	}
}

// isSpace is for what JavaScript's \s matches.
func isSpace(r rune) bool {
	return '\t' <= r && r <= '\r' || r == ' ' || r == '\uFEFF' || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Zs, r)
}

// isZeroWidth is for what is not seen and ends a tag: soft hyphen, zero-width characters, the enclosing screen.
func isZeroWidth(r rune) bool {
	switch r {
	case '\u00AD', '\u2060', '\u200A', '\u200B', '\u200C', '\u200D', '\u20E2':
		return true
	}
	return false
}

func utf16Len(text []byte) (n int) {
	for i := 0; i < len(text); {
		r, width := decodeRune(text, i)
		n += utf16.RuneLen(r)
		i += width
	}
	return n
}
