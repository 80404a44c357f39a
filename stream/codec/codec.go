// Package codec turns the keys and values of an application into the bytes of
// records and back.
//
// An encoding may be empty; it is never a delete. Deletes are records without
// a value, and no codec sees them.
package codec

import "bytes"

// A Codec turns values into bytes and back. Safe for concurrent use.
type Codec[V any] interface {
	// Append appends the encoding of v to dst and returns the longer slice. On
	// an error it returns dst as it was.
	Append(dst []byte, v V) ([]byte, error)
	// Decode returns the value that data encodes. It neither changes data nor
	// keeps it, unless the codec says so. An error says what is wrong and shows
	// at most the beginning of data.
	Decode(data []byte) (V, error)
}

// The codecs of the plain types.
var (
	// String is the bytes of the string, whether they are valid UTF-8 or not.
	String Codec[string] = stringCodec{}
	// Int64 is decimal ASCII: "0", "5026", "-7". Each number has one encoding,
	// and Decode takes no other: no spaces, plus signs, leading zeros, or "-0".
	Int64 Codec[int64] = int64Codec{}
	// Bytes is the bytes as they are. Decode copies them.
	Bytes Codec[[]byte] = bytesCodec{}
	// Borrowed is Bytes without the copy: what Decode returns is data itself. It
	// must not be changed, and stays valid for as long as data does. That suits
	// an input, whose step has its record to the end; it does not suit a table,
	// where the next write of the key goes over the bytes.
	Borrowed Codec[[]byte] = borrowedCodec{}
)

type stringCodec struct{}

func (stringCodec) Append(dst []byte, v string) ([]byte, error) { return append(dst, v...), nil }
func (stringCodec) Decode(data []byte) (string, error)          { return string(data), nil }

type bytesCodec struct{}

func (bytesCodec) Append(dst, v []byte) ([]byte, error) { return append(dst, v...), nil }
func (bytesCodec) Decode(data []byte) ([]byte, error)   { return bytes.Clone(data), nil }

type borrowedCodec struct{ bytesCodec }

func (borrowedCodec) Decode(data []byte) ([]byte, error) { return data, nil }
