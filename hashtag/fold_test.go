package hashtag

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// slowFold is the definition.
func slowFold(tag string) string {
	tag = slowTrim(string([]rune(tag))) // each stray byte is U+FFFD
	if strings.ContainsFunc(tag, isHarmfulRune) {
		return ""
	}
	var folded strings.Builder
	for _, r := range norm.NFKC.String(tag) {
		if !unicode.Is(unicode.Cherokee, r) {
			folded.WriteString(cases.Fold().String(string(r)))
		} else if unicode.IsLower(r) {
			folded.WriteRune(unicode.ToUpper(r))
		} else {
			folded.WriteRune(r)
		}
	}
	return slowTrim(norm.NFKC.String(folded.String()))
}

var before = regexp.MustCompile(`^([#＃﹟](?:$|[^\x{FE0F}\x{20E3}]))`)

func slowTrim(tag string) string {
	for {
		trimmed := strings.TrimSpace(tag)
		if before.MatchString(trimmed) {
			_, width := utf8.DecodeRuneInString(trimmed)
			trimmed = trimmed[width:]
		}
		if trimmed == tag {
			return tag
		}
		tag = trimmed
	}
}

func isHarmfulRune(r rune) bool {
	return unicode.IsControl(r) || strings.ContainsRune("\u2028\u2029\u202A\u202B\u202C\u202D\u202E\u2066\u2067\u2068\u2069", r)
}

func TestFold(t *testing.T) {
	for tag, want := range map[string]string{
		"":            "",
		"covid19":     "covid19",
		"COVID19":     "covid19",
		"ＣＯＶＩＤ１９":     "covid19",
		"Straße":      "strasse",
		"ΚΟΣΜΟΣ":      "κοσμοσ",
		"κόσμος":      "κόσμοσ",
		"İstanbul":    "i̇stanbul",
		"año":         "año",
		"an\u0303o":   "año",
		"ano":         "ano",
		"メ～テレ":        "メ~テレ",
		"ﾊｯｼｭﾀｸﾞ":     "ハッシュタグ",
		"ﬁn":          "fin",
		"Коронавирус": "коронавирус",
		"كورونا":      "كورونا",
		"\u0301":      "\u0301",
		"ꮳꮃꭹ":         "ᏣᎳᎩ",
		"ᏣᎳᎩ":         "ᏣᎳᎩ",
		"a\xffB":      "a\ufffdb",
		"a\nb":        "",
		"a\u0085b":    "",
		" #＃Go ":      "go",
		"\u202Ecba":   "",
		"a\xe2":       "a\ufffd",
		"#️⃣Tag":      "#️⃣tag",
	} {
		if got := Key(tag); got != want {
			t.Errorf("%q has the key %q, want %q", tag, got, want)
		}
	}
}

func TestKeyOfWhatIsTyped(t *testing.T) {
	for _, typed := range []string{"covid19", "#COVID19", "＃COVID19", "ＣＯＶＩＤ１９", " #covid19\n"} {
		if got := Key(typed); got != "covid19" {
			t.Errorf("%q has the key %q", typed, got)
		}
	}
	for typed, want := range map[string]string{
		"": "", "#": "", " # ＃\n": "", "##a": "a", "# a": "a", "＃ ﹟#\u3000a\u00a0": "a", "\u00a8a": "\u0308a",
		"C#": "c#", "a b": "a b", "#️⃣Tag": "#️⃣tag", "##️⃣Tag": "#️⃣tag", "＃\u20e3": "#\u20e3", "\u200b": "\u200b",
	} {
		if got := Key(typed); got != want {
			t.Errorf("%q has the key %q, want %q", typed, got, want)
		}
	}
}

func TestFoldAppends(t *testing.T) {
	// A mark at the start of a key does not melt into what stands before it.
	for _, tag := range []string{"B", "\u0301b", "É"} {
		if got, want := string(Fold([]byte("a"), []byte(tag))), "a"+Key(tag); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestFoldIsBounded(t *testing.T) {
	for tag, want := range map[string]int{
		strings.Repeat("a", MaxLen):   MaxLen,
		strings.Repeat("a", MaxLen+1): 0,
		strings.Repeat("\uFDFA", 31):  31 * 33, // one letter, eighteen after folding
		strings.Repeat("\uFDFA", 32):  0,
	} {
		if got := string(Fold([]byte("x"), []byte(tag))); len(got) != 1+want {
			t.Errorf("%d bytes have a key of %d, want %d", len(tag), len(got)-1, want)
		}
	}
}

// A key that is folded again must stay as it is: whoever has a key from the API may ask with it.
func TestFoldTwiceIsFoldOnce(t *testing.T) {
	var unstable []rune
	const lastFolded = 0x2FA1F // behind it is nothing that has another form
	for r := rune(0); r <= lastFolded; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		key := Key(string(r))
		if want := slowFold(string(r)); key != want {
			t.Fatalf("%U has the key %q, want %q", r, key, want)
		}
		if Key(key) != key {
			unstable = append(unstable, r)
		}
	}
	if len(unstable) > 0 {
		t.Errorf("%d characters change when folded again: %U", len(unstable), unstable)
	}
}

// What folds alone must also do so beside what does not.
func TestFoldInAnyCompany(t *testing.T) {
	alone := []rune("AzÀßÿ×÷АЯЀЏаџءيぁゖァーヷ一\u9fff가힣")
	others := []rune("\u0301\u0303\u0306\u0308\u0345\u0653\u0655\u3099\u309Aᄀ\u1161\u11A8\u0338\u05B0ΣςﬁＡ㍿ำ")
	r := rand.New(rand.NewPCG(1, 2))
	for range 30_000 {
		var tag []rune
		for range 1 + r.IntN(4) {
			tag = append(tag, alone[r.IntN(len(alone))], others[r.IntN(len(others))])[:len(tag)+1+r.IntN(2)]
		}
		if got, want := Key(string(tag)), slowFold(string(tag)); got != want {
			t.Fatalf("%q has the key %q, want %q", string(tag), got, want)
		}
	}
}

func FuzzFold(f *testing.F) {
	f.Add("ＣＯＶＩＤ19 ẞ İ \u0345\u0301 \xff")
	f.Add(" #＃ \u00a8go# \u3000")
	f.Add("#\ufe0f﹟\u20e3")
	f.Fuzz(func(t *testing.T, tag string) {
		got := Fold([]byte("before"), []byte(tag))
		want := slowFold(tag)
		if len(slowTrim(tag)) > MaxLen || len(want) > MaxLen {
			want = ""
		}
		if !bytes.Equal(got, []byte("before"+want)) {
			t.Fatalf("%q has the key %q, want %q", tag, got, want)
		}
		if again := Key(want); again != want {
			t.Fatalf("the key %q has the key %q", want, again)
		}
	})
}

func BenchmarkFold(b *testing.B) {
	for _, tag := range []string{"covid19", "COVID19", "año", "コロナ", "Коронавирус", "ＣＯＶＩＤ"} {
		b.Run(tag, func(b *testing.B) {
			b.ReportAllocs()
			var dst []byte
			in := []byte(tag)
			for b.Loop() {
				dst = Fold(dst[:0], in)
			}
		})
	}
}
