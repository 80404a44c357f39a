package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// staleAfter is the age of as_of above which an answer calls itself stale.
const staleAfter = 5 * time.Second

// An answer is the envelope of every JSON answer that is no problem.
type answer struct {
	Data any  `json:"data"`
	Meta meta `json:"meta"`
}

// meta says what the data of an answer is worth.
type meta struct {
	Window string  `json:"window"`
	AsOf   *string `json:"as_of"` // null: the ends of the log were never read
	Total  int64   `json:"total"`
	Lag    *int64  `json:"lag"` // null: unknown
	State  State   `json:"state"`
	Stale  bool    `json:"stale"`
	// Progress of the restore, only in answers that allow_stale let out early.
	Progress   *float64 `json:"progress,omitempty"`
	NextCursor string   `json:"next_cursor,omitempty"`
}

// meta joins the freshness read before the rows with the total read after
// them, so that no answer claims more rows than its total.
func (s *Server) meta(f Freshness) meta {
	m := meta{Window: "all", Total: s.counts.Len(), State: f.State}
	m.Stale = s.opts.Now().Sub(f.AsOf) > staleAfter
	if !f.AsOf.IsZero() {
		asOf := f.AsOf.UTC().Format("2006-01-02T15:04:05.000Z")
		m.AsOf = &asOf
	}
	if f.LagKnown && f.State != Disconnected {
		m.Lag = &f.Lag
	}
	if f.State == Restoring {
		m.Progress = &f.Progress
	}
	return m
}

// fresh returns the freshness to read rows under, or the problem that nothing
// can be said yet.
func (s *Server) fresh(allowStale bool) (Freshness, error) {
	f := s.counts.Freshness()
	if f.State == Restoring && !allowStale {
		return f, restoring(f)
	}
	return f, nil
}

// writeAnswer writes data that other caches may keep for a second: as_of
// stands in it, so it says itself how old it is.
func writeAnswer(w http.ResponseWriter, a answer) {
	w.Header().Set("Cache-Control", "public, max-age=1")
	writeJSON(w, http.StatusOK, "application/json", a)
}

// writeJSON writes one indivisible answer: v is encoded before the first byte
// goes out, so a client never reads half of one under a good status.
func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // only our own plain structs get here
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	w.Write(body.Bytes())
}
