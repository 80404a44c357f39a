package processor

import (
	"bytes"
	"testing"

	"github.com/tagtide/tagtide/hashtag"
	"github.com/tagtide/tagtide/post"
)

// FuzzRow reads rows of the table of posts, whatever is in them, and writes what
// it has read: that is read the same.
func FuzzRow(f *testing.F) {
	for _, r := range []row{
		{kind: rowPost, body: appendSpelling(appendSpelling(nil, []byte("One")), []byte("漢字"))},
		{kind: rowEdit}, {kind: rowOrdered, order: 1_900_000_000_000_000_004, body: appendSpelling(nil, []byte("a"))},
		{kind: rowHidden, order: -1}, {kind: rowDelete}, {kind: rowGone}, {kind: rowAlias, body: make([]byte, 8+idLen)},
	} {
		data, _ := rowCodec{}.Append(nil, r)
		f.Add(data)
		f.Add(data[:len(data)-1])
	}
	f.Add([]byte("a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := rowCodec{}.Decode(data)
		if err != nil {
			return
		}
		uses, _, err := r.appendUses(nil, nil)
		if err != nil {
			return
		}
		again := row{kind: r.kind, order: r.order}
		for _, use := range uses {
			if string(use.Key) != hashtag.Key(string(use.Spelling)) {
				t.Fatalf("%q has the key %q", use.Spelling, use.Key)
			}
			again.body = appendSpelling(again.body, use.Spelling)
		}
		written, _ := rowCodec{}.Append(nil, again)
		read, err := rowCodec{}.Decode(written)
		if err != nil || read.kind != r.kind || read.order != r.order || !sameUses(t, read, uses) {
			t.Fatalf("%q is %+v; written and read again %+v, %v", data, r, read, err)
		}
	})
}

func sameUses(t *testing.T, r row, want []post.Use) bool {
	t.Helper()
	got, _, err := r.appendUses(nil, nil)
	if err != nil || len(got) != len(want) {
		return false
	}
	for i := range got {
		if !bytes.Equal(got[i].Spelling, want[i].Spelling) || !bytes.Equal(got[i].Key, want[i].Key) {
			return false
		}
	}
	return true
}
