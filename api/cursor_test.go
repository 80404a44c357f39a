package api

import (
	"testing"

	"github.com/tagtide/tagtide/internal/ranking"
)

func FuzzCursorReadsOnlyWhatItWrites(f *testing.F) {
	for _, k := range []ranking.Key{{Count: 1, Tag: "a"}, {Count: 1 << 62, Tag: "コロナ"}, {Count: 300, Tag: "a/b"}} {
		f.Add(formatCursor(k))
	}
	for _, s := range []string{"", "AQ", "AgFh", "AQFh=", "AYCAgICAgICAgIABYQ", "AYEAYQ", "AQH_", "*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := parseCursor(s)
		if err != nil {
			return
		}
		if k.Count < 1 || k.Tag == "" {
			t.Errorf("%q gives %+v, which no row can be", s, k)
		}
		if got := formatCursor(k); got != s {
			t.Errorf("%q comes back as %q", s, got)
		}
	})
}

func TestCursorComesBack(t *testing.T) {
	for _, k := range []ranking.Key{{Count: 1, Tag: "a"}, {Count: 1<<63 - 1, Tag: "コロナ"}, {Count: 127, Tag: "\x00"}, {Count: 128, Tag: "a b"}} {
		if got, err := parseCursor(formatCursor(k)); got != k || err != nil {
			t.Errorf("%+v comes back as %+v, %v", k, got, err)
		}
	}
}
