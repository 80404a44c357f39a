package record

import (
	"hash/fnv"
	"testing"

	"pgregory.net/rapid"
)

func TestFNVIsTheFormulaOfGoka(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOf(rapid.Byte()).Draw(t, "key")
		n := rapid.Int32Range(1, 1000).Draw(t, "partitions")
		h := fnv.New32a()
		h.Write(key)
		want := int32(h.Sum32()) % n
		if want < 0 {
			want = -want
		}
		if got := FNV(key, n); got != want || got < 0 || got >= n {
			t.Fatalf("%q of %d goes to %d, want %d", key, n, got, want)
		}
	})
}

// The key hashes to 0x80000000, which has no positive counterpart: goka's read
// side panics over it.
func TestFNVTakesTheSmallestNumber(t *testing.T) {
	if got := FNV([]byte("1468509572224"), 3); got != 2 {
		t.Errorf("goes to %d, want 2", got)
	}
}

func BenchmarkFNV(b *testing.B) {
	key := []byte("coronavirus")
	for b.Loop() {
		FNV(key, 8)
	}
}
