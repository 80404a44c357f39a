package post

import "cmp"

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
	Delete           // a post is gone; it has an ID or at least an Alias, and no tags
	Hide             // a later version that counts for nothing, as an Update may again; it has an ID and no tags
	Gone             // an account is gone with all its posts; ID is the account's, and there are no tags
	Back             // an account that was gone is back; likewise
)

// Post is one post. The byte slices of a decoded post are borrowed: they are parts of the decoded value or of the
// decoder's scratch, and valid until the decoder's next call or until the value is overwritten.
type Post struct {
	Source string // the network, never empty in a decoded post
	ID     []byte // the network's id of this post, or of the account (Op); empty if the value had none
	Alias  []byte // a second id by which the network may delete the post, if it has one: see AppendKey
	Time   int64  // when it was posted, or what Op says happened, Unix milliseconds; 0 if unknown
	// Created is of an Update when the post was posted at first, likewise. Append does not write it.
	Created int64
	Text    []byte   // plain text; filled only with Decoder.Text, and never written by Append
	Tags    [][]byte // hashtags without hash sign as the author spelled them, in order, repeated ones kept
	Op      Op
	// Version is that of an Update or Hide of X, whose versions have numbers that grow; 0 if unknown. See Order.
	Version int64
	Repost  bool // somebody else's post, passed on; Text and Tags are the original's
}

// Order tells which of two later versions (Update, Hide) of a post is the newer one: that with the larger order. It
// is the version's number or, where there is none, the time at which the post was edited; 0 if that is unknown, too.
func (p *Post) Order() int64 { return cmp.Or(p.Version, p.Time) }

// AppendKey appends the post's record key to dst:
//
//	source:id            a post
//	source:alias         a delete that names the post by its alias only: Mastodon's know the server's own id of a
//	                     status, while the status is the same one on all servers by its uri
//	source:account:id    an account
//
// What has neither id nor alias has no key: nothing is appended. Only the first of the three keys is in the same
// partition as the post; the other two are about posts that may be in any.
func AppendKey(dst []byte, p *Post) []byte {
	id := p.ID
	if len(id) == 0 && p.Op == Delete {
		id = p.Alias
	}
	if len(id) == 0 {
		return dst
	}
	dst = append(dst, p.Source...)
	dst = append(dst, ':')
	if p.Op == Gone || p.Op == Back {
		dst = append(dst, "account:"...)
	}
	return append(dst, id...)
}
