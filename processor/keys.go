package processor

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/tagtide/tagtide/post"
)

// The keys of the table of posts. One begins with the number at the end of the
// id, if there is one, for networks number posts in the order of their time: then
// the rows of a stream lie one behind the other, in the store as in time, and so
// do those that have ended. What else an id says is shortened by SHA-256.
//
//	key                           is of
//	number 8 │ rest of the id 16  a post
//	account 12 │ id 16            a post of Bluesky
//	account 12                    an account of Bluesky
//	number 8 │ rest of the id 16  an alias (Mastodon)
//
// Of N posts two have the same 16 bytes by chance with a probability of about
// N²/2^129: for the 10^12 posts of a network's decade 10^-15, and that is for
// posts whose numbers are the same. Ids cannot be made to collide on purpose.
//
// Bluesky's ids begin with the account's, which so is the prefix of its posts.
const (
	accountLen = 12
	idLen      = 16
)

// keys makes keys. It belongs to one goroutine.
type keys struct {
	text []byte // scratch
	last []byte // what was hashed last: ids of one source may differ in their numbers only
	hash [sha256.Size]byte
}

// appendPost appends the key of a post's row.
func (k *keys) appendPost(dst []byte, source string, id []byte) []byte {
	if account := accountOf(source, id); account != nil {
		return k.shorten(k.appendAccount(dst, source, account), idLen, source, ":", id)
	}
	return k.appendNumbered(dst, source, ":", id)
}

func (k *keys) appendAlias(dst []byte, source string, alias []byte) []byte {
	return k.appendNumbered(dst, source, ":alias:", alias)
}

func (k *keys) appendAccount(dst []byte, source string, account []byte) []byte {
	return k.shorten(dst, accountLen, source, ":account:", account)
}

// appendNumbered appends an id's number and the hash of what it is and its rest,
// which together say all that the id does.
func (k *keys) appendNumbered(dst []byte, source, what string, id []byte) []byte {
	rest, number := cutNumber(id)
	return k.shorten(binary.BigEndian.AppendUint64(dst, number), idLen, source, what, rest)
}

// shorten appends the beginning of the hash of what an id is and the id.
func (k *keys) shorten(dst []byte, length int, source, what string, id []byte) []byte {
	k.text = append(append(append(k.text[:0], source...), what...), id...)
	if !bytes.Equal(k.text, k.last) {
		k.hash = sha256.Sum256(k.text)
		k.text, k.last = k.last, k.text
	}
	return append(dst, k.hash[:length]...)
}

// cutNumber cuts off the decimal number at the end of an id. It is 0 if there is
// none, or one that would not be written like that: then all of the id is left.
func cutNumber(id []byte) (rest []byte, number uint64) {
	start := len(id)
	for ; start > 0; start-- {
		digit := id[start-1] - '0'
		if digit > 9 {
			break
		}
		if len(id)-start == len(tens) {
			return id, 0
		}
		number += uint64(digit) * tens[len(id)-start]
	}
	if start == len(id) || id[start] == '0' {
		return id, 0
	}
	return id[:start], number
}

// tens are the powers of ten, for as many digits as always fit.
var tens = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

// accountOf is the account in the id of a post, nil if there is none in it.
func accountOf(source string, id []byte) []byte {
	if source != post.SourceBluesky {
		return nil
	}
	rest, ok := bytes.CutPrefix(id, []byte("at://"))
	account, _, more := bytes.Cut(rest, []byte("/"))
	if !ok || !more {
		return nil
	}
	return account
}
