package api_test

import (
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/api"
	"github.com/tagtide/tagtide/api/apitest"
)

func TestTopAnswersByteForByteAsTheContractSays(t *testing.T) {
	counts := pandemic()
	counts.SetFreshness(api.Freshness{State: api.Running, AsOf: noon, LagKnown: true})
	c := serve(t, counts, api.Options{Now: func() time.Time { return noon.Add(time.Second) }})
	resp := c.get("/api/v1/top?limit=2")
	want := `{"data":[{"rank":1,"tag":"covid19","count":5026,"display":"COVID19"},{"rank":2,"tag":"coronavirus","count":1544,"display":"coronavirus"}],` +
		`"meta":{"window":"all","as_of":"2026-08-20T10:00:00.250Z","total":13,"lag":0,"state":"running","stale":false}}` + "\n"
	if resp.body != want {
		t.Errorf("got  %swant %s", resp.body, want)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
}

func TestTopGivesTenRowsUnlessAskedForOthers(t *testing.T) {
	c := serve(t, pandemic(), api.Options{})
	for query, want := range map[string]int{"": 10, "?limit=1": 1, "?limit=1000": 13} {
		var p page
		c.ok("/api/v1/top"+query, &p)
		if len(p.Data) != want {
			t.Errorf("top%s: %d rows, want %d", query, len(p.Data), want)
		}
	}
}

func TestPagesJoinToTheWholeOrder(t *testing.T) {
	counts := new(apitest.Counts)
	model := map[string]int64{}
	for i := range 257 {
		tag := fmt.Sprintf("tag%03d", i)
		model[tag] = int64(i%17 + 1)
		counts.Set(tag, model[tag])
	}
	want := inOrder(model)
	c := serve(t, counts, api.Options{})
	for _, limit := range []int{1, 50, 256, 257, 258, 1000} {
		if got := c.walk(fmt.Sprintf("/api/v1/hashtags?limit=%d", limit)); !slices.Equal(got, want) {
			t.Errorf("limit %d: pages do not join to the order", limit)
		}
	}
}

// walk follows next_cursor to the end, and the Link header beside it.
func (c client) walk(path string) (rows []row) {
	for cursor := ""; ; {
		var p page
		resp := c.ok(path+"&cursor="+url.QueryEscape(cursor), &p)
		rows = append(rows, p.Data...)
		link := resp.Header.Get("Link")
		if p.Meta.NextCursor == "" {
			if link != "" || strings.Contains(resp.body, "next_cursor") {
				c.t.Errorf("the last page points on: %q", link)
			}
			return rows
		}
		if !strings.Contains(link, "cursor="+p.Meta.NextCursor) || !strings.HasSuffix(link, `; rel="next"`) {
			c.t.Errorf("link %q", link)
		}
		cursor = p.Meta.NextCursor
	}
}

// inOrder is the plain model of the order.
func inOrder(counts map[string]int64) []row {
	tags := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b))
	})
	rows := make([]row, len(tags))
	for i, tag := range tags {
		rows[i] = row{int64(i) + 1, tag, counts[tag], tag}
	}
	return rows
}

func TestPagingStandsStillWhileOtherCountsMove(t *testing.T) {
	counts := pandemic()
	c := serve(t, counts, api.Options{})
	var first, second page
	c.ok("/api/v1/hashtags?limit=4", &first)
	counts.Add("strasse", 9000) // from the end to the top
	c.ok("/api/v1/hashtags?limit=1&cursor="+first.Meta.NextCursor, &second)
	if second.Data[0].Tag != "كورونا" || second.Data[0].Rank != 6 {
		t.Errorf("went on at %+v", second.Data[0])
	}
}

func TestSearchFoldsThePrefixAndKeepsTheRank(t *testing.T) {
	c := serve(t, pandemic(), api.Options{})
	for q, want := range map[string]string{
		"cov":         "1 covid19, 12 covid",
		"%23COV":      "1 covid19, 12 covid",
		"ＣＯＶ":         "1 covid19, 12 covid",
		"%20%20cov":   "1 covid19, 12 covid",
		"STRA%C3%9FE": "13 strasse",
		"%D9%83":      "5 كورونا",
		"c%2B%2B":     "9 c++",
		"nothing":     "",
		"cov;19":      "",
	} {
		var p page
		c.ok("/api/v1/hashtags?q="+q, &p)
		var got []string
		for _, r := range p.Data {
			got = append(got, fmt.Sprintf("%d %s", r.Rank, r.Tag))
		}
		if strings.Join(got, ", ") != want || p.Meta.Total != 13 {
			t.Errorf("q=%s: %s of %d, want %s of 13", q, got, p.Meta.Total, want)
		}
	}
}

func TestSearchForNothingInParticularFindsAll(t *testing.T) {
	c := serve(t, pandemic(), api.Options{})
	for _, q := range []string{"", "%23", "%EF%BC%83", "%20", "%09"} {
		var p page
		if c.ok("/api/v1/hashtags?q="+q, &p); len(p.Data) != 13 {
			t.Errorf("q=%s: %d rows", q, len(p.Data))
		}
	}
}

func TestSearchForWhatCanBeNoHashtagFindsNone(t *testing.T) {
	c := serve(t, pandemic(), api.Options{})
	var p page
	resp := c.ok("/api/v1/hashtags?q="+strings.Repeat("x", 2000), &p)
	if len(p.Data) != 0 || !strings.HasPrefix(resp.body, `{"data":[],`) {
		t.Errorf("found %s", resp.body)
	}
}

func TestOneHashtagAnswersToAllItsSpellings(t *testing.T) {
	c := serve(t, pandemic(), api.Options{})
	for spelled, want := range map[string]row{
		"covid19":                     {1, "covid19", 5026, "COVID19"},
		"COVID19":                     {1, "covid19", 5026, "COVID19"},
		"%23COVID19":                  {1, "covid19", 5026, "COVID19"},
		"ＣＯＶＩＤ１９":                     {1, "covid19", 5026, "COVID19"},
		"%EF%BC%83covid19":            {1, "covid19", 5026, "COVID19"},
		"a%2Fb":                       {8, "a/b", 3, "a/b"},
		"A%2fB":                       {8, "a/b", 3, "a/b"},
		"..":                          {7, "..", 3, ".."},
		"%2E%2E":                      {7, "..", 3, ".."},
		"export":                      {10, "export", 2, "export"},
		"c++":                         {9, "c++", 2, "c++"},
		"%3Cb%3E":                     {11, "<b>", 1, "<b>"},
		"%E3%82%B3%E3%83%AD%E3%83%8A": {6, "コロナ", 44, "コロナ"},
		"Stra%C3%9Fe":                 {13, "strasse", 1, "Straße"},
	} {
		var one struct {
			Data row `json:"data"`
			Meta any `json:"meta"`
		}
		resp := c.ok("/api/v1/hashtags/"+spelled, &one)
		if one.Data != want {
			t.Errorf("%s: got %+v, want %+v", spelled, one.Data, want)
		}
		if got := resp.Header.Get("Content-Location"); got != "/api/v1/hashtags/"+url.PathEscape(want.Tag) {
			t.Errorf("%s: content location %q", spelled, got)
		}
	}
}

func TestTagsStayReadableInJSON(t *testing.T) {
	body := serve(t, pandemic(), api.Options{}).get("/api/v1/hashtags/%3Cb%3E").body
	if !strings.Contains(body, `"tag":"<b>"`) {
		t.Error(body)
	}
}

func TestUnknownHashtagIsAProblem(t *testing.T) {
	counts := pandemic()
	counts.Set("covid", 0)
	c := serve(t, counts, api.Options{})
	for _, path := range []string{"never", "covid", "%23", "%00", "%20", strings.Repeat("x", 3000)} {
		c.problem(c.get("/api/v1/hashtags/"+path), http.StatusNotFound)
	}
}

func TestStatsAgreeWithTheRows(t *testing.T) {
	var got struct {
		Data struct {
			Posts          int64   `json:"posts"`
			Uses           int64   `json:"uses"`
			Tags           int64   `json:"tags"`
			PostsPerSecond float64 `json:"posts_per_second"`
			Skipped        int64   `json:"skipped"`
			DeadLetters    int64   `json:"dead_letters"`
		} `json:"data"`
		Meta struct{ Total int64 }
	}
	resp := serve(t, pandemic(), api.Options{}).get("/api/v1/stats")
	if err := json.Unmarshal([]byte(resp.body), &got); err != nil {
		t.Fatal(err)
	}
	want := got
	want.Data.Posts, want.Data.Uses, want.Data.Tags, want.Data.PostsPerSecond, want.Data.Skipped = 9032, 7367, 13, 41.2, 12
	want.Meta.Total = 13
	if got != want {
		t.Errorf("got %s", resp.body)
	}
}

func TestNoCountsAreAnEmptyArray(t *testing.T) {
	c := serve(t, new(apitest.Counts), api.Options{})
	for _, path := range []string{"/api/v1/top", "/api/v1/hashtags"} {
		if body := c.get(path).body; !strings.HasPrefix(body, `{"data":[],"meta":{"window":"all",`) {
			t.Errorf("%s: %s", path, body)
		}
	}
}

func TestEveryBadParameterIsNamed(t *testing.T) {
	c := serve(t, pandemic(), api.Options{})
	for path, names := range map[string]string{
		"top?limit=0":                    "limit",
		"top?limit=1001":                 "limit",
		"top?limit=-1":                   "limit",
		"top?limit=":                     "limit",
		"top?limit=ten":                  "limit",
		"top?limit=1e2":                  "limit",
		"top?limit=99999999999999999999": "limit",
		"top?limit=%2B5":                 "limit",
		"top?limit=5&limit=5":            "limit",
		"top?Limit=5":                    "Limit",
		"top?window=1h":                  "window",
		"top?cursor=":                    "cursor",
		"top?=5":                         "",
		"top?%zz=5":                      "%zz",
		"top?limit=%zz":                  "limit",
		"top?foo=1&limit=0&bar=2":        "foo bar limit",
		"top?allow_stale=yes":            "allow_stale",
		"top?allow_stale":                "allow_stale",
		"hashtags?cursor=*":              "cursor",
		"hashtags?cursor=AAAA":           "cursor",
		"hashtags?cursor=AQE":            "cursor",
		"hashtags?cursor=AQEA%3D":        "cursor",
		"hashtags?q=%ff":                 "q",
		"hashtags?q=%":                   "q",
		"hashtags?q=a&q=b":               "q",
		"hashtags?page=2":                "page",
		"hashtags/covid19?limit=5":       "limit",
		"hashtags/%ff":                   "tag",
		"stats?x":                        "x",
		"export?format=xml":              "format",
		"export?format=":                 "format",
		"export?limit=5":                 "limit",
		"hashtags?limit=2000&cursor=%21&q=%C3%28": "q limit cursor",
	} {
		p := c.problem(c.get("/api/v1/"+path), http.StatusBadRequest)
		var got []string
		for _, e := range p.Errors {
			got = append(got, e.Parameter)
			if !strings.Contains(p.Detail, e.Detail) {
				t.Errorf("%s: %q lacks %q", path, p.Detail, e.Detail)
			}
		}
		if strings.Join(got, " ") != names {
			t.Errorf("%s: names %q, want %q", path, got, names)
		}
		if !strings.Contains(p.Detail, strings.Split(names, " ")[0]) {
			t.Errorf("%s: %q does not name %q", path, p.Detail, names)
		}
	}
}

func TestParametersOfTheContractMayBeEmpty(t *testing.T) {
	var p page
	serve(t, pandemic(), api.Options{}).ok("/api/v1/hashtags?limit=50&cursor=&q=", &p)
	if len(p.Data) != 13 {
		t.Errorf("%d rows", len(p.Data))
	}
}

func TestWhatIsNotThereIsAProblem(t *testing.T) {
	c := serve(t, pandemic(), api.Options{})
	for _, path := range []string{"/nothing", "/api/v1", "/api/v1/top/", "/api/v1/hashtags/", "/api/v1/hashtags/a/b", "/api/v2/top", "//", "/assets/none.js", "/debug/pprof/"} {
		if p := c.problem(c.get(path), http.StatusNotFound); p.Instance != path {
			t.Errorf("%s: instance %q", path, p.Instance)
		}
	}
}

func TestOtherMethodsAreNotAllowed(t *testing.T) {
	c := serve(t, pandemic(), api.Options{})
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, "BREW"} {
		for _, path := range []string{"/", "/api/v1/top", "/api/v1/hashtags/a%2Fb", "/api/v1/export", "/healthz"} {
			resp := c.do(method, path)
			c.problem(resp, http.StatusMethodNotAllowed)
			if got := resp.Header.Get("Allow"); got != "GET, HEAD" {
				t.Errorf("%s %s: Allow %q", method, path, got)
			}
		}
	}
}

func TestHeadAnswersLikeGetWithoutABody(t *testing.T) {
	c := serve(t, pandemic(), api.Options{})
	for _, path := range []string{"/", "/api/v1/top", "/api/v1/hashtags", "/api/v1/hashtags/covid19", "/api/v1/hashtags/never",
		"/api/v1/stats", "/api/v1/export?format=csv", "/healthz", "/readyz", "/version", "/metrics", "/nothing"} {
		head, get := c.do(http.MethodHead, path), c.get(path)
		if head.StatusCode != get.StatusCode || head.Header.Get("Content-Type") != get.Header.Get("Content-Type") || head.body != "" {
			t.Errorf("%s: HEAD %s %v %q, GET %s", path, head.Status, head.Header, head.body, get.Status)
		}
	}
}

func TestRestoringIsAProblemThatSaysWhenToAskAgain(t *testing.T) {
	counts := pandemic()
	counts.SetFreshness(api.Freshness{State: api.Restoring, Progress: .42, ETA: 6500 * time.Millisecond})
	c := serve(t, counts, api.Options{})
	for _, path := range []string{"top", "hashtags", "hashtags/covid19", "hashtags/never", "stats", "export", "top?allow_stale=false"} {
		resp := c.get("/api/v1/" + path)
		p := c.problem(resp, http.StatusServiceUnavailable)
		if p.Progress != .42 || resp.Header.Get("Retry-After") != "7" {
			t.Errorf("%s: progress %v, retry after %q", path, p.Progress, resp.Header.Get("Retry-After"))
		}
	}
}

func TestAllowStaleAnswersWithWhatIsThere(t *testing.T) {
	counts := pandemic()
	counts.SetFreshness(api.Freshness{State: api.Restoring, Progress: .42})
	c := serve(t, counts, api.Options{})
	var p page
	c.ok("/api/v1/top?limit=1&allow_stale=true", &p)
	if p.Meta.State != "restoring" || !p.Meta.Stale || p.Meta.AsOf != nil || p.Meta.Lag != nil || *p.Meta.Progress != .42 || p.Data[0].Count != 5026 {
		t.Errorf("%+v", p)
	}
	for _, path := range []string{"hashtags", "hashtags/covid19", "stats", "export"} {
		if resp := c.get("/api/v1/" + path + "?allow_stale=true"); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

func TestDisconnectedAnswersSayHowOldTheyAre(t *testing.T) {
	counts := pandemic()
	counts.SetFreshness(api.Freshness{State: api.Disconnected, AsOf: noon, Lag: 3, LagKnown: true})
	for age, stale := range map[time.Duration]bool{5 * time.Second: false, 5*time.Second + 1: true} {
		c := serve(t, counts, api.Options{Now: func() time.Time { return noon.Add(age) }})
		var p page
		c.ok("/api/v1/top", &p)
		if p.Meta.State != "disconnected" || p.Meta.Lag != nil || p.Meta.Stale != stale || *p.Meta.AsOf != "2026-08-20T10:00:00.250Z" {
			t.Errorf("after %v: %+v", age, p.Meta)
		}
	}
}

// turning are counts that go on while a request reads them: rows come in after
// each reading of the freshness, and nothing is ever taken away.
type turning struct {
	*apitest.Counts
	n int
}

func (c *turning) Freshness() api.Freshness {
	defer c.Add(fmt.Sprint("new", c.n), 1)
	c.n++
	return c.Counts.Freshness()
}

func TestNoAnswerHasMoreRowsThanItsTotal(t *testing.T) {
	c := serve(t, &turning{Counts: new(apitest.Counts)}, api.Options{})
	for range 5 {
		var p page
		if c.ok("/api/v1/top", &p); int64(len(p.Data)) > p.Meta.Total {
			t.Errorf("%d rows of %d", len(p.Data), p.Meta.Total)
		}
	}
}

func TestBigAnswersAreCompressedForWhoCanReadIt(t *testing.T) {
	counts := new(apitest.Counts)
	for i := range 500 {
		counts.Add(fmt.Sprint("tag", i), int64(i+1))
	}
	c := serve(t, counts, api.Options{})
	plain, packed := c.get("/api/v1/top?limit=500"), c.get("/api/v1/top?limit=500", "Accept-Encoding", "gzip")
	if packed.Header.Get("Content-Encoding") != "gzip" || plain.Header.Get("Content-Encoding") != "" || len(packed.body) > len(plain.body)/2 {
		t.Fatalf("%d bytes %q, %d bytes %q", len(plain.body), plain.Header, len(packed.body), packed.Header)
	}
	unpack, err := gzip.NewReader(strings.NewReader(packed.body))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(unpack)
	var p page
	if decode(t, string(body), &p); err != nil || len(p.Data) != 500 {
		t.Errorf("%d rows, %v", len(p.Data), err)
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	c := serve(t, pandemic(), api.Options{})
	for _, path := range []string{"/", "/api/v1/top", "/nothing", "/metrics", "/hashtags/covid19", "/api/v1/export"} {
		h := c.get(path).Header
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'self';", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		} {
			if !strings.HasPrefix(h.Get(name), want) {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
	}
}

func TestCachesKeepAnswersForASecondAndProblemsNotAtAll(t *testing.T) {
	c := serve(t, pandemic(), api.Options{})
	for path, want := range map[string]string{
		"/api/v1/top": "public, max-age=1", "/api/v1/hashtags/never": "no-store", "/healthz": "no-store", "/": "no-cache", "/nothing": "no-store",
	} {
		if got := c.get(path).Header.Get("Cache-Control"); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
