package post

// Sources as they stand in [Post.Source] and in record keys. Other producers may use names of their own.
const (
	SourceX        = "x"
	SourceBluesky  = "bluesky"
	SourceMastodon = "mastodon"
	SourceDemo     = "demo"
)

// Op is what happened to the post.
type Op uint8

const (
	Create Op = iota // the zero value: a post is new unless it says otherwise
	Update           // a later version of a post, with all its tags
	Delete           // a post is gone; it has an ID, and no tags
)

// Post is one post. The byte slices of a decoded post are borrowed: they are parts of the decoded value or of the
// decoder's scratch, and valid until the decoder's next call or until the value is overwritten.
type Post struct {
	Source string   // the network, never empty in a decoded post
	ID     []byte   // the network's id of this post; empty if the value had none
	Time   int64    // when it was posted, Unix milliseconds; 0 if unknown
	Text   []byte   // plain text; filled only with Decoder.Text, and never written by Append
	Tags   [][]byte // hashtags without hash sign as the author spelled them, in order, repeated ones kept
	Op     Op
	Repost bool // somebody else's post, passed on; Text and Tags are the original's
}

// AppendKey appends the post's record key, source:id, to dst. A post without ID has no key: nothing is appended.
func AppendKey(dst []byte, p *Post) []byte {
	if len(p.ID) == 0 {
		return dst
	}
	dst = append(dst, p.Source...)
	dst = append(dst, ':')
	return append(dst, p.ID...)
}
