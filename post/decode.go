package post

import "fmt"

// Kind says what a value turned out to be.
type Kind uint8

const (
	// KindPost is a post, new or in a new version (Post.Op).
	KindPost Kind = iota + 1
	// KindDelete says that a post is gone: Post has its Source and ID, and Op is Delete. Who does not follow
	// deletes counts it as a notice.
	KindDelete
	// KindNotice is something a network says that is no post. Result.Notice names it.
	KindNotice
	// KindSkipped is an emitter's word that it left out Result.Skipped posts.
	KindSkipped
)

// Result is what a value turned out to be.
type Result struct {
	Kind    Kind
	Notice  string // for KindNotice and KindDelete its name, such as "limit"; for KindSkipped the reason, such as "track"
	Skipped int64  // for KindSkipped the number of posts left out, at least 1
}

// Decoder decodes posts and keeps its scratch between calls. The zero value is ready. It is for one goroutine.
type Decoder struct {
	// Text asks for Post.Text. Without it text is decoded only where tags must be found in it.
	Text bool
}

// Decode decodes one JSON value of any known format into p, every field of which is set. Posts borrow from value
// and from the decoder, see [Post]. Values that are no post are no errors, see [Result].
// An error is always a [*Error]: value is not JSON or not UTF-8, has a wrong type where it matters, or is of no
// known format. p is then unspecified.
func (d *Decoder) Decode(value []byte, p *Post) (Result, error) {
	return Result{}, &Error{Reason: "not yet"}
}

// Error says why a value could not be decoded, and where. It never quotes the value.
type Error struct {
	Reason string
	Offset int // the byte in the value at which it was noticed
}

func (e *Error) Error() string {
	return fmt.Sprintf("decode post: %s at byte %d", e.Reason, e.Offset)
}
