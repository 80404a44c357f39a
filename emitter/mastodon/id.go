package mastodon

import (
	"strconv"
	"time"
)

// newer tells whether status a has a larger id than status b. "" is smaller
// than every id. Ids are numbers that some day grow by a digit; other servers
// that speak this API have text of one length in the order of its bytes. Both
// are in order by length, then by bytes.
func newer(a, b string) bool {
	if len(a) != len(b) {
		return len(a) > len(b)
	}
	return a > b
}

// beforeAll is an id that is smaller than that of every status.
const beforeAll = "0"

// newest returns the larger of two ids.
func newest(a, b string) string {
	if newer(b, a) {
		return b
	}
	return a
}

// Mastodon's ids are
//
//	┌──────────────────────────────┬──────────┐
//	│ milliseconds since 1970      │ sequence │
//	└──────────────────────────────┴──────────┘
//	 48 bits                        16 bits
//
// and the milliseconds are those at which the post was written. A post of
// another server that arrives late gets an id between those that are long there.
const sequenceBits = 16

// Ids whose milliseconds lie outside of these years are not made like that.
var firstYear, lastYear = time.Date(2016, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// earlier returns an id that is by a span of time smaller than id, so that
// reading on behind it finds what arrived late. Of an id that does not tell its
// time it is the same id.
func earlier(id string, span time.Duration) string {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return id
	}
	t := time.UnixMilli(n >> sequenceBits)
	if t.Before(firstYear) || t.After(lastYear) {
		return id
	}
	return strconv.FormatInt(t.Add(-span).UnixMilli()<<sequenceBits, 10)
}

// maxID is the longest id that is one.
const maxID = 64

// sound tells whether a server's id is one: it goes into addresses and into the
// cursor.
func sound(id string) bool {
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' {
			return false
		}
	}
	return id != "" && len(id) <= maxID
}
