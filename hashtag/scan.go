package hashtag

import (
	"bytes"
	"iter"
	"unicode/utf8"
)

// Scan yields the hashtags of text in order, repeated ones too, each without its hash sign, as X would link them.
// The slices are parts of text; nothing is allocated. A byte that is not UTF-8 belongs to no tag and separates
// like punctuation.
//
// The rules are those of twitter-text:
//
//   - A tag starts behind # or ＃ and goes on while there are letters, marks, decimal digits or one of a few
//     joiners ([isTagRune]). At least one must be a letter or a mark.
//   - Before the sign stands nothing, or a character that could not be in a tag and is no &.
//   - The sign is not dressed up as an emoji (U+FE0F or U+20E3 behind it).
//   - Another hash sign or :// directly behind the tag spoils it.
//   - A tag inside a URL is none, unless it begins before the URL does.
func Scan(text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { scan(text, yield) }
}

func scan(text []byte, yield func([]byte) bool) {
	tags, links := tagFinder{text: text}, linkFinder{text: text}
	kept := 0 // the end of the last tag or URL that won its place
	link, linked := span{}, true
	for tag, found := tags.next(); found; tag, found = tags.next() {
		for linked && link.start < tag.start && mayBeInLink(text[:tag.start]) {
			if link.start >= kept {
				kept = link.end
			}
			link, linked = links.next()
		}
		if tag.start < kept {
			continue
		}
		kept = tag.end
		_, sign := hashSign(text, tag.start)
		if !yield(text[tag.start+sign : tag.end]) {
			return
		}
	}
}

// mayBeInLink reports whether what stands before a tag can be part of a URL that goes on with the tag. Mostly it
// is a space, and URLs need not be looked for at all.
func mayBeInLink(before []byte) bool {
	r, _ := utf8.DecodeLastRune(before)
	return isPathRune(r) || r < utf8.RuneSelf && isQueryByte(byte(r))
}

// span is a part of the text, by bytes.
type span struct{ start, end int }

// tagFinder finds what looks like a hashtag, hash sign included, without regard to URLs.
type tagFinder struct {
	text []byte
	from int // no sign before it is left to look at
	// Invariant: done ≤ from. Text before done belongs to an earlier match, which another one does not share,
	// not even the character before its sign.
	done int
}

func (f *tagFinder) next() (span, bool) {
	for {
		sign := nextHashSign(f.text, f.from)
		if sign < 0 {
			return span{}, false
		}
		_, width := hashSign(f.text, sign)
		f.from = sign + width
		if !f.mayStart(sign) {
			continue
		}
		end, valid := tagEnd(f.text, f.from)
		f.from = end
		if !valid {
			continue
		}
		f.done = end
		if !spoils(f.text[end:]) {
			return span{sign, end}, true
		}
	}
}

// mayStart reports whether what stands before the hash sign allows a tag.
func (f *tagFinder) mayStart(sign int) bool {
	if sign == 0 {
		return true
	}
	r, width := utf8.DecodeLastRune(f.text[f.done:sign])
	if width == 0 {
		return false
	}
	return r == textStyle || r == emojiStyle || r != '&' && !isTagRune(r)
}

// tagEnd follows a tag that starts at i and reports whether it is one.
func tagEnd(text []byte, i int) (end int, valid bool) {
	if r, _ := utf8.DecodeRune(text[i:]); r == emojiStyle || r == keycap {
		return i, false
	}
	for i < len(text) {
		r, width := decodeRune(text, i)
		if !isTagRune(r) {
			break
		}
		valid = valid || isLetterOrMark(r)
		i += width
	}
	return i, valid
}

// spoils reports whether rest, which follows a tag, makes it none.
func spoils(rest []byte) bool {
	found, _ := hashSign(rest, 0)
	return found || bytes.HasPrefix(rest, []byte("://"))
}

const fullWidthSign = "＃"

// hashSign reports whether a hash sign is at text[i:], and how many bytes it has.
func hashSign(text []byte, i int) (found bool, width int) {
	rest := text[i:]
	if len(rest) > 0 && rest[0] == '#' {
		return true, 1
	}
	if bytes.HasPrefix(rest, []byte(fullWidthSign)) {
		return true, len(fullWidthSign)
	}
	return false, 0
}

// nextHashSign is the first hash sign at or behind from, -1 if there is none.
func nextHashSign(text []byte, from int) int {
	for i := from; i < len(text); i++ {
		if c := text[i]; c != '#' && c != fullWidthSign[0] {
			continue
		}
		if found, _ := hashSign(text, i); found {
			return i
		}
	}
	return -1
}
