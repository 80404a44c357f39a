package hashtag

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

func scannedBluesky(text string) []string {
	tags := []string{}
	for tag := range ScanBluesky([]byte(text)) {
		tags = append(tags, string(tag))
	}
	return tags
}

func TestScanBlueskyAgreesWithBluesky(t *testing.T) {
	for _, c := range readCases(t, "testdata/bluesky-tag-facets.jsonl") {
		if c.Group != "tags" { // what starts with $ is another kind
			continue
		}
		if got := scannedBluesky(c.Text); !slices.Equal(got, c.Expected) {
			t.Errorf("%q has %q, want %q", c.Text, got, c.Expected)
		}
	}
}

var (
	blueskySpace       = `\t-\r \x{FEFF}\x{2028}\x{2029}\p{Zs}`
	blueskyHidden      = `\x{AD}\x{2060}\x{200A}-\x{200D}\x{20E2}`
	blueskyTag         = regexp.MustCompile(`^[#＃]([^` + blueskySpace + blueskyHidden + `]*[^0-9\p{P}` + blueskySpace + blueskyHidden + `][^` + blueskySpace + blueskyHidden + `]*)`)
	blueskySeparator   = regexp.MustCompile(`[` + blueskySpace + `]`)
	blueskyPunctuation = regexp.MustCompile(`\p{P}+$`)
)

// slowBluesky takes the text apart at white space and looks at the start of each part.
func slowBluesky(text string) []string {
	tags := []string{}
	for _, word := range blueskySeparator.Split(text, -1) {
		match := blueskyTag.FindStringSubmatch(word)
		if match == nil || strings.HasPrefix(match[1], "\uFE0F") {
			continue
		}
		tag := blueskyPunctuation.ReplaceAllString(match[1], "")
		if len(utf16.Encode([]rune(tag))) <= 64 {
			tags = append(tags, tag)
		}
	}
	return tags
}

func FuzzScanBluesky(f *testing.F) {
	for _, word := range words {
		f.Add("#a" + word + "1 #" + word + "! ＃1" + word)
	}
	f.Add("#" + strings.Repeat("😀", 32) + " #" + strings.Repeat("😀", 33))
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := scannedBluesky(text), slowBluesky(text); !slices.Equal(got, want) {
			t.Fatalf("%q has %q, want %q", text, got, want)
		}
	})
}
