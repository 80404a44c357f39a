package api_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/tagtide/tagtide/api"
	"github.com/tagtide/tagtide/api/apitest"
)

func TestPageShowsRealNumbersWithoutJavaScript(t *testing.T) {
	body := serve(t, pandemic(), api.Options{}).get("/").body
	for _, want := range []string{
		"9,032", "41.2", "7,367", "5,026", `width="100.00%"`, `width="30.72%"`, "<bdi>كورونا</bdi>", "<bdi>COVID19</bdi>", "68.22 %",
		`http-equiv="refresh" content="10"`, `href="/api/v1/export?format=csv"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if n := strings.Count(body, "<li data-tag="); n != 10 {
		t.Errorf("%d bars", n)
	}
	if n := strings.Count(body, "<tr data-tag="); n != 13 {
		t.Errorf("%d rows", n)
	}
}

func TestPageEscapesWhatOthersWrote(t *testing.T) {
	counts := new(apitest.Counts)
	counts.Add(`<script>alert(1)</script>`, 3)
	counts.Add(`"onclick="alert(2)`, 2)
	counts.Add(`a/b?c#d%41`, 1)
	c := serve(t, counts, api.Options{})
	body := c.get("/?q=%22%3E%3Cscript%3E").body + c.get("/").body + c.get("/hashtags/%3Cscript%3E").body
	if strings.Contains(body, "<script>") || strings.Contains(body, `"onclick="`) {
		t.Error("a tag became markup")
	}
	if !strings.Contains(body, `href="/hashtags/a%2Fb%3Fc%23d%2541"`) {
		t.Error("a link to a tag is not escaped as one segment")
	}
}

func TestPageHasNoInlineScriptOrStyle(t *testing.T) {
	c := serve(t, pandemic(), api.Options{})
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script[^>]*>[^<]|https?://`)
	for _, path := range []string{"/", "/hashtags/covid19", "/?cursor=bad"} {
		if found := inline.FindString(c.get(path, "Accept", "text/html").body); found != "" {
			t.Errorf("%s holds %q", path, found)
		}
	}
}

func TestPagePagesAndSearchesByItsAddress(t *testing.T) {
	counts := new(apitest.Counts)
	for i := range 120 {
		counts.Add(fmt.Sprintf("tag%03d", i), int64(1000-i))
	}
	c := serve(t, counts, api.Options{})
	next := regexp.MustCompile(`id="next" rel="next" href="([^"#]+)#all"( hidden)?`)
	path, seen := "/?q=tag0&utm_source=elsewhere", 0
	for range 2 {
		body := c.get(path).body
		seen += strings.Count(body, "<tr data-tag=")
		link := next.FindStringSubmatch(body)
		if link == nil {
			t.Fatalf("%s has no next link", path)
		}
		path = strings.ReplaceAll(link[1], "&amp;", "&")
		if last := link[2] != ""; last != (seen == 100) {
			t.Errorf("after %d rows: %q", seen, link[0])
		}
	}
	if seen != 100 {
		t.Errorf("saw %d rows of 100", seen)
	}
}

func TestPageTellsItsState(t *testing.T) {
	counts := new(apitest.Counts)
	c := serve(t, counts, api.Options{})
	if body := c.get("/").body; !regexp.MustCompile(`id="empty" class="empty tracks">Waiting`).MatchString(body) {
		t.Error("an empty page does not say that it waits")
	}
	counts.SetFreshness(api.Freshness{State: api.Restoring, Progress: .42})
	if body := c.get("/").body; !strings.Contains(body, `value="42"`) || !strings.Contains(body, "Restoring, 42 %") || !strings.Contains(body, `content="2"`) {
		t.Error("a restoring page does not show its progress")
	}
	counts.SetFreshness(api.Freshness{State: api.Disconnected, AsOf: noon})
	if body := c.get("/").body; !strings.Contains(body, "as of 2026-08-20T10:00:00.250Z") {
		t.Error("a disconnected page does not say how old it is")
	}
}

func TestHashtagPage(t *testing.T) {
	c := serve(t, pandemic(), api.Options{})
	if resp := c.get("/hashtags/%23COVID19"); resp.StatusCode != http.StatusOK || !strings.Contains(resp.body, "5,026") || !strings.Contains(resp.body, "<title>#COVID19 · tagtide") {
		t.Errorf("%s", resp.Status)
	}
	if resp := c.get("/hashtags/never"); resp.StatusCode != http.StatusNotFound || !strings.Contains(resp.body, "<bdi>never</bdi>") {
		t.Errorf("%s", resp.Status)
	}
}

func TestPeopleGetProblemsAsPagesAndProgramsAsJSON(t *testing.T) {
	c := serve(t, pandemic(), api.Options{})
	for path, status := range map[string]int{"/nothing": 404, "/?cursor=bad": 400, "/hashtags/%ff": 400} {
		c.problem(c.get(path), status)
		resp := c.get(path, "Accept", "text/html,*/*")
		if resp.StatusCode != status || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %s %s", path, resp.Status, resp.Header.Get("Content-Type"))
		}
	}
	c.problem(c.get("/api/v1/nothing", "Accept", "text/html"), http.StatusNotFound)
}

func TestAssetsAreKeptUnderTheirVersion(t *testing.T) {
	c := serve(t, pandemic(), api.Options{})
	found := regexp.MustCompile(`/assets/[a-z.]+\?v=[0-9a-f]+`).FindAllString(c.get("/").body, -1)
	if len(found) != 4 {
		t.Fatalf("the page refers to %q", found)
	}
	for _, path := range found {
		resp := c.get(path)
		if resp.StatusCode != http.StatusOK || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %s %q", path, resp.Status, resp.Header)
		}
		bare, _, _ := strings.Cut(path, "?")
		if again := c.get(bare, "If-None-Match", resp.Header.Get("ETag")); again.StatusCode != http.StatusNotModified || again.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %s %q", bare, again.Status, again.Header)
		}
	}
}
