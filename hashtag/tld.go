package hashtag

import (
	"bytes"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// longestTLD is the length of the longest of tlds in bytes.
const longestTLD = 33

// isTLD reports whether name, in lower case, is a TLD, and whether there is one that begins with it.
func isTLD(name []byte) (is, begins bool) {
	i := sort.Search(len(tlds), func(i int) bool { return tlds[i] >= string(name) })
	if i == len(tlds) {
		return false, false
	}
	return tlds[i] == string(name), strings.HasPrefix(tlds[i], string(name))
}

// tldEnd is the end of the top-level domain that starts at text[i], -1 if there is none. No ASCII letter or
// digit follows one, but text in another script may, without a space (".comです").
func tldEnd(text []byte, i int) int {
	if end := asciiTLD(text, i); end > 0 {
		return end
	}
	if end := unicodeTLD(text, i); end > 0 {
		return end
	}
	return punycodeTLD(text, i)
}

// asciiTLD takes ASCII letters and digits as far as they go.
func asciiTLD(text []byte, i int) int {
	var name [longestTLD]byte
	end := i
	for ; end < len(text) && isAlnum(text[end]); end++ {
		if end-i == len(name) {
			return -1
		}
		name[end-i] = text[end] | 0x20
	}
	if is, _ := isTLD(name[:end-i]); !is {
		return -1
	}
	return end
}

// unicodeTLD takes the longest of the names that fit.
func unicodeTLD(text []byte, i int) int {
	var buf [longestTLD + utf8.UTFMax]byte
	name, longest := buf[:0], -1
	for end := i; end < len(text) && len(name) <= longestTLD; {
		r, width := decodeRune(text, end)
		lower := unicode.ToLower(r)
		if lower < utf8.RuneSelf && lower != r && r >= utf8.RuneSelf {
			break // the Kelvin sign is no k
		}
		name = utf8.AppendRune(name, lower)
		end += width
		is, begins := isTLD(name)
		if !begins {
			break
		}
		if is && (end == len(text) || !isAlnum(text[end])) {
			longest = end
		}
	}
	return longest
}

// punycodeTLD takes any name in punycode; the list has none.
func punycodeTLD(text []byte, i int) int {
	const prefix = "xn--"
	end := i + len(prefix)
	if end > len(text) || !bytes.EqualFold(text[i:end], []byte(prefix)) {
		return -1
	}
	for end < len(text) && (isAlnum(text[end]) || text[end] == '-') {
		end++
	}
	if end == i+len(prefix) {
		return -1
	}
	return end
}
