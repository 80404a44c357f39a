package mastodon

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"
)

// Whatever a server answers, a page goes on behind what was asked for, in
// order: so reading on comes to an end.
func FuzzAPageGoesOnBehindWhatWasAskedFor(f *testing.F) {
	for _, body := range []string{
		`[]`, `null`, `<html>`, `[{"id":"12"},{"id":"9"},{"id":"100","edited_at":"2026-08-20T10:00:00Z"}]`, `[{"id":"5"}]`,
		`[{"id":"11"},{"id":"11"}]`, `[{"id":12}]`, `[{"id":"1&limit=1"}]`, `[{}]`, `[null]`, `[[]]`, `{"error":"x"}`,
	} {
		f.Add([]byte(body), "9")
	}
	f.Fuzz(func(t *testing.T, body []byte, behind string) {
		page, err := parsePage(body, behind)
		if err != nil {
			return
		}
		var all []json.RawMessage
		if json.Unmarshal(body, &all) != nil || len(page) > len(all) {
			t.Fatalf("%d statuses of %q", len(page), body)
		}
		last := behind
		for i, m := range page {
			if !sound(m.id) || newer(last, m.id) || m.id == behind {
				t.Errorf("%q follows on %q behind %q", m.id, last, behind)
			}
			if !slices.ContainsFunc(all, func(one json.RawMessage) bool { return string(one) == string(m.data) }) {
				t.Errorf("status %d is none of the page", i)
			}
			last = m.id
		}
	})
}

func TestWhoMayReadTheTimeline(t *testing.T) {
	for _, c := range []struct {
		feeds   feeds
		token   bool
		missing string
		refused bool
	}{
		{feeds{}, false, "", false},
		{feeds{public, public}, false, "", false},
		{feeds{authenticated, authenticated}, true, "", false},
		{feeds{authenticated, authenticated}, false, "", true},
		{feeds{authenticated, disabled}, false, "", true},
		{feeds{disabled, disabled}, true, "", true},
		{feeds{public, authenticated}, false, "posts of other servers", false},
		{feeds{disabled, public}, true, "posts of its own users", false},
		{feeds{"news", "news"}, false, "", false},
	} {
		missing, err := c.feeds.check(c.token)
		if missing != c.missing || errors.As(err, new(*refusal)) != c.refused {
			t.Errorf("%+v: %q, %v", c, missing, err)
		}
	}
}

func TestWhereTheStreamIs(t *testing.T) {
	for _, c := range []struct{ server, says, want string }{
		{"social.example", "", "https://social.example/api/v1/streaming/public"},
		{"Social.Example:8443", "", "https://social.example:8443/api/v1/streaming/public"},
		{"https://social.example/", "wss://stream.example", "https://stream.example/api/v1/streaming/public"},
		{"social.example", "https://stream.example/at/", "https://stream.example/at/api/v1/streaming/public"},
		{"social.example", "ws://stream.example", ""},
		{"social.example", "gopher://stream.example", ""},
		{"social.example", "stream.example", ""},
		{"127.0.0.1:3000", "ws://127.0.0.1:4000?access_token=x", "http://127.0.0.1:4000/api/v1/streaming/public"},
		{"[::1]:3000", "", "http://[::1]:3000/api/v1/streaming/public"},
		{"https://127.0.0.1", "", "https://127.0.0.1/api/v1/streaming/public"},
	} {
		base, err := parseServer(c.server)
		if err != nil {
			t.Fatal(err)
		}
		var in instance
		in.Configuration.URLs.Streaming = c.says
		u, err := (&client{base: base}).streaming(in)
		if err != nil {
			u = &url.URL{}
		}
		if u.String() != c.want {
			t.Errorf("%s, which says %q: %s, %v", c.server, c.says, u, err)
		}
	}
}

func TestHowLongAServerWantsUsToWait(t *testing.T) {
	now := time.Date(2026, 8, 20, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		header http.Header
		want   time.Duration
	}{
		{http.Header{}, 0},
		{http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		{http.Header{"Retry-After": {"99999999"}}, longestWait},
		{http.Header{"X-Ratelimit-Reset": {"2026-08-20T10:05:00.000000Z"}}, 5 * time.Minute},
		{http.Header{"X-Ratelimit-Reset": {"2026-08-20T10:05:00Z"}, "Date": {"Thu, 20 Aug 2026 10:04:00 GMT"}}, time.Minute},
		{http.Header{"X-Ratelimit-Reset": {"1787220060"}}, time.Minute},
		{http.Header{"X-Ratelimit-Reset": {"2026-08-20T09:00:00Z"}}, 0},
		{http.Header{"X-Ratelimit-Reset": {"9999-01-01T00:00:00Z"}}, longestWait},
		{http.Header{"X-Ratelimit-Reset": {"soon"}}, 0},
	} {
		if got := waitFor(c.header, now); got != c.want {
			t.Errorf("%v: %v, want %v", c.header, got, c.want)
		}
	}
}
