package hashtag

import (
	"bytes"
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// MaxLen is the longest tag and the longest key in bytes. Networks stop far below it (Bluesky at 640 bytes, X
// and Mastodon at the length of a post), so anything longer is an accident or an attack: it has no key, is not
// counted, and cannot make a record key, an index entry or a URL of absurd size.
const MaxLen = 1024

// Fold appends the key of tag to dst and returns the extended slice. What [Trim] takes away is no part of the key,
// also where it shows only in the folded tag (¨ becomes a space and a mark): so a key that is folded stays as it is.
// Fold appends nothing if no tag is left, if it or its key is longer than [MaxLen], or if there is a control
// character in it, a line's end, or an override of the direction of writing: no network's own program writes those,
// and they would harm whoever prints the key. Each byte that is not UTF-8 counts as U+FFFD.
// tag is not kept and may not overlap the free capacity of dst. In steady state nothing is allocated.
func Fold(dst, tag []byte) []byte {
	tag = Trim(tag)
	if len(tag) > MaxLen {
		return dst
	}
	n := len(dst)
	dst, all := foldPrintable(dst, tag)
	if all {
		return dst
	}
	if dst = dst[:n]; isHarmful(tag) {
		return dst
	}
	dst = FoldText(dst, tag)
	switch key := Trim(dst[n:]); {
	case len(key) > MaxLen:
		return dst[:n]
	case len(key) == len(dst)-n:
		return dst
	default:
		return append(dst[:n], key...)
	}
}

// foldPrintable appends the fold of a trimmed tag as far as that is of printable characters of ASCII, and reports
// whether all of it is. It is there for speed only.
func foldPrintable(dst, tag []byte) (folded []byte, all bool) {
	n := len(dst)
	dst = slices.Grow(dst, len(tag))[:n+len(tag)]
	key := dst[n:][:len(tag)]
	for i, c := range tag {
		folded := printable[c]
		if folded == 0 {
			return dst, false
		}
		key[i] = folded
	}
	return dst, true
}

// printable are the folds of the printable characters of ASCII, 0 for all other bytes.
var printable = func() (folds [256]byte) {
	for c := byte(' '); c <= '~'; c++ {
		folds[c] = c
		if 'A' <= c && c <= 'Z' {
			folds[c] += 'a' - 'A'
		}
	}
	return folds
}()

// Trim is the part of tag without space around it and hash signs before it: what is left between them when a program
// or a person leaves them on. A sign behind is kept, C# is a tag, and so is one that is dressed up as an emoji (#️⃣).
func Trim(tag []byte) []byte {
	if n := len(tag); n > 0 && isDark(tag[0]) && tag[0] != '#' && isDark(tag[n-1]) {
		return tag
	}
	return trimRunes(tag)
}

// isDark is for the visible characters of ASCII, and for one more that is no space.
func isDark(c byte) bool { return ' ' < c && c < utf8.RuneSelf }

func trimRunes(tag []byte) []byte {
	for len(tag) > 0 {
		r, width := decodeRune(tag, 0)
		if !unicode.IsSpace(r) && !isPlainSign(r, tag[width:]) {
			break
		}
		tag = tag[width:]
	}
	for len(tag) > 0 {
		r, width := utf8.DecodeLastRune(tag)
		if !unicode.IsSpace(r) {
			break
		}
		tag = tag[:len(tag)-width]
	}
	return tag
}

// isPlainSign reports whether r is a hash sign, or folds to one, and what is behind does not make it an emoji.
func isPlainSign(r rune, behind []byte) bool {
	if r != '#' && r != '＃' && r != '﹟' {
		return false
	}
	next, _ := utf8.DecodeRune(behind)
	return next != emojiStyle && next != keycap
}

// isHarmful reports whether tag has a character that must not be printed:
//
//	U+0000–001F, U+007F–009F    control characters       00–1F, 7F, C2 80–9F
//	U+2028, U+2029              line, paragraph          E2 80 A8–A9
//	U+202A–202E, U+2066–2069    direction of writing     E2 80 AA–AE, E2 81 A6–A9
func isHarmful(tag []byte) bool {
	for i, c := range tag {
		switch {
		case c < ' ' || c == 0x7F:
			return true
		case c < 0xC2:
		case c == 0xC2:
			if i+1 < len(tag) && 0x80 <= tag[i+1] && tag[i+1] <= 0x9F {
				return true
			}
		case c == 0xE2 && i+2 < len(tag):
			second, third := tag[i+1], tag[i+2]
			if second == 0x80 && 0xA8 <= third && third <= 0xAE || second == 0x81 && 0xA6 <= third && third <= 0xA9 {
				return true
			}
		}
	}
	return false
}

// FoldText is [Fold] without its bounds, for text in which keys are looked for.
func FoldText(dst, text []byte) []byte {
	n := len(dst)
	for _, c := range text {
		if c >= utf8.RuneSelf {
			return foldLetters(dst[:n], text)
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// foldLetters is FoldText letter by letter, as long as that will do.
func foldLetters(dst, text []byte) []byte {
	n := len(dst)
	for i := 0; i < len(text); {
		r, width := decodeRune(text, i)
		folded, alone := foldAlone(r)
		if !alone {
			return foldUnicode(dst[:n], text)
		}
		dst = utf8.AppendRune(dst, folded)
		i += width
	}
	return dst
}

// foldAlone is the fold of the letters that most tags are written in, if it depends neither on their neighbours,
// nor theirs on them. It is there for speed only.
func foldAlone(r rune) (folded rune, alone bool) {
	switch {
	case 'A' <= r && r <= 'Z', 'À' <= r && r <= 'Þ' && r != '×', 'А' <= r && r <= 'Я':
		return r + 0x20, true
	case 'Ѐ' <= r && r <= 'Џ':
		return r + 0x50, true
	case r < utf8.RuneSelf, 'à' <= r && r <= 'ÿ', 'а' <= r && r <= 'џ', // ASCII, Latin-1, Cyrillic
		'\u0621' <= r && r <= '\u064A',             // Arabic letters
		'ぁ' <= r && r <= 'ゖ', 'ァ' <= r && r <= 'ー', // kana
		'一' <= r && r <= '\u9FFF', '가' <= r && r <= '힣': // Han, Hangul syllables
		return r, true
	}
	return r, false
}

// Key is [Fold] from string to string: the key of a tag as an author wrote it or a person types it, in a search box or
// a URL, with space and hash signs or without; empty if no tag is left. The key of a key is the key itself.
func Key(tag string) string {
	return string(Fold(make([]byte, 0, 64), []byte(tag)))
}

// caseFold is full case folding, not lower case: straße and STRASSE are one. It is stateless.
var caseFold = cases.Fold()

// smallCherokee makes up for caseFold, which turns capital Cherokee letters into small ones and small ones into
// capitals (golang/go#46101): they should all become capitals.
func smallCherokee(r rune) rune {
	switch {
	case 'Ꭰ' <= r && r <= 'Ꮿ':
		return r - 'Ꭰ' + 'ꭰ'
	case 'Ᏸ' <= r && r <= 'Ᏽ':
		return r - 'Ᏸ' + 'ᏸ'
	}
	return r
}

func isCapitalCherokee(r rune) bool { return smallCherokee(r) != r }

// foldUnicode is FoldText for any text.
func foldUnicode(dst, text []byte) []byte {
	if !utf8.Valid(text) {
		text = []byte(string([]rune(string(text))))
	}
	f := folders.Get().(*folder)
	defer folders.Put(f)
	return append(dst, f.normal(f.fold(f.normal(text)))...)
}

// folder is the room that one fold needs beside its result. norm.Form.Append and IsNormal
// would allocate their own each time.
type folder struct {
	iter                      norm.Iter
	composed, lowered, folded []byte
}

var folders = sync.Pool{New: func() any { return new(folder) }}

// normal is the normal form of text, which it is most of the time already.
func (f *folder) normal(text []byte) []byte {
	if norm.NFKC.QuickSpan(text) == len(text) {
		return text
	}
	f.composed = f.composed[:0]
	f.iter.Init(norm.NFKC, text)
	for !f.iter.Done() {
		f.composed = append(f.composed, f.iter.Next()...)
	}
	return f.composed
}

// fold is the case fold of text.
func (f *folder) fold(text []byte) []byte {
	if _, err := caseFold.Span(text, true); err == nil {
		return text
	}
	if bytes.ContainsFunc(text, isCapitalCherokee) {
		text = f.small(text)
	}
	f.folded = slices.Grow(f.folded[:0], 3*len(text)) // no character folds to more than three times its bytes
	n, _, _ := caseFold.Transform(f.folded[:cap(f.folded)], text, true)
	return f.folded[:n]
}

// small is text with small Cherokee letters.
func (f *folder) small(text []byte) []byte {
	f.lowered = f.lowered[:0]
	for i := 0; i < len(text); {
		r, width := decodeRune(text, i)
		f.lowered = utf8.AppendRune(f.lowered, smallCherokee(r))
		i += width
	}
	return f.lowered
}
