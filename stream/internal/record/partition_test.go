package record

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"os"
	"strings"
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
		if got := FNV.Of(key, n); got != want || got < 0 || got >= n {
			t.Fatalf("%q of %d goes to %d, want %d", key, n, got, want)
		}
	})
}

// The key hashes to 0x80000000, which has no positive counterpart: goka's read
// side panics over it.
func TestFNVTakesTheSmallestNumber(t *testing.T) {
	if got := FNV.Of([]byte("1468509572224"), 3); got != 2 {
		t.Errorf("goes to %d, want 2", got)
	}
}

// The numbers are those of the Java client's own tests, and of this formula
// elsewhere: they end in every way that a key's length can.
func TestMurmur2IsThatOfTheJavaClient(t *testing.T) {
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107, "": 275646681,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("%q hashes to %d, want %d", key, got, want)
		}
		for _, n := range []int32{1, 3, 8, 1000} {
			if got := Murmur2.Of([]byte(key), n); got != want&0x7fffffff%n {
				t.Errorf("%q of %d goes to %d, want %d", key, n, got, want&0x7fffffff%n)
			}
		}
	}
}

func TestMurmur2ChoosesThePartitionsOfTheJavaClient(t *testing.T) {
	data, err := os.ReadFile("testdata/java_partitions.txt")
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		keys++
		words := strings.Fields(line)
		key, err := hex.DecodeString(strings.Trim(words[0], "-"))
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range []int32{1, 7, 12, 1000} {
			if got := Murmur2.Of(key, n); fmt.Sprint(got) != words[1+i] {
				t.Errorf("%x of %d goes to %d, and of the Java client to %s", key, n, got, words[1+i])
			}
		}
	}
	if keys < 100 {
		t.Errorf("there are %d keys", keys)
	}
}

func BenchmarkFNV(b *testing.B) {
	key := []byte("coronavirus")
	for b.Loop() {
		FNV.Of(key, 8)
	}
}
