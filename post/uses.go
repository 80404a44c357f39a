package post

import (
	"bytes"

	"github.com/tagtide/tagtide/hashtag"
)

// Use is one hashtag of one post.
type Use struct {
	Key      []byte // the folded tag
	Spelling []byte // as the author spelled it where it came first, see hashtag.Trim
}

// Uses finds the distinct hashtags of posts. The zero value is ready; it keeps its scratch, so that in steady
// state nothing is allocated, and is for one goroutine.
type Uses struct {
	found []Use
	keys  []byte              // what the keys in found are parts of
	many  map[string]struct{} // the keys in found, once they are more than few
}

// few is how many keys are compared one by one: hardly a post has more.
const few = 16

// Of returns the hashtags of p, each key once, in order of first appearance. Tags without a key (see
// hashtag.Fold) are left out. The result is valid until the next call and as long as p.
func (u *Uses) Of(p *Post) []Use {
	u.found, u.keys, u.many = u.found[:0], u.keys[:0], nil
	for _, tag := range p.Tags {
		start := len(u.keys)
		u.keys = hashtag.Fold(u.keys, tag)
		key := u.keys[start:len(u.keys):len(u.keys)]
		if len(key) == 0 || u.has(key) {
			u.keys = u.keys[:start]
			continue
		}
		u.found = append(u.found, Use{key, hashtag.Trim(tag)})
		if u.many != nil {
			u.many[string(key)] = struct{}{}
		}
	}
	return u.found
}

func (u *Uses) has(key []byte) bool {
	if len(u.found) < few {
		for i := range u.found {
			if bytes.Equal(u.found[i].Key, key) {
				return true
			}
		}
		return false
	}
	if u.many == nil {
		u.many = make(map[string]struct{}, 2*few)
		for _, use := range u.found {
			u.many[string(use.Key)] = struct{}{}
		}
	}
	_, has := u.many[string(key)]
	return has
}
