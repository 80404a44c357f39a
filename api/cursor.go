package api

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"unicode/utf8"

	"github.com/tagtide/tagtide/internal/ranking"
)

// A cursor is the base64url, without padding, of the place of the last row:
//
//	┌─────────┬────────────────┬──────────────┐
//	│ 1: byte │ count: uvarint │ tag: UTF-8 … │
//	└─────────┴────────────────┴──────────────┘
//
// Clients take it as opaque, so the leading version byte may change at will.
const cursorVersion = 1

var (
	errCursorText    = errors.New("it is no base64url")
	errCursorContent = errors.New("its content is damaged")
)

func formatCursor(k ranking.Key) string {
	b := binary.AppendUvarint([]byte{cursorVersion}, uint64(k.Count))
	return base64.RawURLEncoding.EncodeToString(append(b, k.Tag...))
}

// parseCursor accepts exactly what formatCursor writes for rows that can be.
func parseCursor(s string) (ranking.Key, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return ranking.Key{}, errCursorText
	}
	if len(b) == 0 || b[0] != cursorVersion {
		return ranking.Key{}, errCursorContent
	}
	count, n := binary.Uvarint(b[1:])
	if n <= 0 {
		return ranking.Key{}, errCursorContent
	}
	k := ranking.Key{Count: int64(count), Tag: string(b[1+n:])}
	if k.Count < 1 || k.Tag == "" || !utf8.ValidString(k.Tag) || formatCursor(k) != s {
		return ranking.Key{}, errCursorContent
	}
	return k, nil
}
