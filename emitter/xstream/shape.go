package xstream

// appendShape appends what a message looks like without what it says: JSON with
// its keys and its numbers, and every other string emptied. It ends where the
// message stops to look like JSON.
func appendShape(dst, message []byte) []byte {
	for i := 0; i < len(message); {
		c := message[i]
		if c != '"' {
			if !isStructure(c) {
				break
			}
			dst = append(dst, c)
			i++
			continue
		}
		end := endOfString(message, i)
		if end < 0 {
			break
		}
		if isKey(message, end) {
			dst = append(dst, message[i:end]...)
		} else {
			dst = append(dst, '"', '"')
		}
		i = end
	}
	return dst
}

// isStructure tells whether a byte can stand outside of strings: in numbers,
// true, false and null, too.
func isStructure(c byte) bool {
	switch c {
	case '{', '}', '[', ']', ':', ',', ' ', '\t', '\r', '\n', '-', '+', '.', 'E',
		't', 'r', 'u', 'e', 'f', 'a', 'l', 's', 'n':
		return true
	}
	return '0' <= c && c <= '9'
}

// endOfString is the place behind the string that begins at start, negative if
// it does not end.
func endOfString(message []byte, start int) int {
	for i := start + 1; i < len(message); i++ {
		switch message[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// isKey tells whether the string before end is short, and a colon follows.
func isKey(message []byte, end int) bool {
	for _, c := range message[end:] {
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		}
		return c == ':'
	}
	return false
}
