package mastodon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const token = "a-token-that-nobody-may-see"

// A server speaks Mastodon's protocol, as far as it concerns us, on this
// machine. What it is to do wrong stands in its fields, which tests set before
// anybody connects, or under its lock.
type server struct {
	*httptest.Server
	t testing.TB

	mu       sync.Mutex
	changed  *sync.Cond
	statuses []status // by id
	streams  map[*subscriber]bool
	pages    []string // min_id of the requests for pages
	connects int      // to the stream
	filled   int      // the number of the stream before which a page was empty last
	asked    []string // paths and queries
	ended    bool

	// instance is what it says of itself.
	instance string
	// onStream and onPage, if set, answer the n-th request, from 1, instead of
	// the server, and say whether they did.
	onStream, onPage func(n int, w http.ResponseWriter, r *http.Request) bool
	// open: it shows its timeline without a token.
	open bool
}

type status struct {
	id, tags int // tags: the hashtags are of this number
	edits    int
	deleted  bool
}

// A subscriber is a stream that is connected.
type subscriber struct {
	events []string // to be written
	cut    bool     // ended after those
}

func newServer(t testing.TB) *server {
	s := &server{t: t, streams: map[*subscriber]bool{}, instance: `{"configuration":{}}`}
	s.changed = sync.NewCond(&s.mu)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v2/instance", s.serveInstance)
	mux.HandleFunc("GET /api/v1/timelines/public", s.servePage)
	mux.HandleFunc("GET /api/v1/streaming/public", s.serveStream)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.note(r)
		mux.ServeHTTP(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.end)
	return s
}

// end ends all streams, and the server.
func (s *server) end() {
	s.do(func() { s.ended = true })
	s.CloseClientConnections()
	s.Close()
}

// do changes the server under its lock.
func (s *server) do(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.changed.Broadcast()
}

// note looks at what no request may do.
func (s *server) note(r *http.Request) {
	s.do(func() { s.asked = append(s.asked, r.URL.RequestURI()) })
	if strings.Contains(r.URL.String(), token) || !strings.HasPrefix(r.UserAgent(), "tagtide") {
		s.t.Errorf("a request of %q for %s", r.UserAgent(), r.URL)
	}
}

func (s *server) host() string { return s.Listener.Addr().String() }

func answer(w http.ResponseWriter, code int, body string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, body)
}

func (s *server) serveInstance(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.instance == "" {
		answer(w, http.StatusNotFound, `{"error":"Record not found"}`)
		return
	}
	answer(w, http.StatusOK, s.instance)
}

// outside lets an answer that takes its time be given without the lock.
func (s *server) outside(f func(int, http.ResponseWriter, *http.Request) bool) func(int, http.ResponseWriter, *http.Request) bool {
	return func(n int, w http.ResponseWriter, r *http.Request) bool {
		s.mu.Unlock()
		defer s.mu.Lock()
		return f(n, w, r)
	}
}

// let tells whether a request may come in, and else answers it.
func (s *server) let(w http.ResponseWriter, r *http.Request, open bool) bool {
	switch auth := r.Header.Get("Authorization"); {
	case auth == "Bearer "+token, auth == "" && open:
		return true
	case auth == "":
		answer(w, http.StatusUnauthorized, `{"error":"Missing access token"}`)
	default:
		answer(w, http.StatusUnauthorized, `{"error":"Invalid access token"}`)
	}
	return false
}

func (s *server) servePage(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	behind := r.URL.Query().Get("min_id")
	s.pages = append(s.pages, behind)
	s.changed.Broadcast()
	if f := s.onPage; f != nil && f(len(s.pages), w, r) || !s.let(w, r, s.open) {
		return
	}
	min, _ := strconv.Atoi(behind)
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	var page []string
	for _, st := range s.statuses {
		if st.id > min && !st.deleted {
			page = append(page, s.json(st))
		}
	}
	if len(page) > limit {
		if behind == "" {
			page = page[len(page)-limit:]
		}
		page = page[:limit]
	}
	if len(page) == 0 {
		s.filled = s.connects
	}
	slices.Reverse(page) // the newest first
	answer(w, http.StatusOK, "["+strings.Join(page, ",")+"]")
}

func (s *server) serveStream(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connects++
	s.changed.Broadcast()
	if f := s.onStream; f != nil && f(s.connects, w, r) || !s.let(w, r, false) {
		return
	}
	defer context.AfterFunc(r.Context(), func() { s.do(func() {}) })()
	sub := &subscriber{events: []string{":)\n"}}
	s.streams[sub] = true
	defer delete(s.streams, sub)
	w.Header().Set("Content-Type", "text/event-stream")
	for r.Context().Err() == nil && !s.ended {
		if len(sub.events) == 0 {
			if sub.cut {
				panic(http.ErrAbortHandler) // as a cable does
			}
			s.changed.Wait()
			continue
		}
		text := strings.Join(sub.events, "")
		sub.events = nil
		s.mu.Unlock()
		_, _ = io.WriteString(w, text)
		_ = http.NewResponseController(w).Flush()
		s.mu.Lock()
	}
}

// send writes to all streams.
func (s *server) send(text string) {
	s.do(func() { s.broadcast(text) })
}

func (s *server) broadcast(text string) {
	for sub := range s.streams {
		if !sub.cut {
			sub.events = append(sub.events, text)
		}
	}
}

// cut ends all streams, in the middle of what is given.
func (s *server) cut(middle string) {
	s.do(func() {
		s.broadcast(middle)
		for sub := range s.streams {
			sub.cut = true
		}
	})
}

func (s *server) uri(id int) string {
	return fmt.Sprintf("https://social.example/users/a/statuses/%d", id)
}

// json is a status as the server shows it.
func (s *server) json(st status) string {
	edited := any(nil)
	if st.edits > 0 {
		edited = time.Date(2026, 8, 20, 11, 0, st.edits, 0, time.UTC).Format(time.RFC3339)
	}
	text, err := json.Marshal(map[string]any{
		"id": strconv.Itoa(st.id), "created_at": "2026-08-20T10:00:00.000Z", "visibility": "public", "language": "en",
		"uri": s.uri(st.id), "edited_at": edited, "content": fmt.Sprintf("<p>a post #tag%d</p>", st.tags), "reblog": nil,
		"account": map[string]any{"id": "7", "acct": "a", "bot": false}, "mentions": []any{},
		"tags": []any{map[string]any{"name": fmt.Sprintf("tag%d", st.tags)}},
	})
	if err != nil {
		s.t.Error(err)
	}
	return string(text)
}

func eventOf(name, data string) string { return "event: " + name + "\ndata: " + data + "\n\n" }

// post publishes statuses of these ids.
func (s *server) post(ids ...int) {
	s.do(func() {
		for _, id := range ids {
			st := status{id: id, tags: id % 7}
			s.insert(st)
			s.broadcast(eventOf("update", s.json(st)))
		}
	})
}

// insert adds a status in its place.
func (s *server) insert(st status) {
	at, _ := slices.BinarySearchFunc(s.statuses, st, func(a, b status) int { return a.id - b.id })
	s.statuses = slices.Insert(s.statuses, at, st)
}

// edit changes the hashtag of a status.
func (s *server) edit(id, tags int) {
	s.do(func() {
		st := s.find(id)
		st.tags, st.edits = tags, st.edits+1
		s.broadcast(eventOf("status.update", s.json(*st)))
	})
}

// remove deletes a status.
func (s *server) remove(id int) {
	s.do(func() {
		s.find(id).deleted = true
		s.broadcast(eventOf("delete", strconv.Itoa(id)))
	})
}

func (s *server) has(id int) bool {
	return slices.ContainsFunc(s.statuses, func(st status) bool { return st.id == id })
}

func (s *server) find(id int) *status {
	i := slices.IndexFunc(s.statuses, func(st status) bool { return st.id == id })
	return &s.statuses[i]
}

// until waits until something holds of the server.
func (s *server) until(what string, holds func() bool) {
	s.t.Helper()
	deadline := time.AfterFunc(20*time.Second, func() { s.do(func() { s.ended = true }) })
	defer deadline.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !holds() {
		if s.ended {
			s.t.Fatalf("it never came: %s", what)
		}
		s.changed.Wait()
	}
}
