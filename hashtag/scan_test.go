package hashtag

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// scanned is what Scan finds, as strings.
func scanned(text string) []string {
	tags := []string{}
	for tag := range Scan([]byte(text)) {
		tags = append(tags, string(tag))
	}
	return tags
}

// conformanceCase is a line of testdata.
type conformanceCase struct {
	Suite, Group, Description, Text string
	Expected                        []string
	Valid                           *bool    `json:"expected_valid"`
	ByteRanges                      [][2]int `json:"byte_ranges"`
}

func readCases(t *testing.T, file string) []conformanceCase {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var cases []conformanceCase
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var c conformanceCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	return cases
}

func TestScanAgreesWithTwitterText(t *testing.T) {
	for _, c := range readCases(t, "testdata/hashtag-conformance.jsonl") {
		got := scanned(c.Text)
		if c.Valid != nil {
			if valid := len(got) == 1 && "#"+got[0] == c.Text; valid != *c.Valid {
				t.Errorf("%s: %q is a hashtag: %v, want %v", c.Description, c.Text, valid, *c.Valid)
			}
		} else if !slices.Equal(got, c.Expected) {
			t.Errorf("%s: %q has %q, want %q", c.Description, c.Text, got, c.Expected)
		}
	}
}

// The cases are chosen so that each rule of Scan's comment, and each turn of the URL grammar, decides one.
func TestScanFollowsItsRules(t *testing.T) {
	for text, want := range map[string][]string{
		"#a #b #a":                   {"a", "b", "a"},
		"＃ｈａｓｈｔａｇ１２３":                {"ｈａｓｈｔａｇ１２３"},
		"#1 #1_2 #_ #〃":              {},
		"#1st":                       {"1st"},
		"#a#b":                       {},
		"#a##b":                      {"b"},
		"##a":                        {"a"},
		"#a\uFE0F#b":                 {},
		"a\uFE0F#b":                  {"b"},
		"&#x #y":                     {"y"},
		"#http://x.de":               {},
		"#\u0301":                    {"\u0301"},
		"\xff#a\xff":                 {"a"},
		"twitter.com/#hashtag":       {},
		"twitter.com/ #hashtag":      {"hashtag"},
		"http://twitter.com/#search": {},
		"http://nosuch.tldx/#search": {"search"},
		"x.tldx/#search":             {"search"},
		"http://x.de?a=#b":           {},
		"x.de?a=#b":                  {"b"},
		"x.de/a?a=/#b":               {},
		"x.de/a.#b":                  {},
		"x.de/a. #b":                 {"b"},
		"x.de/(a)/#b":                {},
		"x.de/(a/#b":                 {"b"},
		"x.de/(a(b))/#c":             {},
		"x.de:80/#a":                 {},
		"X.DE/#a":                    {},
		"@x.de/#a":                   {"a"},
		"_x.de/#a":                   {"a"},
		"a_b.x.de/#a":                {},
		"x_y.de/#a":                  {"a"},
		"http://x_y.de/#a":           {"a"},
		"http://a_b.x.de/#a":         {},
		"日本.de/#a":                   {"a"},
		"日本x.de/#a":                  {},
		"http://日本.de/#a":            {},
		"#日本x.de/#a":                 {"日本x", "a"},
		"x.рф/#a":                    {},
		"x.deです/#a":                  {"a"},
		"http://t.co/abc/#a":         {"a"},
		"http://t.com/abc/#a":        {},
		"https://x.xn--p1ai/#a":      {},
		"http://x.de/é/#a":           {},
		"http://x.de/日/#a":           {"a"},
	} {
		if got := scanned(text); !slices.Equal(got, want) {
			t.Errorf("%q has %q, want %q", text, got, want)
		}
	}
}

// Each text is 300 kB of one pattern that invites to look at the same characters again and again. Whoever
// does so needs minutes.
func TestScanIsLinear(t *testing.T) {
	for _, pattern := range []string{
		"#", "#a", "#1", "＃", "a.", "a.b_c.", "a_b.com.", "日.", "日_", "a-.", "-a.", "_.", "x.com/(", "x.com/", "http://",
		"http://a_b.com/", "日本語", "xn--", "x.xn--", ".com", "a.日.com", "x.com?a", "\xff.", strings.Repeat("日", 70) + "x.com/",
	} {
		text := "#a " + strings.Repeat(pattern, 300_000/len(pattern)) + " x.com/#b #c"
		if got := scanned(text); !slices.Contains(got, "c") {
			t.Errorf("%q…: #c is not found", pattern)
		}
	}
}

func TestScanStopsWhenAsked(t *testing.T) {
	for tag := range Scan([]byte("#a #b")) {
		if string(tag) != "a" {
			t.Fatalf("went on to %q", tag)
		}
		break
	}
}

func BenchmarkScan(b *testing.B) {
	for name, text := range map[string]string{
		"none":  "Nothing to see here, only a sentence of ordinary length that has a link: https://t.co/abcdefghij and an end.",
		"ascii": "Wash your hands, keep your distance, and stay at home. https://t.co/abcdefghij #COVID19 #StayHome",
		"kana":  "手を洗って、距離を保って、家にいよう。 https://t.co/abcdefghij #コロナウイルス #家にいよう",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			in, n := []byte(text), 0
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				for tag := range Scan(in) {
					n += len(tag)
				}
			}
		})
	}
}

func TestTLDsAreSorted(t *testing.T) {
	if !slices.IsSorted(tlds[:]) {
		t.Error("they are searched by halves")
	}
	for _, name := range tlds {
		if len(name) > longestTLD {
			t.Errorf("%s has %d bytes", name, len(name))
		}
	}
}
