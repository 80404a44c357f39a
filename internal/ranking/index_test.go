package ranking

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// tags that are hard to sort: nothing at all, zeros and what zeros pad to,
// bytes that are no UTF-8, ties within and beyond the leading bytes, several
// scripts, and long ones up to more than a slab.
var hardTags = []string{
	"", "\x00", "a", "a\x00", "a\x00\x00", "a\x00b", "ab", "\xff", "\xff\xff", "\xff\xfe",
	"covid", "covid19", "covid19vaccine", "covid19vaccines", "covid\x00\x00\x00", "covid\x00\x00\x00\x00",
	"été", "ete", "東京", "東京オリンピック", "東", "бонн", "бон", "😀", "é",
	strings.Repeat("x", 127), strings.Repeat("x", 128), strings.Repeat("x", 300),
	strings.Repeat("y", slabWords*wordSize), strings.Repeat("y", slabWords*wordSize+1),
}

// hardCounts are the ends of what an item's 32 bits of count can tell.
var hardCounts = []int64{
	math.MinInt64, -1, 0, 1, 2, 3, 1 << 31, math.MaxUint32 - 1, math.MaxUint32, math.MaxUint32 + 1, math.MaxInt64 >> 8,
}

func TestAnswersLikeASortedSlice(t *testing.T) {
	tag := rapid.OneOf(rapid.SampledFrom(hardTags), rapid.StringMatching(`[ab\x00é]{0,12}`))
	count := rapid.OneOf(rapid.SampledFrom(hardCounts), rapid.Int64Range(-1, 4))
	rapid.Check(t, func(t *rapid.T) {
		var x Index
		x.dict.leave = rapid.SampledFrom([]uint8{0, 30, 32}).Draw(t, "bits of the hash left out")
		var m model
		key := func(t *rapid.T) *Key {
			if rapid.Bool().Draw(t, "from the top") {
				return nil
			}
			return &Key{Count: count.Draw(t, "after count"), Tag: tag.Draw(t, "after tag")}
		}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				u := Update{tag.Draw(t, "tag"), count.Draw(t, "count")}
				x.Set(u.Tag, u.Count)
				m.set(u.Tag, u.Count)
			},
			"show": func(t *rapid.T) {
				d := Display{tag.Draw(t, "tag"), ""}
				d.Display = rapid.OneOf(tag, rapid.SampledFrom([]string{"", mixed(d.Tag), d.Tag})).Draw(t, "display")
				x.ApplyDisplays([]Display{d})
				m.show(d.Tag, d.Display)
			},
			"get": func(t *rapid.T) { sameGet(t, &x, &m, tag.Draw(t, "tag")) },
			"page": func(t *rapid.T) {
				samePage(t, &x, &m, key(t), rapid.IntRange(0, 8).Draw(t, "limit"), tag.Draw(t, "prefix"))
			},
			"": func(t *rapid.T) { same(t, &x, &m) },
		})
	})
}

// The same with trees three levels deep, which shrink and grow again, and with
// several tags to a hash.
func TestAnswersLikeALargeSortedSlice(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var x Index
	x.dict.leave = 20
	var m model
	for round, growing := range []bool{true, false, true, false} {
		for range 60 {
			batch := randomBatch(r, growing)
			x.Apply(batch)
			for _, u := range batch {
				m.set(u.Tag, u.Count)
			}
			displays := randomDisplays(r)
			x.ApplyDisplays(displays)
			for _, d := range displays {
				m.show(d.Tag, d.Display)
			}
			sameTop(t, &x, &m, headRows)
			samePage(t, &x, &m, someKey(r, &m), 300, "")
			samePage(t, &x, &m, someKey(r, &m), 5, wideTag(r)[:1+r.IntN(3)])
			sameGet(t, &x, &m, wideTag(r))
		}
		same(t, &x, &m)
		t.Logf("round %d: %d tags", round, x.Len())
	}
}

// mixed writes some of a tag's letters as capitals.
func mixed(tag string) string {
	b := []byte(tag)
	for i := range b {
		if i%3 == len(b)%3 && 'a' <= b[i] && b[i] <= 'z' {
			b[i] -= 'a' - 'A'
		}
	}
	return string(b)
}

func randomDisplays(r *rand.Rand) []Display {
	batch := make([]Display, 100)
	for i := range batch {
		tag := wideTag(r)
		batch[i] = Display{tag, []string{"", mixed(tag), mixed(tag) + "!", wideTag(r)}[r.IntN(4)]}
	}
	return batch
}

func randomBatch(r *rand.Rand, growing bool) []Update {
	batch := make([]Update, 500)
	for i := range batch {
		batch[i] = Update{wideTag(r), int64(1 / (1 - r.Float64()))}
		if r.IntN(4) > 0 != growing {
			batch[i].Count = 0
		}
	}
	return batch
}

// wideTag draws from 20,000 tags with long common beginnings.
func wideTag(r *rand.Rand) string {
	n := r.IntN(20_000)
	return []string{"ab", "tagtagtag", "東京オリンピック", "б"}[n%4] + string(rune('a'+n%26)) + string(rune('a'+n/26))
}

func someKey(r *rand.Rand, m *model) *Key {
	if len(m.keys) == 0 {
		return nil
	}
	return &m.keys[r.IntN(len(m.keys))]
}

// What stands at the end of the head is decided by the tag where counts tie.
func TestHeadFollowsTiesAtItsEnd(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	var x Index
	var m model
	for range 2000 {
		u := Update{wideTag(r), int64(r.IntN(3))}
		x.Set(u.Tag, u.Count)
		m.set(u.Tag, u.Count)
		sameTop(t, &x, &m, headRows)
	}
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func same(t fataler, x *Index, m *model) {
	t.Helper()
	if err := x.check(); err != nil {
		t.Fatalf("%v", err)
	}
	if x.Len() != int64(len(m.keys)) || x.Sum() != m.sum() {
		t.Fatalf("%d tags of sum %d, want %d of sum %d", x.Len(), x.Sum(), len(m.keys), m.sum())
	}
	all, _ := m.page(nil, math.MaxInt, "")
	if got := slices.Collect(x.All()); !slices.Equal(got, all) {
		t.Fatalf("all rows are\n%v, want\n%v", got, all)
	}
	sameTop(t, x, m, 3)
	sameTop(t, x, m, headRows+1)
}

func sameTop(t fataler, x *Index, m *model, n int) {
	t.Helper()
	want, _ := m.page(nil, n, "")
	if got := x.Top(n); !slices.Equal(got, want) {
		t.Fatalf("the top %d is\n%v, want\n%v", n, got, want)
	}
}

func sameGet(t fataler, x *Index, m *model, tag string) {
	t.Helper()
	got, ok := x.Get(tag)
	want, wantOK := m.get(tag)
	if got != want || ok != wantOK {
		t.Fatalf("%q is %v %v, want %v %v", tag, got, ok, want, wantOK)
	}
}

func samePage(t fataler, x *Index, m *model, after *Key, limit int, prefix string) {
	t.Helper()
	if got, want := x.CountPrefix(prefix), m.countPrefix(prefix); got != want {
		t.Fatalf("%d tags begin with %q, want %d", got, prefix, want)
	}
	want, wantMore := m.page(after, limit, prefix)
	if got, more := x.Page(after, limit, prefix); !slices.Equal(got, want) || more != wantMore {
		t.Fatalf("page of %d after %v with %q is\n%v %v, want\n%v %v", limit, after, prefix, got, more, want, wantMore)
	}
	// Both ways to a page.
	if len(want) == 0 {
		return
	}
	walked, _ := x.walk(after, len(want), prefix, math.MaxInt64)
	gathered := x.gather(after, len(want), prefix)
	if !slices.Equal(walked, want) || !slices.Equal(gathered, want) {
		t.Fatalf("page of %d after %v with %q: walked\n%v, gathered\n%v, want\n%v", limit, after, prefix, walked, gathered, want)
	}
}
