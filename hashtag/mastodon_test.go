package hashtag

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func scannedMastodon(text string) []string {
	tags := []string{}
	for tag := range ScanMastodon([]byte(text)) {
		tags = append(tags, string(tag))
	}
	return tags
}

func TestScanMastodonFollowsItsRules(t *testing.T) {
	for text, want := range map[string][]string{
		"#a #b #a":                 {"a", "b", "a"},
		"＃ＣＯＶＩＤ１９ x":               {"ＣＯＶＩＤ１９"},
		"a #b\n#c\u00A0#d\u3000#e": {"b", "c", "d", "e"},
		"a#b (#c) .#d /#e ##f":     {},
		"#a#b":                     {"a"},
		"#12 #1_ #_ #1· #·":        {},
		"#1a #a1 #1_2 #_a":         {"1a", "a1", "1_2", "_a"},
		"#one·two·three #a· #·a":   {"one·two·three", "a"},
		"#１·２ #ニコ・ニコ・":             {"１·２", "ニコ・ニコ"},
		"#می\u200cکند\u200c":       {"می\u200cکند"},
		"#año #日本語。 #क्षत्रिय #ᏣᎳᎩ": {"año", "日本語", "क्षत्रिय", "ᏣᎳᎩ"},
		"#a! #b, #c-d #e's":           {"a", "b", "c", "e"},
		"https://x.de/#a x.de/#b":     {},
		"#ahttp://x.de #http://x.de":  {"a", "http"},
		"#ahttps://x.de #1http://x":   {"a"},
		"#a\xff #\xff":                {"a"},
		"#a\u0301 #\u0301":            {"a\u0301"},
		"#️⃣tag":                      {},
		"#Ⅷ #ⓐ":                       {"Ⅷ", "ⓐ"},
		"#\u0E01\u0E49 #1\u203F2 ab#": {"\u0E01\u0E49"},
	} {
		if got := scannedMastodon(text); !slices.Equal(got, want) {
			t.Errorf("%q has %q, want %q", text, got, want)
		}
	}
}

func TestScanMastodonStopsWhenAsked(t *testing.T) {
	for tag := range ScanMastodon([]byte("#a #b")) {
		if string(tag) != "a" {
			t.Fatalf("went on to %q", tag)
		}
		break
	}
}

var (
	rubyAlpha       = `\p{L}\p{Nl}` + otherAlphabetic // as Unicode defines Alphabetic
	rubyWord        = rubyAlpha + `\p{M}\p{Nd}\p{Pc}`
	mastodonJoiners = `_\x{B7}\x{30FB}\x{200C}`
	mastodonName    = `(?:[` + rubyWord + `][` + rubyWord + mastodonJoiners + `]*[` + rubyAlpha + mastodonJoiners + `]` +
		`[` + rubyWord + mastodonJoiners + `]*[` + rubyWord + `]|[` + rubyWord + `]*[` + rubyAlpha + `][` + rubyWord + `]*)`
	mastodonTagForm  = regexp.MustCompile(`(?:^|[` + whiteSpace + `])[#＃](` + mastodonName + `)`)
	mastodonProtocol = regexp.MustCompile(`^(.+?)https?$`)
	mastodonLetter   = regexp.MustCompile(`[` + rubyAlpha + `]`)
)

const whiteSpace = `\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}`

// otherAlphabetic are the ranges of a property that Go's expressions do not know.
var otherAlphabetic = func() string {
	var b strings.Builder
	for _, r := range unicode.Other_Alphabetic.R16 {
		for c := rune(r.Lo); c <= rune(r.Hi); c += rune(r.Stride) {
			fmt.Fprintf(&b, `\x{%X}`, c)
		}
	}
	for _, r := range unicode.Other_Alphabetic.R32 {
		for c := rune(r.Lo); c <= rune(r.Hi); c += rune(r.Stride) {
			fmt.Fprintf(&b, `\x{%X}`, c)
		}
	}
	return b.String()
}()

// slowMastodon matches Mastodon's expression.
func slowMastodon(text string) []string {
	tags := []string{}
	for _, match := range mastodonTagForm.FindAllStringSubmatchIndex(text, -1) {
		tag := text[match[2]:match[3]]
		if strings.HasPrefix(tag, "\uFE0F") || strings.HasPrefix(tag, "\u20E3") {
			continue
		}
		if strings.HasPrefix(text[match[3]:], "://") {
			if cut := mastodonProtocol.FindStringSubmatch(tag); cut != nil {
				if tag = cut[1]; !mastodonLetter.MatchString(tag) {
					continue
				}
			}
		}
		tags = append(tags, tag)
	}
	return tags
}

func FuzzScanMastodon(f *testing.F) {
	for _, word := range words {
		f.Add("#a" + word + "1 #" + word + "! ＃1" + word + "_2")
	}
	f.Add("#a·1_ #_·_ #1·a #a·· #一・二:// #1ⓐ\u200c")
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := scannedMastodon(text), slowMastodon(text); !slices.Equal(got, want) {
			t.Fatalf("%q has %q, want %q", text, got, want)
		}
	})
}
