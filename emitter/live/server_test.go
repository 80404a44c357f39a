package live_test

import (
	"strings"
	"testing"

	"github.com/tagtide/tagtide/emitter/live"
)

func TestAServerIsTheSameHoweverItIsSpelled(t *testing.T) {
	for want, spellings := range map[string][]string{
		"https://social.example":      {"social.example", "Social.EXAMPLE.", "social.example/", "https://social.example//", "HTTPS://social.example:443"},
		"http://social.example":       {"http://social.example:80/", "http://SOCIAL.example"},
		"https://social.example:8443": {"social.example:8443", "https://social.example.:8443/"},
		"https://[::1]":               {"[::1]", "[::1]:443"},
		"https://[::1]:80":            {"[::1]:80"},
		"https://münchen.example":     {"MÜNCHEN.example"},
		"ftp://a_b-c/D":               {"ftp://a_b-c/D/"},
		"https://u:p@a":               {"https://u:p@A."},
	} {
		for _, text := range spellings {
			if u, err := live.ParseServer(text, "https"); err != nil || strings.ReplaceAll(u.String(), "%C3%BC", "ü") != want {
				t.Errorf("%q: %v %v, want %s", text, u, err, want)
			}
		}
	}
}

func FuzzParseServer(f *testing.F) {
	for _, bad := range []string{"", " ", "a b", "https://", ":80", "a..b", "a:0", "a:65536", "a:x", "a?", "a?x=1", "a#b", "a,b", "https://u:hush@a b", "://", "a/%zz"} {
		if u, err := live.ParseServer(bad, "https"); err == nil || strings.Contains(err.Error(), "hush") {
			f.Errorf("%q is %v, %v", bad, u, err)
		}
		f.Add(bad)
	}
	f.Add("https://u:p@social.example.:443/a/")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := live.ParseServer(text, "https")
		if err != nil {
			return
		}
		if again, err := live.ParseServer(u.String(), "https"); err != nil || again.String() != u.String() || again.Host != u.Host {
			t.Errorf("%q is %q, which is %q, %v", text, u, again, err)
		}
	})
}
