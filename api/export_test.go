package api_test

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tagtide/tagtide/api"
	"github.com/tagtide/tagtide/api/apitest"
	"github.com/tagtide/tagtide/internal/ranking"
)

func TestExportsHoldEveryRowInOrder(t *testing.T) {
	counts := new(apitest.Counts)
	model := map[string]int64{}
	for i := range 2500 {
		tag := fmt.Sprint("tag", i)
		model[tag] = int64(i%7 + 1)
		counts.Set(tag, model[tag])
	}
	c := serve(t, counts, api.Options{})
	var ndjson, asCSV strings.Builder
	asCSV.WriteString("tag,count\n")
	for _, r := range inOrder(model) {
		fmt.Fprintf(&ndjson, "{\"tag\":%q,\"count\":%d}\n", r.Tag, r.Count)
		fmt.Fprintf(&asCSV, "%s,%d\n", r.Tag, r.Count)
	}
	for format, want := range map[string]string{"": ndjson.String(), "?format=ndjson": ndjson.String(), "?format=csv": asCSV.String()} {
		if got := c.get("/api/v1/export" + format); got.body != want {
			t.Errorf("export%s: %d bytes, want %d", format, len(got.body), len(want))
		}
	}
}

func TestExportSaysWhatItIs(t *testing.T) {
	c := serve(t, pandemic(), api.Options{})
	for format, want := range map[string][2]string{
		"ndjson": {"application/x-ndjson", `attachment; filename="hashtags.ndjson"`},
		"csv":    {"text/csv; charset=utf-8; header=present", `attachment; filename="hashtags.csv"`},
	} {
		h := c.get("/api/v1/export?format=" + format).Header
		if got := [2]string{h.Get("Content-Type"), h.Get("Content-Disposition")}; got != want {
			t.Errorf("%s: %q", format, got)
		}
	}
}

func TestExportOfNothingIsAHeader(t *testing.T) {
	c := serve(t, new(apitest.Counts), api.Options{})
	if got := c.get("/api/v1/export?format=csv").body; got != "tag,count\n" {
		t.Errorf("csv %q", got)
	}
	if got := c.get("/api/v1/export").body; got != "" {
		t.Errorf("ndjson %q", got)
	}
}

func TestCSVKeepsAwkwardTagsWhole(t *testing.T) {
	counts := new(apitest.Counts)
	tags := []string{`a,b`, `say"hi"`, "two\nlines", "<b>", "كورونا", " x "}
	for i, tag := range tags {
		counts.Add(tag, int64(len(tags)-i))
	}
	body := serve(t, counts, api.Options{}).get("/api/v1/export?format=csv").body
	records, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil || len(records) != len(tags)+1 {
		t.Fatalf("%v in %q", err, body)
	}
	for i, tag := range tags {
		if want := []string{tag, strconv.Itoa(len(tags) - i)}; !slices.Equal(records[i+1], want) {
			t.Errorf("got %q, want %q", records[i+1], want)
		}
	}
}

// endless counts have another full page for ever, and tell how they are read.
type endless struct {
	apitest.Counts
	pages   chan struct{} // one token per page asked for
	largest int
}

func (c *endless) Page(after *ranking.Key, limit int, _ string) (rows []ranking.Row, more bool) {
	c.pages <- struct{}{}
	c.largest = max(c.largest, limit)
	for i := range limit {
		rows = append(rows, ranking.Row{Rank: 1, Tag: fmt.Sprint("tag", i), Count: 1})
	}
	return rows, true
}

func TestExportStopsWithItsClientAndHoldsOneChunk(t *testing.T) {
	counts := &endless{pages: make(chan struct{}, 1<<20)}
	srv := httptest.NewServer(api.New(counts, api.Options{}).Handler())
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/api/v1/export", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for range 5000 {
		if !lines.Scan() {
			t.Fatal("the export ended by itself")
		}
	}
	leave()
	srv.Close() // waits until the handler has returned, for ever if it does not
	if counts.largest > 1000 {
		t.Errorf("held %d rows at once", counts.largest)
	}
}

// breaking counts end in a bug on the fifth page.
type breaking struct{ endless }

func (c *breaking) Page(after *ranking.Key, limit int, q string) ([]ranking.Row, bool) {
	if len(c.pages) == 4 {
		panic("broken on purpose")
	}
	return c.endless.Page(after, limit, q)
}

func TestHalfAnExportIsNoWholeOne(t *testing.T) {
	c := serve(t, &breaking{endless{pages: make(chan struct{}, 4)}}, api.Options{})
	resp, err := c.Get(c.url + "/api/v1/export")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if part, err := io.ReadAll(resp.Body); err == nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s with %d bytes that look whole", resp.Status, len(part))
	}
}
