package mastodon

import (
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Ids are in the order of the numbers that they are, however long.
func TestIDsAreInTheOrderOfTheirNumbers(t *testing.T) {
	digits := rapid.StringMatching(`[1-9][0-9]{0,20}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := digits.Draw(t, "a"), digits.Draw(t, "b")
		m, _ := new(big.Int).SetString(a, 10)
		n, _ := new(big.Int).SetString(b, 10)
		if newer(a, b) != (m.Cmp(n) > 0) {
			t.Errorf("newer(%s, %s) is %v", a, b, newer(a, b))
		}
		if got := newest(a, b); newer(a, got) || newer(b, got) || got != a && got != b {
			t.Errorf("newest(%s, %s) is %s", a, b, got)
		}
	})
}

func TestAnEarlierIDIsEarlierByTheSpanOrTheSame(t *testing.T) {
	for id, want := range map[string]string{
		"115000000000000001":         "114999996067807232", // a minute
		"1":                          "1",
		"9223372036854775807":        "9223372036854775807",
		"99999999999999999999":       "99999999999999999999",
		"":                           "",
		"01KAQ3Z8X9Y7W6V5T4S3R2Q1P0": "01KAQ3Z8X9Y7W6V5T4S3R2Q1P0",
	} {
		got := earlier(id, time.Minute)
		if got != want {
			t.Errorf("a minute earlier than %q is %q, want %q", id, got, want)
		}
		if newer(got, id) {
			t.Errorf("%q is newer than %q", got, id)
		}
	}
}

func TestWhatIsNoIDIsRefused(t *testing.T) {
	for id, want := range map[string]bool{
		"115000000000000001": true, "01KAQ3Z8X9Y7W6V5T4S3R2Q1P0": true, "A_b-9": true,
		"": false, "1 ": false, "1&limit=0": false, "1\n": false, "é": false,
		"00000000000000000000000000000000000000000000000000000000000000000": false,
	} {
		if sound(id) != want {
			t.Errorf("sound(%q) is %v", id, !want)
		}
	}
}
