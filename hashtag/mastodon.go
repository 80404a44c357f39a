package hashtag

import (
	"bytes"
	"iter"
	"unicode"
	"unicode/utf8"
)

// ScanMastodon yields the hashtags of text in order, repeated ones too, each without its hash sign, as a server of
// Mastodon (4.5) would link them. text is plain, without HTML. It is [Scan] by other rules:
//
//   - A tag starts behind # or ＃ at the start of the text or behind white space, so never inside a URL.
//   - It goes on while there are letters, marks, decimal digits, connecting punctuation like _, or one of the
//     separators · ・ and ZWNJ. It neither begins nor ends with a separator.
//   - Neither its first nor its last character counts when it is asked whether there is a letter or a separator in
//     it; without separators, one letter anywhere is enough. So #1_2 is a tag, #1_ and #12 are none.
//   - The sign is not dressed up as an emoji (U+FE0F or U+20E3 behind it). Mastodon has no such rule, and links what
//     no reader takes for a tag.
//   - If :// follows, http or https at its end belongs to what follows.
func ScanMastodon(text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { scanMastodon(text, yield) }
}

func scanMastodon(text []byte, yield func([]byte) bool) {
	for from := 0; ; {
		sign := nextHashSign(text, from)
		if sign < 0 {
			return
		}
		_, width := hashSign(text, sign)
		from = sign + width
		before, some := utf8.DecodeLastRune(text[:sign])
		if some > 0 && !unicode.Is(unicode.White_Space, before) {
			continue
		}
		tag := mastodonTag(text[from:])
		from += len(tag)
		if bytes.HasPrefix(text[from:], []byte("://")) {
			tag = withoutProtocol(tag)
		}
		if len(tag) > 0 && !yield(tag) {
			return
		}
	}
}

// mastodonTag is the tag that text begins with, empty if there is none.
func mastodonTag(text []byte) []byte {
	end, letter := 0, false
	for end < len(text) && wordBytes[text[end]] != 0 {
		letter = letter || wordBytes[text[end]] == letterByte
		end++
	}
	switch {
	case end < len(text) && text[end] >= utf8.RuneSelf:
		return mastodonTagByRunes(text)
	case letter || end > 2 && bytes.IndexByte(text[1:end-1], '_') >= 0:
		return text[:end]
	}
	return nil
}

// mastodonTagByRunes is mastodonTag for all scripts. The tag is the longer of two forms, which Mastodon says as
// alternatives of a regular expression.
func mastodonTagByRunes(text []byte) []byte {
	if r, _ := utf8.DecodeRune(text); !isMastodonWord(r) || r == emojiStyle || r == keycap {
		return nil
	}
	var (
		plain      int  // the end of what has no separator
		letter     bool // in there is one
		end        int  // behind the last character that is no separator
		last, held bool // the character before end, and one between the first and it, is a letter or separator
	)
	for i, joined := 0, false; i < len(text); {
		r, width := decodeRune(text, i)
		word, alpha := isMastodonWord(r), isAlphabetic(r)
		if !word && !isMastodonSeparator(r) {
			break
		}
		i += width
		if joined = joined || !word; !joined {
			plain, letter = i, letter || alpha
		}
		switch {
		case word:
			held = held || last
			last = end > 0 && (alpha || r == '_')
			end = i
		case end > 0:
			last = true
		}
	}
	switch {
	case held:
		return text[:end]
	case letter:
		return text[:plain]
	}
	return nil
}

// withoutProtocol is a tag that :// follows without http or https, as long as something is left.
func withoutProtocol(tag []byte) []byte {
	for _, protocol := range []string{"https", "http"} {
		if rest, found := bytes.CutSuffix(tag, []byte(protocol)); found && len(rest) > 0 {
			if bytes.ContainsFunc(rest, isAlphabetic) {
				return rest
			}
			return nil
		}
	}
	return tag
}

// wordBytes are those of ASCII's characters that isMastodonWord is for.
var wordBytes = func() (kinds [256]byte) {
	for c := range byte(utf8.RuneSelf) {
		switch {
		case isAlphabetic(rune(c)):
			kinds[c] = letterByte
		case isMastodonWord(rune(c)):
			kinds[c] = otherByte
		}
	}
	return kinds
}()

const (
	letterByte = 1
	otherByte  = 2 // a digit or _
)

// isMastodonWord is for what Ruby's [[:word:]] matches.
func isMastodonWord(r rune) bool {
	if r < utf8.RuneSelf {
		return isAlnum(byte(r)) || r == '_'
	}
	return isAlphabetic(r) || unicode.In(r, unicode.M, unicode.Nd, unicode.Pc)
}

// isMastodonSeparator is for the separators that are not word characters themselves, as _ is.
func isMastodonSeparator(r rune) bool { return r == '\u00B7' || r == '\u30FB' || r == '\u200C' }

// isAlphabetic is for Unicode's property Alphabetic, which Ruby's [[:alpha:]] matches.
func isAlphabetic(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.In(r, unicode.Nl, unicode.Other_Alphabetic))
}
