package api

import (
	"time"

	"github.com/tagtide/tagtide/internal/ranking"
)

// Counts is all that the API reads from. Its methods are safe for concurrent
// use, never block on I/O, and return rows that the caller owns.
//
// A request calls Freshness before it reads rows, so that what Freshness
// promises of its AsOf holds for the rows too: they are that fresh or fresher.
type Counts interface {
	// Top returns the first n rows of the order.
	Top(n int) []ranking.Row
	// Page returns up to limit rows that stand behind after (nil: from the
	// start) and whose tag starts with prefix, each with its rank among all
	// rows; more tells whether another row follows them.
	Page(after *ranking.Key, limit int, prefix string) (rows []ranking.Row, more bool)
	// Get returns the row of a folded tag; ok is false if its count is 0.
	Get(tag string) (row ranking.Row, ok bool)
	// Len returns the number of tags with a count above 0.
	Len() int64
	// Freshness tells how the rows relate to what is committed by now.
	Freshness() Freshness
	// Totals returns the exact sums over everything counted.
	Totals() Totals
}

// A State says what the counts are doing.
type State string

const (
	// Restoring counts are still being read back: they are incomplete.
	Restoring State = "restoring"
	// Running counts follow the table.
	Running State = "running"
	// Disconnected counts were complete once and follow nothing now.
	Disconnected State = "disconnected"
)

// Freshness relates the counts to the log they come from.
type Freshness struct {
	State State
	// AsOf is when the ends of the log were last read; zero if never.
	AsOf time.Time
	// Lag is the number of records not yet in the counts, as of AsOf. It means
	// nothing unless LagKnown; the API shows null then and while disconnected.
	Lag      int64
	LagKnown bool
	// Progress of the restore, 0 to 1, and the time it may still take (0:
	// unknown). Only read while Restoring.
	Progress float64
	ETA      time.Duration
}

// Totals are the exact sums over everything counted.
type Totals struct {
	Posts          int64   `json:"posts"`            // posts counted, also those without a hashtag
	Uses           int64   `json:"uses"`             // sum of all counts
	Tags           int64   `json:"tags"`             // tags with a count above 0
	PostsPerSecond float64 `json:"posts_per_second"` // lately
	Skipped        int64   `json:"skipped"`          // notices and filtered posts
	DeadLetters    int64   `json:"dead_letters"`     // records that could not be decoded
	Duplicates     int64   `json:"duplicates"`       // posts that came again, or too late
	Edits          int64   `json:"edits"`            // counted posts whose hashtags were replaced
	Deletes        int64   `json:"deletes"`          // counted posts that were taken back
}
