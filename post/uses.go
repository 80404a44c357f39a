package post

// Use is one hashtag of one post.
type Use struct {
	Key      []byte // the folded tag
	Spelling []byte // as the author spelled it where it came first
}

// Uses finds the distinct hashtags of posts. The zero value is ready; it keeps its scratch, so that in steady
// state nothing is allocated, and is for one goroutine.
type Uses struct{}

// Of returns the hashtags of p, each key once, in order of first appearance. Tags without a key (see
// hashtag.Fold) are left out. The result is valid until the next call and as long as p.
func (u *Uses) Of(p *Post) []Use { return nil }
