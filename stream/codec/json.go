package codec

import (
	"encoding/json"
	"errors"
	"fmt"
)

// JSON is encoding/json with its defaults: unknown fields are ignored, and
// anything behind the value is an error.
func JSON[V any]() Codec[V] { return jsonCodec[V]{} }

type jsonCodec[V any] struct{}

func (jsonCodec[V]) Append(dst []byte, v V) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return dst, fmt.Errorf("encode json: %w", err)
	}
	return append(dst, data...), nil
}

func (jsonCodec[V]) Decode(data []byte) (V, error) {
	var v V
	if err := json.Unmarshal(data, &v); err != nil {
		var zero V
		return zero, fmt.Errorf("decode json: %w", brief(err))
	}
	return v, nil
}

// brief cuts what encoding/json quotes from the data: a number that does not
// fit, which may be of any length.
func brief(err error) error {
	var mismatch *json.UnmarshalTypeError
	if !errors.As(err, &mismatch) || len(mismatch.Value) <= maxExcerpt {
		return err
	}
	short := *mismatch
	short.Value = short.Value[:maxExcerpt] + "…"
	return &short
}
