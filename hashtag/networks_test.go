package hashtag

import (
	"slices"
	"strings"
	"testing"
)

// The table of docs/HASHTAGS.md: what the three networks make of the same text.
func TestNetworksDifferAsDocumented(t *testing.T) {
	for _, c := range []struct{ text, x, mastodon, bluesky string }{
		{"#COVID19", "COVID19", "COVID19", "COVID19"},
		{"＃ｈａｓｈｔａｇ１２３", "ｈａｓｈｔａｇ１２３", "ｈａｓｈｔａｇ１２３", "ｈａｓｈｔａｇ１２３"},
		{"#1st #2020 #_", "1st", "1st", "1st"},
		{"(#a) /#b 。#c", "a b c", "", ""},
		{"text#a 日本語#b &#c;", "", "", ""},
		{"#a#b", "", "a", "a#b"},
		{"#one·two #a-b", "one·two a", "one·two a", "one·two a-b"},
		{"https://x.de/#a twitter.com/#b", "", "", ""},
		{"#a. #a!", "a a", "a a", "a a"},
		{"#️⃣tag", "", "", ""},
		{"#می\u200cکند #कखग #mañana", "می\u200cکند कखग mañana", "می\u200cکند कखग mañana", "می कखग mañana"},
	} {
		for i, got := range [][]string{scanned(c.text), scannedMastodon(c.text), scannedBluesky(c.text)} {
			if want := strings.Fields([]string{c.x, c.mastodon, c.bluesky}[i]); !slices.Equal(got, want) {
				t.Errorf("%q on %s has %q, want %q", c.text, []string{"X", "Mastodon", "Bluesky"}[i], got, want)
			}
		}
	}
}
