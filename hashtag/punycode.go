package hashtag

import "unicode/utf8"

// maxLabel is the longest label of a domain on the wire, in bytes.
const maxLabel = 63

// wireLen is the length of a label as it stands on the wire, in punycode where it is not ASCII. Full stops of
// other scripts separate labels there, but twitter-text measures what is between two dots as one.
// A length beyond [maxLabel] is not exact.
func wireLen(label []byte) int {
	total, start := 0, 0
	for i := 0; i < len(label); {
		r, width := decodeRune(label, i)
		if r == '。' || r == '．' || r == '｡' {
			total += punycodeLen(label[start:i]) + 1
			start = i + width
		}
		i += width
	}
	return total + punycodeLen(label[start:])
}

// punycodeLen is the length of label as RFC 3492 encodes it, with xn-- before it, or its own if it is ASCII.
func punycodeLen(label []byte) int {
	runes, basic := utf8.RuneCount(label), 0
	for _, c := range label {
		if c < utf8.RuneSelf {
			basic++
		}
	}
	if basic == len(label) || runes > maxLabel {
		return runes
	}
	length := len("xn--") + basic
	if basic > 0 {
		length++ // the hyphen behind them
	}
	// The names are the RFC's: delta counts the states between one character put in and the next.
	n, delta, bias := rune(0x80), 0, 72
	for handled := basic; handled < runes; {
		m := smallestFrom(label, n)
		delta += int(m-n) * (handled + 1)
		n = m
		for i := 0; i < len(label); {
			r, width := decodeRune(label, i)
			i += width
			if r < n {
				delta++
			} else if r == n {
				length += deltaDigits(delta, bias)
				bias = adapt(delta, handled+1, handled == basic)
				delta = 0
				handled++
			}
		}
		delta++
		n++
	}
	return length
}

// smallestFrom is the smallest code point of label that is at least n.
func smallestFrom(label []byte, n rune) rune {
	smallest := rune(utf8.MaxRune)
	for i := 0; i < len(label); {
		r, width := decodeRune(label, i)
		i += width
		if r >= n {
			smallest = min(smallest, r)
		}
	}
	return smallest
}

// The parameters of RFC 3492, section 5.
const (
	base, tMin, tMax = 36, 1, 26
	skew, damp       = 38, 700
)

// deltaDigits is the number of digits that delta takes as a variable-length integer (section 6.3).
func deltaDigits(delta, bias int) int {
	digits := 1
	for k := base; ; k += base {
		t := min(max(k-bias, tMin), tMax)
		if delta < t {
			return digits
		}
		delta = (delta - t) / (base - t)
		digits++
	}
}

// adapt is the bias for the next delta (section 6.1).
func adapt(delta, points int, first bool) int {
	if first {
		delta /= damp
	} else {
		delta /= 2
	}
	delta += delta / points
	k := 0
	for delta > (base-tMin)*tMax/2 {
		delta /= base - tMin
		k += base
	}
	return k + (base-tMin+1)*delta/(delta+skew)
}
