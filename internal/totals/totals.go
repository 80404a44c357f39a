// Package totals names the rows of the hashtags group's table of totals, which
// the processor writes and the view reads. Each partition of the table has
// these rows for its partition of the input; the sum over the partitions is
// what is told.
package totals

// Table is the name of the table within the group.
const Table = "totals"

// The rows.
const (
	Posts       = "posts"        // posts counted, also those without a hashtag
	Uses        = "uses"         // hashtags counted, each once a post
	Skipped     = "skipped"      // posts and notices that were not counted
	DeadLetters = "dead_letters" // records that could not be decoded
	Duplicates  = "duplicates"   // posts that were counted before, or come too late
	Edits       = "edits"        // posts whose hashtags were replaced
	Deletes     = "deletes"      // posts that were counted, and taken back
)

// All are the names of all rows.
var All = [...]string{Posts, Uses, Skipped, DeadLetters, Duplicates, Edits, Deletes}
