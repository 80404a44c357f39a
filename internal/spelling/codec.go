package spelling

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
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
	// Rows is the codec of the table. What is decoded is valid as long as its
	// bytes: in a step until the row is written.
	Rows codec.Codec[Row] = rowCodec{}
	// Displays is Rows for those who need only the most used spelling. It
	// encodes a row of that one. What is decoded is valid as long as its bytes.
	Displays codec.Codec[string] = displayCodec{}
)

type changeCodec struct{}

func (changeCodec) Append(dst []byte, c Change) ([]byte, error) {
	dst = strconv.AppendInt(dst, c.Total, 10)
	if c.listed == "" && c.rest == 0 {
		return dst, nil
	}
	dst = append(dst, ' ')
	return appendList(dst, c.rest, c.by[:], c.listed), nil
}

func (changeCodec) Decode(data []byte) (c Change, err error) {
	total, list, more := bytes.Cut(data, []byte{' '})
	if c.Total, err = codec.Int64.Decode(total); err != nil || !more {
		return c, err
	}
	c.rest, c.listed, err = parseList(list, c.by[:])
	if err == nil && c.rest == 0 && c.listed == "" {
		err = errors.New("decode spellings: an empty list")
	}
	return c, err
}

type rowCodec struct{}

func (rowCodec) Append(dst []byte, r Row) ([]byte, error) {
	if r.listed == "" {
		return dst, errors.New("encode spellings: no spelling")
	}
	return appendList(dst, r.rest, r.by[1:], r.listed), nil
}

func (rowCodec) Decode(data []byte) (r Row, err error) {
	r.rest, r.listed, err = parseList(data, r.by[1:])
	if err == nil && r.listed == "" {
		err = errors.New("decode spellings: no spelling")
	}
	return r, err
}

type displayCodec struct{}

func (displayCodec) Append(dst []byte, display string) ([]byte, error) {
	return appendName(append(dst, "0 "...), display), nil
}

func (displayCodec) Decode(data []byte) (string, error) {
	r, err := rowCodec{}.Decode(data)
	return r.Display(), err
}

// appendList appends the numbers and the spellings. There are either as many
// numbers behind the rest as there are spellings, or one less.
func appendList(dst []byte, rest int64, by []int64, listed names) []byte {
	dst = strconv.AppendInt(dst, rest, 10)
	l := listed
	if len(by) < Most && l != "" {
		_, l = l.cut()
	}
	for i := 0; l != ""; i++ {
		dst = append(dst, ',')
		dst = strconv.AppendInt(dst, by[i], 10)
		_, l = l.cut()
	}
	dst = append(dst, ' ')
	return append(dst, listed...)
}

// parseList is the opposite. The list it returns is part of data.
func parseList(data []byte, by []int64) (rest int64, listed names, err error) {
	numbers, text, more := bytes.Cut(data, []byte{' '})
	if !more {
		return 0, "", fmt.Errorf("decode spellings: no list: %.48q", data)
	}
	first, numbers, more := bytes.Cut(numbers, []byte{','})
	if rest, err = codec.Int64.Decode(first); err != nil {
		return 0, "", fmt.Errorf("decode spellings: %w", err)
	}
	n := 0
	for ; more; n++ {
		if n == len(by) {
			return 0, "", fmt.Errorf("decode spellings: more than %d: %.48q", Most, data)
		}
		first, numbers, more = bytes.Cut(numbers, []byte{','})
		if by[n], err = codec.Int64.Decode(first); err != nil {
			return 0, "", fmt.Errorf("decode spellings: %w", err)
		}
	}
	if len(by) < Most && len(text) > 0 {
		n++ // the first one has no number
	}
	if got, ok := countNames(text); !ok || got != n {
		return 0, "", fmt.Errorf("decode spellings: no list of %d: %.48q", n, text)
	}
	return rest, names(unsafe.String(unsafe.SliceData(text), len(text))), nil
}

// countNames checks that data is a list of spellings, and counts them.
func countNames(data []byte) (n int, ok bool) {
	for ; len(data) > 0; n++ {
		digits, text, more := bytes.Cut(data, []byte{':'})
		if !more || len(digits) > len("1024") {
			return n, false
		}
		size, err := codec.Int64.Decode(digits)
		if err != nil || size < 1 || size >= int64(len(text)) || text[size] != ',' {
			return n, false
		}
		data = text[size+1:]
	}
	return n, true
}
