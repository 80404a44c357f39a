package hashtag

import (
	"bytes"
	"unicode/utf8"
)

// linkFinder finds the URLs that X would link, as far as a hashtag could lie inside one. There is no hash sign in
// a domain, so without a protocol only a URL with a path matters, and the rules about domains that stand alone
// ("t.co" is a URL, "co.jp" is none) are left out.
//
//	https://www.example.com:8080/path_(x)?query
//	protocol domain         port path     query
//	(or not)                (each or not)
//
// A URL that turns out invalid still uses up its text, as it does in twitter-text. Time is linear in the text.
type linkFinder struct {
	text []byte
	from int // no domain that starts before it is left to look at
	// Invariant: done ≤ from. Text before done belongs to an earlier match, valid or not, which another one does
	// not share, not even the character before its start.
	done int
}

// maxLinkRunes bounds a URL; what is longer is none.
const maxLinkRunes = 4096

// next is the next URL that could hold a hash sign.
func (f *linkFinder) next() (span, bool) {
	for {
		domain, found := f.nextDomain()
		if !found {
			return span{}, false
		}
		protocol := f.protocol(domain.start)
		path := portEnd(f.text, domain.end)
		query := pathEnd(f.text, path)
		end := queryEnd(f.text, query)
		link, valid := span{domain.start - protocol, end}, false
		if protocol > 0 {
			link, valid = f.cutShort(link, domain), true
		} else if query > path {
			link, valid = f.withoutProtocol(link, domain)
		}
		f.from, f.done = end, end
		if valid && f.plausible(link, domain) {
			return link, true
		}
	}
}

// nextDomain finds the next domain, and does not look yet at what surrounds it.
func (f *linkFinder) nextDomain() (span, bool) {
	if domain, found := f.behindFirst(); found {
		return domain, true
	}
	for {
		dot := bytes.IndexByte(f.text[f.from:], '.')
		if dot < 0 {
			return span{}, false
		}
		dot += f.from
		f.from = domainRunStart(f.text[:dot], f.from)
		for f.from <= dot {
			if !f.mayStart(f.from) {
				_, width := decodeRune(f.text, f.from)
				f.from += width
				continue
			}
			domain, checked := findDomain(f.text, f.from)
			if domain.end > 0 {
				return domain, true
			}
			f.from = checked
		}
	}
}

// behindFirst finds the domain that starts with the second character of the text. twitter-text would rather take
// the first one for what stands before a URL than for part of it.
func (f *linkFinder) behindFirst() (span, bool) {
	if f.from > 0 || len(f.text) == 0 {
		return span{}, false
	}
	first, width := decodeRune(f.text, 0)
	domain, _ := findDomain(f.text, width)
	return domain, mayPrecedeLink(first) && domain.end > 0 && domain.start == width
}

// mayStart reports whether what stands before i allows a URL there.
func (f *linkFinder) mayStart(i int) bool {
	if i == 0 {
		return true
	}
	r, width := utf8.DecodeLastRune(f.text[f.done:i])
	return width > 0 && mayPrecedeLink(r)
}

// protocol is the length of the http:// or https:// before the domain, 0 if there is none.
func (f *linkFinder) protocol(domain int) int {
	for _, p := range []string{"http://", "https://"} {
		start := domain - len(p)
		if start >= f.done && bytes.EqualFold(f.text[start:domain], []byte(p)) && f.mayStart(start) {
			return len(p)
		}
	}
	return 0
}

// cutShort ends a t.co URL, X's own, behind its letters and digits: what follows them is not X's.
func (f *linkFinder) cutShort(link, domain span) span {
	rest := f.text[domain.end:link.end]
	if !bytes.EqualFold(f.text[domain.start:domain.end], []byte("t.co")) || !bytes.HasPrefix(rest, []byte("/")) {
		return link
	}
	slug := 1
	for slug < len(rest) && isAlnum(rest[slug]) {
		slug++
	}
	if slug == 1 {
		return link
	}
	return span{link.start, domain.end + slug}
}

// withoutProtocol decides on a URL that begins with its domain: it must not hang on to something before it, and
// only the part of the domain in Latin letters belongs to it.
func (f *linkFinder) withoutProtocol(link, domain span) (span, bool) {
	if link.start > 0 {
		switch f.text[link.start-1] {
		case '-', '_', '.', '/':
			return link, false
		}
	}
	start, found := latinDomain(f.text[domain.start:domain.end])
	return span{link.start + start, link.end}, found
}

// plausible reports whether the domain could be one on the wire, and the URL is not too long.
func (f *linkFinder) plausible(link, domain span) bool {
	name := f.text[domain.start:domain.end]
	if bytes.HasPrefix(name, []byte("xn--")) {
		if _, found := latinDomain(name); !found {
			return false
		}
	}
	for label := range bytes.SplitSeq(name, []byte(".")) {
		if wireLen(label) > maxLabel {
			return false
		}
	}
	return utf8.RuneCount(f.text[link.start:link.end]) <= maxLinkRunes
}

// portEnd is the end of the port at text[i], i if there is none.
func portEnd(text []byte, i int) int {
	if i == len(text) || text[i] != ':' {
		return i
	}
	end := i + 1
	for end < len(text) && '0' <= text[end] && text[end] <= '9' {
		end++
	}
	if end == i+1 {
		return i
	}
	return end
}

// pathEnd is the end of the path at text[i], i if there is none. A path ends in a character that ends one, or in
// brackets that are closed: the full stop of the sentence around it does not belong to it.
func pathEnd(text []byte, i int) int {
	if i == len(text) || text[i] != '/' {
		return i
	}
	end := i + 1
	for j := end; j < len(text); {
		r, width := utf8.DecodeRune(text[j:])
		if r == '(' {
			if width = bracketsEnd(text, j) - j; width < 0 {
				break
			}
		} else if !isPathRune(r) {
			break
		}
		j += width
		if r == '(' || isPathEnd(r) {
			end = j
		}
	}
	return end
}

// bracketsEnd is the end of the round brackets at text[i], -1 if they are empty, hold more than one pair of
// others, or are not closed.
func bracketsEnd(text []byte, i int) int {
	j := pathRunes(text, i+1)
	if j < len(text) && text[j] == '(' {
		inner := pathRunes(text, j+1)
		if inner == j+1 || inner == len(text) || text[inner] != ')' {
			return -1
		}
		j = pathRunes(text, inner+1)
	} else if j == i+1 {
		return -1
	}
	if j == len(text) || text[j] != ')' {
		return -1
	}
	return j + 1
}

// pathRunes is the end of the path characters at text[i].
func pathRunes(text []byte, i int) int {
	for i < len(text) {
		r, width := utf8.DecodeRune(text[i:])
		if !isPathRune(r) {
			break
		}
		i += width
	}
	return i
}

// queryEnd is the end of the query at text[i], i if there is none.
func queryEnd(text []byte, i int) int {
	if i == len(text) || text[i] != '?' {
		return i
	}
	end := i
	for j := i + 1; j < len(text) && isQueryByte(text[j]); j++ {
		if isQueryEnd(text[j]) {
			end = j + 1
		}
	}
	return end
}
