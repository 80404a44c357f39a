package hashtag

import "unicode/utf8"

// findDomain finds the longest domain at text[start:]: labels, each followed by a dot, and a TLD. Labels begin
// and end in a letter or the like; inside they may have hyphens, and all but the last one underscores.
//
// If none starts there, one may still start inside a label, behind an underscore; the last such is returned.
// (The first would be twitter-text's. Neither is a URL, and both use up the text from there on.)
// Up to checked, where the labels end, nothing else can start.
func findDomain(text []byte, start int) (domain span, checked int) {
	var inner span
	label, rest := start, start // the current label, and the part of it behind its last underscore
	for i := start; i < len(text); {
		r, width := decodeRune(text, i)
		switch {
		case r == '.':
			if i == label || text[i-1] == '-' || text[i-1] == '_' {
				return either(domain, inner), i + 1
			}
			if end := tldEnd(text, i+1); end > 0 && rest == label {
				domain = span{start, end}
			} else if end > 0 {
				inner = span{rest, end}
			}
			label, rest = i+1, i+1
		case r == '_' && i > label:
			rest = i + 1
		case r == '-' && i > label: // only inside a label
		case !isLabelRune(r):
			return either(domain, inner), i + width
		}
		i += width
	}
	return either(domain, inner), len(text)
}

func either(a, b span) span {
	if a.end > 0 {
		return a
	}
	return b
}

// domainRunStart goes left from the end of text, not beyond limit, as long as there is what domains are made of.
func domainRunStart(text []byte, limit int) int {
	for len(text) > limit {
		r, width := utf8.DecodeLastRune(text[limit:])
		if r != '.' && r != '-' && r != '_' && !isLabelRune(r) {
			break
		}
		text = text[:len(text)-width]
	}
	return len(text)
}

// latinDomain finds the start of the last part of name that is itself a domain, with labels in Latin letters,
// digits and hyphens only: "日本語example.com" has "example.com".
func latinDomain(name []byte) (start int, found bool) {
	for from := 0; from < len(name); {
		end, checked := latinDomainEnd(name, from)
		if end > 0 {
			start, found = from, true
			checked = end
		}
		from = checked
	}
	return start, found
}

// latinDomainEnd is the end of the longest domain at name[start:], -1 if there is none. Up to checked, where
// Latin letters end, none starts.
func latinDomainEnd(name []byte, start int) (end, checked int) {
	end = -1
	label := start
	for i := start; i < len(name); {
		r, width := decodeRune(name, i)
		switch {
		case r == '.' && i > label:
			if tld := tldEnd(name, i+1); tld > 0 {
				end = tld
			}
			label = i + 1
		case r != '-' && (r >= utf8.RuneSelf || !isAlnum(byte(r))) && !isLatinAccent(r):
			return end, i + width
		}
		i += width
	}
	return end, len(name)
}
