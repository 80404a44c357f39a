package hashtag

import (
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// MaxLen is the longest tag and the longest key in bytes. Networks stop far below it (Bluesky at 640 bytes, X
// and Mastodon at the length of a post), so anything longer is an accident or an attack: it has no key, is not
// counted, and cannot make a record key, an index entry or a URL of absurd size.
const MaxLen = 1024

// Fold appends the key of tag to dst and returns the extended slice. It appends nothing if tag is empty, or if
// tag or its key is longer than [MaxLen]. Each byte that is not UTF-8 counts as U+FFFD.
// tag is not kept and may not overlap the free capacity of dst. In steady state nothing is allocated.
func Fold(dst, tag []byte) []byte {
	if len(tag) > MaxLen {
		return dst
	}
	n := len(dst)
	for _, c := range tag {
		if c >= utf8.RuneSelf {
			return foldUnicode(dst[:n], tag)
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// FoldString is [Fold] from string to string.
func FoldString(tag string) string {
	return string(Fold(make([]byte, 0, 64), []byte(tag)))
}

// Key is the key of a tag as a person types it, in a search box or a URL: space around it and one leading
// hash sign, # or ＃, are dropped before folding. It is empty when no tag is left.
func Key(param string) string {
	tag := strings.TrimSpace(param)
	if rest, found := strings.CutPrefix(tag, "＃"); found {
		return FoldString(rest)
	}
	return FoldString(strings.TrimPrefix(tag, "#"))
}

// caseFold is full case folding, not lower case: straße and STRASSE are one. It is stateless.
var caseFold = cases.Fold()

// foldUnicode is Fold for a tag that is not ASCII.
func foldUnicode(dst, tag []byte) []byte {
	if !utf8.Valid(tag) {
		tag = []byte(string([]rune(string(tag))))
	}
	if norm.NFKC.IsNormal(tag) {
		if _, err := caseFold.Span(tag, true); err == nil {
			return append(dst, tag...)
		}
	}
	f := folders.Get().(*folder)
	defer folders.Put(f)
	f.normal = f.appendNFKC(f.normal[:0], tag)
	f.folded = appendFold(f.folded[:0], f.normal)
	f.normal = f.appendNFKC(f.normal[:0], f.folded)
	if len(f.normal) > MaxLen {
		return dst
	}
	return append(dst, f.normal...)
}

// folder is the room that one fold needs beside its result. norm.Form.Append would allocate its own each time.
type folder struct {
	iter           norm.Iter
	normal, folded []byte
}

var folders = sync.Pool{New: func() any { return new(folder) }}

// appendNFKC appends the normal form of src to dst.
func (f *folder) appendNFKC(dst, src []byte) []byte {
	f.iter.Init(norm.NFKC, src)
	for !f.iter.Done() {
		dst = append(dst, f.iter.Next()...)
	}
	return dst
}

// appendFold appends the case fold of src to dst.
func appendFold(dst, src []byte) []byte {
	dst = slices.Grow(dst, 3*len(src)) // no character folds to more than three times its bytes
	n, _, _ := caseFold.Transform(dst[len(dst):cap(dst)], src, true)
	return dst[:len(dst)+n]
}
