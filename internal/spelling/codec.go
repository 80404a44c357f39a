package spelling

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"github.com/tagtide/tagtide/stream/codec"
)

// Table is the name of the group's table of spellings.
const Table = "spellings"

// The bytes are drawn in docs/formats/spellings.md.
var (
	// Changes is the codec of what is sent to a key. What is decoded is valid as
	// long as its bytes. A number alone is that many uses of the key itself.
	Changes codec.Codec[Change] = changeCodec{}
	// Rows is the codec of the table. It looks at nothing: what is wrong with a
	// row is found by who reads it. What is decoded is valid as long as its
	// bytes: in a step until the row is written.
	Rows codec.Codec[Row] = rowCodec{}
	// Displays is the codec of the table for those who need only the most used
	// spelling. It encodes a row of that one. What is decoded is valid as long
	// as its bytes.
	Displays codec.Codec[string] = displayCodec{}
)

type changeCodec struct{}

func (changeCodec) Append(dst []byte, c Change) ([]byte, error) {
	dst = strconv.AppendInt(dst, c.Total, 10)
	if c.listed == "" && c.rest == 0 {
		return dst, nil
	}
	dst = append(dst, ' ')
	n := 0
	for l := c.listed; l != ""; n++ {
		_, l = l.cut()
	}
	if n != 1 || c.by[0] != c.Total || c.rest != 0 {
		dst = appendNumbers(dst, c.rest, c.by[:n])
	}
	return append(dst, c.listed...), nil
}

func (changeCodec) Decode(data []byte) (c Change, err error) {
	total, list, more := strings.Cut(borrow(data), " ")
	if c.Total, err = number(total); err != nil || !more {
		return c, err
	}
	if c.listed, c.rest, err = parse(list, c.by[:]); err == nil && string(c.listed) == list {
		c.by[0] = c.Total
	}
	return c, err
}

type rowCodec struct{}

func (rowCodec) Append(dst []byte, r Row) ([]byte, error) { return append(dst, r...), nil }
func (rowCodec) Decode(data []byte) (Row, error)          { return Row(borrow(data)), nil }

type displayCodec struct{}

func (displayCodec) Append(dst []byte, display string) ([]byte, error) {
	return appendName(dst, display), nil
}

func (displayCodec) Decode(data []byte) (string, error) {
	display := Row(borrow(data)).Display()
	if display == "" {
		return "", fmt.Errorf("decode spellings: none: %.48q", data)
	}
	return display, nil
}

func appendNumbers(dst []byte, rest int64, by []int64) []byte {
	dst = strconv.AppendInt(dst, rest, 10)
	for _, n := range by {
		dst = append(dst, ',')
		dst = strconv.AppendInt(dst, n, 10)
	}
	return append(dst, ' ')
}

// parse reads numbers and spellings, or spellings alone. There are either as
// many numbers behind the rest as there are spellings, or, if by has room for
// one less, one less. The list is part of text.
func parse(text string, by []int64) (listed names, rest int64, err error) {
	listed = Row(text).names()
	numbers := text[:len(text)-len(listed)]
	want := Most - len(by) // spellings without a number
	if numbers == "" {
		want = 1
	} else if rest, numbers, err = cutNumber(numbers); err != nil {
		return "", 0, err
	}
	for n := 0; numbers != ""; n++ {
		if n == len(by) {
			return "", 0, fmt.Errorf("decode spellings: more than %d: %.48q", Most, text)
		}
		if by[n], numbers, err = cutNumber(numbers); err != nil {
			return "", 0, err
		}
		want++
	}
	if n, ok := countNames(listed); !ok || n != want {
		return "", 0, fmt.Errorf("decode spellings: no list of %d: %.48q", want, text)
	}
	return listed, rest, nil
}

// cutNumber cuts a number off, and the comma or space behind it.
func cutNumber(text string) (n int64, rest string, err error) {
	i := strings.IndexAny(text, ", ")
	if i < 0 {
		return 0, "", fmt.Errorf("decode spellings: no end of the numbers: %.48q", text)
	}
	n, err = number(text[:i])
	return n, text[i+1:], err
}

// number reads one as codec.Int64 does, quickly if it is small.
func number(text string) (n int64, err error) {
	if text == "0" {
		return 0, nil
	}
	if text == "" || len(text) > 15 || text[0] < '1' || text[0] > '9' {
		return codec.Int64.Decode([]byte(text))
	}
	for i := range len(text) {
		c := text[i]
		if c < '0' || c > '9' {
			return 0, errors.New("decode spellings: not a number")
		}
		n = 10*n + int64(c-'0')
	}
	return n, nil
}

// countNames checks a list of spellings, and counts them.
func countNames(l names) (n int, ok bool) {
	for ; l != ""; n++ {
		size, at := 0, 0
		for ; at < len(l) && at < len("1024") && l[at] != ':'; at++ {
			if l[at] < '0' || l[at] > '9' || l[0] == '0' {
				return n, false
			}
			size = 10*size + int(l[at]-'0')
		}
		if size == 0 || at+1+size >= len(l) || l[at] != ':' || l[at+1+size] != ',' {
			return n, false
		}
		l = l[at+size+2:]
	}
	return n, true
}

// borrow looks at bytes as a string.
func borrow(data []byte) string { return unsafe.String(unsafe.SliceData(data), len(data)) }
