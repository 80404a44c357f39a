package api

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tagtide/tagtide/hashtag"
	"github.com/tagtide/tagtide/internal/ranking"
)

func (s *Server) top(w http.ResponseWriter, r *http.Request) error {
	p := readParams(r.URL.RawQuery, "limit", "allow_stale")
	limit, allowStale := p.limit(10), p.allowStale()
	if err := p.check(); err != nil {
		return err
	}
	f, err := s.fresh(allowStale)
	if err != nil {
		return err
	}
	rows := s.counts.Top(limit)
	writeAnswer(w, answer{orEmpty(rows), s.meta(f)})
	return nil
}

func (s *Server) hashtags(w http.ResponseWriter, r *http.Request) error {
	p := readParams(r.URL.RawQuery, "limit", "cursor", "q", "allow_stale")
	limit, cursor, q, allowStale := p.limit(50), p.cursor(), p.values["q"], p.allowStale()
	if err := p.check(); err != nil {
		return err
	}
	f, err := s.fresh(allowStale)
	if err != nil {
		return err
	}
	rows, next := s.find(q, cursor, limit)
	m := s.meta(f)
	m.NextCursor = next
	if next != "" {
		w.Header().Set("Link", nextLink(r.URL.Path, limit, q, next))
	}
	writeAnswer(w, answer{orEmpty(rows), m})
	return nil
}

// find returns a page of the rows whose tag starts with q as a user types it,
// and the cursor of the next page, "" if this is the last.
func (s *Server) find(q string, after *ranking.Key, limit int) (rows []ranking.Row, next string) {
	prefix := hashtag.Key(q)
	if prefix == "" && strings.Trim(strings.TrimSpace(q), "#＃") != "" {
		return nil, "" // q can start no hashtag
	}
	rows, more := s.counts.Page(after, limit, prefix)
	if more {
		next = formatCursor(rows[len(rows)-1].Key())
	}
	return rows, next
}

func nextLink(path string, limit int, q, cursor string) string {
	query := url.Values{"limit": {strconv.Itoa(limit)}, "cursor": {cursor}}
	if q != "" {
		query.Set("q", q)
	}
	return fmt.Sprintf(`<%s?%s>; rel="next"`, path, query.Encode())
}

func (s *Server) hashtag(w http.ResponseWriter, r *http.Request) error {
	p := readParams(r.URL.RawQuery, "allow_stale")
	allowStale := p.allowStale()
	if err := p.check(); err != nil {
		return err
	}
	tag, err := pathTag(r)
	if err != nil {
		return err
	}
	f, err := s.fresh(allowStale)
	if err != nil {
		return err
	}
	row, ok := s.counts.Get(tag)
	if !ok {
		return notFound(fmt.Sprintf("the hashtag %q was never seen, or its count is back at 0", tag))
	}
	w.Header().Set("Content-Location", "/api/v1/hashtags/"+url.PathEscape(row.Tag))
	writeAnswer(w, answer{row, s.meta(f)})
	return nil
}

func (s *Server) stats(w http.ResponseWriter, r *http.Request) error {
	p := readParams(r.URL.RawQuery, "allow_stale")
	allowStale := p.allowStale()
	if err := p.check(); err != nil {
		return err
	}
	f, err := s.fresh(allowStale)
	if err != nil {
		return err
	}
	totals := s.counts.Totals()
	totals.PostsPerSecond = math.Round(10*totals.PostsPerSecond) / 10
	m := s.meta(f)
	m.Total = totals.Tags // tags = total, also while both grow
	writeAnswer(w, answer{totals, m})
	return nil
}

// orEmpty makes no rows an empty JSON array.
func orEmpty(rows []ranking.Row) []ranking.Row {
	if rows == nil {
		return []ranking.Row{}
	}
	return rows
}
