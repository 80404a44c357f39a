package spelling

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const key = "covid19"

// A model counts every spelling, however many there are.
type model struct {
	uses  map[string]int64
	total int64
	ever  map[string]bool
	back  int64 // uses that were taken back
	keep  bool  // nothing is taken back
}

func newModel() *model { return &model{uses: map[string]int64{}, ever: map[string]bool{}} }

func (m *model) use(spelling string, n int64) {
	m.ever[spelling] = true
	if m.uses[spelling] += n; m.uses[spelling] == 0 {
		delete(m.uses, spelling)
	}
	m.total += n
	m.back += max(0, -n)
}

func (m *model) counts() (all []Count) {
	for _, s := range slices.Sorted(maps.Keys(m.uses)) {
		all = append(all, Count{s, m.uses[s]})
	}
	slices.SortStableFunc(all, func(a, b Count) int { return cmp.Compare(b.Uses, a.Uses) })
	return all
}

// act draws the uses of one commit: new ones, or old ones that are taken back.
func (m *model) act(t *rapid.T, spellings []string) (c Change) {
	for range rapid.IntRange(1, 12).Draw(t, "uses") {
		s, n := rapid.SampledFrom(spellings).Draw(t, "spelling"), int64(1)
		if !m.keep && len(m.uses) > 0 && rapid.IntRange(0, 3).Draw(t, "back") == 0 {
			s, n = rapid.SampledFrom(slices.Sorted(maps.Keys(m.uses))).Draw(t, "taken back"), -1
		}
		m.use(s, n)
		c = Add(c, coded(t, Changes, Use([]byte(key), []byte(s), n)))
	}
	return coded(t, Changes, c)
}

// coded is a value as it comes back from its bytes.
func coded[V comparable](t *rapid.T, c interface {
	Append(dst []byte, v V) ([]byte, error)
	Decode(data []byte) (V, error)
}, v V) V {
	data, err := c.Append(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	back, err := c.Decode(data)
	if err != nil || back != v {
		t.Fatalf("%+v is %q and comes back as %+v, %v", v, data, back, err)
	}
	return back
}

func after(t fataler, r Row, total int64, c Change) Row {
	next, err := r.After(key, total, c)
	if err != nil {
		t.Fatalf("%q after %+v: %v", r, c, err)
	}
	if next != "" && next.Display() == "" {
		t.Fatalf("%q shows nothing", next)
	}
	return next
}

type fataler interface {
	Fatalf(format string, args ...any)
}

func counts(t fataler, r Row, total int64) ([]Count, int64) {
	listed, rest, err := r.Counts(key, total)
	if err != nil {
		t.Fatalf("%q: %v", r, err)
	}
	return listed, rest
}

func TestUpToEightSpellingsAreExact(t *testing.T) {
	eight := []string{key, "COVID19", "Covid19", "CoViD19", "covid１９", "COVid19", "a b:c,", strings.Repeat("x", 300)}
	rapid.Check(t, func(t *rapid.T) {
		m, r := newModel(), Row("")
		for range rapid.IntRange(1, 20).Draw(t, "commits") {
			r = after(t, r, m.total, Change{})
			c := m.act(t, eight)
			r = after(t, r, m.total, c)
			want := m.counts()
			if m.total == 0 || len(want) == 1 && want[0].Spelling == key {
				if r != "" {
					t.Fatalf("a row %+v of %v", r, want)
				}
				continue
			}
			if got, rest := counts(t, r, m.total); fmt.Sprint(got) != fmt.Sprint(want) || rest != 0 {
				t.Fatalf("row says %v and rest %d, want %v", got, rest, want)
			}
			if r.Display() != want[0].Spelling {
				t.Fatalf("shown as %q, want %q", r.Display(), want[0].Spelling)
			}
		}
	})
}

// How uses are gathered into commits is of no matter to what is exact.
func TestManyChangesAreTheirSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var one, sum Row
		var all Change
		m := newModel()
		for range rapid.IntRange(1, 10).Draw(t, "commits") {
			c := m.act(t, []string{key, "COVID19", "Covid19", "CoViD19"})
			one, all = after(t, one, m.total, c), Add(all, c)
		}
		if sum = after(t, sum, m.total, all); one != sum {
			t.Fatalf("one by one %+v, at once %+v", one, sum)
		}
	})
}

func TestMoreSpellingsAreWithinTheBound(t *testing.T) {
	var many []string
	for i := range 30 {
		many = append(many, fmt.Sprintf("Covid%02d", i))
	}
	rapid.Check(t, func(t *rapid.T) {
		m, r := newModel(), Row("")
		m.keep = rapid.Bool().Draw(t, "keep")
		spellings := many[:rapid.IntRange(9, len(many)).Draw(t, "spellings")]
		for range rapid.IntRange(1, 40).Draw(t, "commits") {
			r = after(t, r, m.total, m.act(t, spellings))
			checkBound(t, m, r)
		}
	})
}

func checkBound(t *rapid.T, m *model, r Row) {
	listed, rest := counts(t, r, m.total)
	said, sum := map[string]int64{}, rest
	for _, c := range listed {
		said[c.Spelling] = c.Uses
		sum += c.Uses
	}
	if sum != m.total || rest < 0 || len(listed) > Most {
		t.Fatalf("%v and rest %d of %d uses", listed, rest, m.total)
	}
	bound := rest/(Most+1) + 2*m.back
	for s := range m.ever {
		if off := m.uses[s] - said[s]; abs(off) > bound || m.back == 0 && off < 0 || said[s] < 0 {
			t.Fatalf("%q was used %d times, %v says %d; rest %d, %d taken back", s, m.uses[s], listed, said[s], rest, m.back)
		}
	}
}

func TestChangesShareNothingThatChanges(t *testing.T) {
	a := Use([]byte(key), []byte("COVID19"), 1)
	b := Add(a, Use([]byte(key), []byte("Covid19"), 1))
	was := b
	Add(b, Use([]byte(key), []byte("CoViD19"), 1))
	Add(b, Use([]byte(key), []byte("Covid19"), 5))
	if b != was || a != Use([]byte(key), []byte("COVID19"), 1) {
		t.Errorf("a is %+v and b %+v, was %+v", a, b, was)
	}
}

// Counts from before there were spellings: what was used is taken for the key's.
func TestUsesThatNobodySpelledAreTheKeys(t *testing.T) {
	r := after(t, "", 3, Use([]byte(key), []byte("COVID19"), -1))
	if r.Display() != "" {
		t.Errorf("%+v", r)
	}
	r = after(t, "", 6, Use([]byte(key), []byte("COVID19"), 3))
	if r.Display() != "COVID19" { // 3 and 3: by byte order
		t.Errorf("%+v", r)
	}
}

func TestAUseInTheMostUsedSpellingAllocatesNothing(t *testing.T) {
	r := after(t, "", 9, Use([]byte(key), []byte("COVID19"), 9))
	c, acc := Use([]byte(key), []byte("COVID19"), 1), Use([]byte(key), []byte("COVID19"), 1)
	buf := make([]byte, 0, 100)
	n := testing.AllocsPerRun(100, func() {
		acc = Add(acc, c)
		buf, _ = Changes.Append(buf[:0], acc)
		decoded, err := Changes.Decode(buf)
		if next, err2 := r.After(key, 10, decoded); next != r || err != nil || err2 != nil {
			t.Error(next, err, err2)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
