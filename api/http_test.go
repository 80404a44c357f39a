package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/api"
	"github.com/tagtide/tagtide/api/apitest"
	"github.com/tagtide/tagtide/internal/ranking"
)

// A client asks a real server over a real connection. It neither unpacks
// answers nor follows redirects, so tests see what was sent.
type client struct {
	t   *testing.T
	url string
	*http.Client
}

func serve(t *testing.T, counts api.Counts, opts api.Options) client {
	t.Helper()
	srv := httptest.NewServer(api.New(counts, opts).Handler())
	t.Cleanup(srv.Close)
	return client{t, srv.URL, &http.Client{
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

type response struct {
	*http.Response
	body string
}

func (c client) do(method, path string, header ...string) response {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return response{resp, string(body)}
}

func (c client) get(path string, header ...string) response {
	c.t.Helper()
	return c.do(http.MethodGet, path, header...)
}

// ok asks for an answer and reads its JSON into v.
func (c client) ok(path string, v any) response {
	c.t.Helper()
	resp := c.get(path)
	if resp.StatusCode != http.StatusOK {
		c.t.Fatalf("GET %s: %s\n%s", path, resp.Status, resp.body)
	}
	decode(c.t, resp.body, v)
	return resp
}

func decode(t *testing.T, body string, v any) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("%v in\n%s", err, body)
	}
}

// page is a list answer, with every field that the contract names and no other.
type page struct {
	Data []row `json:"data"`
	Meta struct {
		Window     string   `json:"window"`
		AsOf       *string  `json:"as_of"`
		Total      int64    `json:"total"`
		Lag        *int64   `json:"lag"`
		State      string   `json:"state"`
		Stale      bool     `json:"stale"`
		NextCursor string   `json:"next_cursor"`
		Progress   *float64 `json:"progress"`
	} `json:"meta"`
}

type row struct {
	Rank    int64  `json:"rank"`
	Tag     string `json:"tag"`
	Count   int64  `json:"count"`
	Display string `json:"display"`
}

type problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance"`
	Errors   []struct {
		Parameter string `json:"parameter"`
		Value     string `json:"value"`
		Detail    string `json:"detail"`
	} `json:"errors"`
	Progress float64     `json:"progress"`
	Checks   []api.Check `json:"checks"`
}

// problem asserts that an answer is a problem of RFC 9457 with this status.
func (c client) problem(resp response, status int) problem {
	c.t.Helper()
	if resp.StatusCode != status {
		c.t.Fatalf("status %s, want %d\n%s", resp.Status, status, resp.body)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/problem+json" {
		c.t.Errorf("content type %q", got)
	}
	var p problem
	decode(c.t, resp.body, &p)
	if p.Status != status || p.Title == "" || p.Detail == "" || !strings.HasPrefix(p.Type, "https://") {
		c.t.Errorf("incomplete problem: %s", resp.body)
	}
	return p
}

// pandemic are counts as in the article, with ties and other scripts.
func pandemic() *apitest.Counts {
	c := new(apitest.Counts)
	for tag, n := range map[string]int64{
		"covid19": 5026, "coronavirus": 1544, "stayhome": 310, "lockdown": 310, "كورونا": 120,
		"コロナ": 44, "a/b": 3, "..": 3, "export": 2, "c++": 2, "<b>": 1, "covid": 1, "strasse": 1,
	} {
		c.Add(tag, n)
	}
	c.ApplyDisplays([]ranking.Display{{Tag: "covid19", Display: "COVID19"}, {Tag: "strasse", Display: "Straße"}})
	c.SetTotals(api.Totals{Posts: 9032, PostsPerSecond: 41.23, Skipped: 12})
	return c
}

var noon = time.Date(2026, 8, 20, 12, 0, 0, 250_000_000, time.FixedZone("", 2*60*60))
