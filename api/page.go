package api

import (
	"bytes"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/tagtide/tagtide/internal/ranking"
)

// The page is rendered once with real numbers, so it says everything without
// JavaScript too; web/assets/app.js then moves it by polling the JSON API.

const (
	pageTop  = 10 // bars of the chart
	pageRows = 50 // rows of the table
)

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"asset": assetURL,
	"comma": humanize.Comma,
	"path":  url.PathEscape,
	"rate":  func(perSecond float64) string { return humanize.CommafWithDigits(math.Round(10*perSecond)/10, 1) },
	"share": func(part, whole int64) string { return percent(part, whole, 2) },
	"width": func(part, whole int64) string { return percent(part, whole, 2) + "%" },
}).ParseFS(web, "web/*.html"))

// percent of whole that part is, "0" of nothing, without the sign.
func percent(part, whole int64, digits int) string {
	if whole <= 0 {
		return "0"
	}
	return strconv.FormatFloat(100*float64(part)/float64(whole), 'f', digits, 64)
}

// A pageView is what each page shows around its own content.
type pageView struct {
	Title   string
	State   State
	Stale   bool
	AsOf    string // "" if never
	Age     string // of AsOf in seconds, as the page is rendered
	Lag     string // "" if unknown
	Percent int    // of the restore
	Refresh int    // seconds, for browsers without JavaScript
	Totals  Totals
	Content any
}

func (s *Server) pageView(title string, content any, f Freshness) pageView {
	m := s.meta(f)
	v := pageView{Title: title, State: f.State, Stale: m.Stale, Refresh: 10, Totals: s.counts.Totals(), Content: content}
	if m.AsOf != nil {
		v.AsOf = *m.AsOf
		v.Age = fmt.Sprintf("%.1f", max(0, s.opts.Now().Sub(f.AsOf).Seconds()))
	}
	if m.Lag != nil {
		v.Lag = humanize.Comma(*m.Lag)
	}
	if f.State == Restoring {
		v.Refresh, v.Percent = 2, int(100*f.Progress)
	}
	return v
}

// A listing is the content of the front page.
type listing struct {
	Top   []ranking.Row
	Rows  []ranking.Row
	Q     string
	Paged bool // not the first page
	Next  string
}

// Largest is the count that a full bar stands for.
func (l listing) Largest() int64 {
	if len(l.Top) == 0 {
		return 0
	}
	return l.Top[0].Count
}

// page shows the top ten and the table of all hashtags. Parameters that it
// does not know pass: links collect them on their way through the world.
func (s *Server) page(w http.ResponseWriter, r *http.Request) error {
	p := readParams(onlyParams(r.URL.RawQuery, "q", "cursor"), "q", "cursor")
	cursor, q := p.cursor(), p.values["q"]
	if err := p.check(); err != nil {
		return err
	}
	f := s.counts.Freshness()
	l := listing{Top: s.counts.Top(pageTop), Q: q, Paged: cursor != nil}
	l.Rows, l.Next = s.find(q, cursor, pageRows)
	return render(w, http.StatusOK, "index.html", s.pageView("tagtide · hashtags as they rise", l, f))
}

func (s *Server) tagPage(w http.ResponseWriter, r *http.Request) error {
	tag, err := pathTag(r)
	if err != nil {
		return err
	}
	f := s.counts.Freshness()
	row, ok := s.counts.Get(tag)
	status := http.StatusOK
	if !ok {
		row.Tag, row.Display, status = tag, tag, http.StatusNotFound
	}
	return render(w, status, "tag.html", s.pageView("#"+row.Display+" · tagtide", row, f))
}

func onlyParams(raw string, names ...string) string {
	var kept []string
	for pair := range strings.SplitSeq(raw, "&") {
		for _, name := range names {
			if strings.HasPrefix(pair, name+"=") {
				kept = append(kept, pair)
			}
		}
	}
	return strings.Join(kept, "&")
}

// render writes a page as a whole or not at all.
func render(w http.ResponseWriter, status int, name string, v any) error {
	var body bytes.Buffer
	if err := templates.ExecuteTemplate(&body, name, v); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	w.Write(body.Bytes())
	return nil
}

// wantsPage tells a person who is lost among the pages from a program that
// reads JSON.
func wantsPage(r *http.Request) bool {
	data := strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == "/readyz"
	return !data && strings.Contains(r.Header.Get("Accept"), "text/html")
}
