package post

// What nobody looks at is most of a value, so it is read with the place in the data in hand, not in the scanner. The
// functions here read what is at data[i] and are the place behind it, or, after an error, the end of data.

// skip reads over any value.
func (s *scanner) skip() { s.pos = s.over(s.pos) }

func (s *scanner) over(i int) int {
	i, c := peek(s.data, i)
	switch c {
	case '"':
		return s.behindString(plain(s.data, i+1))
	case '{':
		return s.overObject(i)
	case '[':
		return s.overArray(i)
	case 't':
		return s.overWord(i, "true")
	case 'f':
		return s.overWord(i, "false")
	case 'n':
		return s.overWord(i, "null")
	}
	return s.overNumber(i)
}

// peek is the place of the first byte from data[i] on that is no space, and that byte, 0 at the end of data.
func peek(data []byte, i int) (int, byte) {
	for ; i < len(data); i++ {
		if c := data[i]; c > ' ' || c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return i, c
		}
	}
	return i, 0
}

func (s *scanner) overObject(i int) int {
	if s.depth++; s.depth > maxDepth {
		return s.fail(i, "nested too deep")
	}
	i, c := peek(s.data, i+1)
	for first := true; c != '}' || !first; first = false {
		if c != '"' {
			return s.unexpected(i, "a key in quotes")
		}
		if i, c = peek(s.data, s.behindString(plain(s.data, i+1))); c != ':' {
			return s.unexpected(i, "a colon")
		}
		if i, c = peek(s.data, s.over(i+1)); c == '}' {
			break
		}
		if c != ',' {
			return s.unexpected(i, "a comma or }")
		}
		i, c = peek(s.data, i+1)
	}
	s.depth--
	return i + 1
}

func (s *scanner) overArray(i int) int {
	if s.depth++; s.depth > maxDepth {
		return s.fail(i, "nested too deep")
	}
	i, c := peek(s.data, i+1)
	for c != ']' {
		if i, c = peek(s.data, s.over(i)); c == ']' {
			break
		}
		if c != ',' {
			return s.unexpected(i, "a comma or ]")
		}
		i++
	}
	s.depth--
	return i + 1
}

// behindString is the place behind the quote at data[i]; or behind that of the string that goes on there.
func (s *scanner) behindString(i int) int {
	if i < len(s.data) && s.data[i] == '"' {
		return i + 1
	}
	return s.overEscapes(i)
}

func (s *scanner) overEscapes(i int) int {
	if i = stringEnd(s.data, i); i < len(s.data) && s.data[i] == '"' {
		return i + 1
	}
	return s.failString(i)
}

func (s *scanner) overWord(i int, word string) int {
	if rest := s.data[i:]; len(rest) >= len(word) && string(rest[:len(word)]) == word {
		return i + len(word)
	}
	n := 0
	for i+n < len(s.data) && s.data[i+n] == word[n] {
		n++
	}
	return s.unexpected(i+n, word)
}

// overNumber reads a number as JSON allows them: no leading zero or plus, digits on both sides of the point.
func (s *scanner) overNumber(i int) int {
	if i < len(s.data) && s.data[i] == '-' {
		i++
	}
	end := digitsEnd(s.data, i)
	switch {
	case end == i:
		return s.unexpected(i, "a value")
	case s.data[i] == '0':
		end = i + 1
	}
	if end < len(s.data) && (s.data[end] == '.' || s.data[end]|0x20 == 'e') {
		return s.overFraction(end)
	}
	return end
}

// overFraction reads what may follow the whole part of a number.
func (s *scanner) overFraction(i int) int {
	if s.data[i] == '.' {
		end := digitsEnd(s.data, i+1)
		if end == i+1 {
			return s.unexpected(end, "a value")
		}
		if i = end; i >= len(s.data) || s.data[i]|0x20 != 'e' {
			return i
		}
	}
	if i++; i < len(s.data) && (s.data[i] == '+' || s.data[i] == '-') {
		i++
	}
	end := digitsEnd(s.data, i)
	if end == i {
		return s.unexpected(i, "a value")
	}
	return end
}

func digitsEnd(data []byte, i int) int {
	end := uint(i)
	for end < uint(len(data)) && data[end]-'0' <= 9 {
		end++
	}
	return int(end)
}
