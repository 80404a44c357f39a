package post

import "math"

// parseInt is the whole number that s says in plain digits, as long as it surely fits.
func parseInt(s []byte) (n int64, valid bool) {
	const maxDigits = 18
	negative := len(s) > 0 && s[0] == '-'
	if negative {
		s = s[1:]
	}
	if len(s) == 0 || len(s) > maxDigits {
		return 0, false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

func allDigits(s []byte) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// parseVersion is the number of at least 1 that s says in plain digits, 0 if it says none or one beyond 2^63-1.
func parseVersion(s []byte) int64 {
	const maxDigits = 19
	if len(s) == 0 || len(s) > maxDigits || !allDigits(s) {
		return 0
	}
	var n uint64
	for _, c := range s {
		n = 10*n + uint64(c-'0')
	}
	if n > math.MaxInt64 {
		return 0
	}
	return int64(n)
}
