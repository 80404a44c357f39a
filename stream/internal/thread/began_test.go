package thread

import (
	"strconv"
	"testing"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// What tells where a group has begun is a position in decimal, or an error;
// other records tell nothing.
func FuzzLastBeginning(f *testing.F) {
	f.Add(BeganKey, []byte("4711"))
	f.Add(BeganKey, []byte("-1"))
	f.Add(BeganKey, []byte("99999999999999999999"))
	f.Add("other", []byte("x"))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		var b record.Builder
		b.Append(1, []byte(key), value)
		const earlier = 7
		began, err := lastBeginning(log.Fetched{Batches: b.Seal(0, record.NoProducer)}, earlier)
		want, bad := strconv.ParseUint(string(value), 10, 63)
		switch {
		case key != BeganKey && (err != nil || began != earlier):
			t.Fatalf("%q tells %d, %v", key, began, err)
		case key == BeganKey && (err != nil) != (bad != nil):
			t.Fatalf("%q tells %d, %v", value, began, err)
		case key == BeganKey && err == nil && began != int64(want):
			t.Fatalf("%q tells %d, want %d", value, began, want)
		}
	})
}
