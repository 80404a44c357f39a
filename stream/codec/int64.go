package codec

import (
	"errors"
	"fmt"
	"strconv"
)

type int64Codec struct{}

func (int64Codec) Append(dst []byte, v int64) ([]byte, error) {
	return strconv.AppendInt(dst, v, 10), nil
}

func (int64Codec) Decode(data []byte) (int64, error) {
	digits := data
	if len(data) > 0 && data[0] == '-' {
		digits = data[1:]
	}
	switch {
	case len(digits) == 0:
		return 0, badInt64("no digits", data)
	case digits[0] < '0' || digits[0] > '9':
		return 0, badInt64("not a decimal integer", data)
	case digits[0] == '0' && len(data) > 1:
		return 0, badInt64("leading zero", data)
	}
	n, err := strconv.ParseInt(string(data), 10, 64) // strconv does not keep the string, so it stays on the stack
	if errors.Is(err, strconv.ErrRange) {
		return 0, badInt64("out of the range of int64", data)
	}
	if err != nil {
		return 0, badInt64("not a decimal integer", data)
	}
	return n, nil
}

func badInt64(what string, data []byte) error {
	return fmt.Errorf("decode int64: %s: %s", what, excerpt(data))
}

// maxExcerpt is how many bytes of bad data an error shows.
const maxExcerpt = 48

// excerpt quotes the beginning of data.
func excerpt(data []byte) string {
	if len(data) <= maxExcerpt {
		return strconv.Quote(string(data))
	}
	return fmt.Sprintf("%q… (%d bytes)", data[:maxExcerpt], len(data))
}
