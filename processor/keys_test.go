package processor

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"testing"
)

func TestNumbersOfIDs(t *testing.T) {
	for id, want := range map[string]struct {
		rest   string
		number uint64
	}{
		"1245999999999999001":                {"", 1245999999999999001},
		"https://a.example/users/b/status/7": {"https://a.example/users/b/status/", 7},
		"9999999999999999999":                {"", 9999999999999999999},
		"99999999999999999999":               {"99999999999999999999", 0},
		"x007":                               {"x007", 0},
		"0":                                  {"0", 0},
		"7x":                                 {"7x", 0},
		"":                                   {"", 0},
	} {
		rest, number := cutNumber([]byte(id))
		if string(rest) != want.rest || number != want.number {
			t.Errorf("%s is %s and %d", id, rest, number)
		}
	}
}

// An id's number and the rest of it say all that it says.
func FuzzNumbersOfIDs(f *testing.F) {
	f.Add([]byte("a/1"))
	f.Add([]byte("a/01"))
	f.Add([]byte("18446744073709551616"))
	f.Fuzz(func(t *testing.T, id []byte) {
		rest, number := cutNumber(id)
		back := rest
		if number != 0 {
			back = strconv.AppendUint(bytes.Clone(rest), number, 10)
		}
		if !bytes.Equal(back, id) {
			t.Errorf("%q is %q and %d", id, rest, number)
		}
	})
}

// Rows of posts lie in the order in which their network numbered them, and what
// is known of a key depends on nothing but its id.
func TestKeysAreInTheOrderOfNumbers(t *testing.T) {
	var k keys
	nine, ten := k.appendPost(nil, "x", []byte("9")), k.appendPost(nil, "x", []byte("10"))
	if bytes.Compare(nine, ten) >= 0 {
		t.Errorf("%x is not before %x", nine, ten)
	}
	seen := map[string]string{}
	for _, id := range []string{"9", "10", "a9", "a10", "10", "at://a/b/c", "at://a/b/d", "at://a2/b/c"} {
		for _, source := range []string{"x", "bluesky", "mastodon"} {
			post, alias := k.appendPost(nil, source, []byte(id)), k.appendAlias(nil, source, []byte(id))
			for what, key := range map[string][]byte{"post": post, "alias": alias} {
				name := source + what + id
				if other, ok := seen[hex.EncodeToString(key)]; ok && other != name {
					t.Errorf("%s and %s have the same key", name, other)
				}
				seen[hex.EncodeToString(key)] = name
			}
			if fresh := new(keys).appendPost(nil, source, []byte(id)); !bytes.Equal(fresh, post) {
				t.Errorf("%s has the key %x, and at first %x", id, post, fresh)
			}
		}
	}
	if len(seen) != 6*7 {
		t.Errorf("%d keys", len(seen))
	}
}
