package mastodon_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/emitter/live"
	"github.com/tagtide/tagtide/emitter/mastodon"
)

// respond is an answer that says the same to everybody.
func respond(code int, kind, body string, headers ...string) func(int, http.ResponseWriter, *http.Request) bool {
	return func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", kind)
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
		return true
	}
}

// first lets an answer stand for the first n requests only.
func first(most int, f func(int, http.ResponseWriter, *http.Request) bool) func(int, http.ResponseWriter, *http.Request) bool {
	return func(n int, w http.ResponseWriter, r *http.Request) bool { return n <= most && f(n, w, r) }
}

// passing are answers that pass by themselves, and what State says of them.
var passing = map[string]struct {
	answer  func(int, http.ResponseWriter, *http.Request) bool
	problem string
}{
	"503":            {respond(503, "text/html", "<html>"), "503"},
	"500 with words": {respond(500, "application/json", `{"error":"oh dear"}`), "oh dear"},
	"HTML":           {respond(200, "text/html", "<html>"), "text/html"},
	"429":            {respond(429, "application/json", `{"error":"Too many requests"}`), "429"},
	"403 by a proxy": {respond(403, "text/html", "<html>"), "403"},
	"another host":   {respond(302, "text/plain", "", "Location", "https://elsewhere.example/"), "elsewhere.example"},
	"cut before it":  {func(int, http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, "EOF"},
	"the token echoed": {func(n int, w http.ResponseWriter, r *http.Request) bool {
		return respond(500, "application/json", fmt.Sprintf(`{"error":%q}`, r.Header.Get("Authorization")))(n, w, r)
	}, "500"},
}

// Whatever a server answers, the posts arrive when it has come to itself.
func TestABadAnswerIsAskedForAgain(t *testing.T) {
	for name, c := range passing {
		for _, open := range []bool{false, true} { // stream, poll
			t.Run(fmt.Sprintf("%s, polling %v", name, open), func(t *testing.T) {
				s := newServer(t)
				s.open = open
				o := options(t, s)
				if open {
					o.Token = ""
					s.onPage = first(3, c.answer)
				} else {
					s.onStream = first(3, c.answer)
				}
				l := openLog(t, t.TempDir())
				r := start(t, l, o)
				s.post(1, 2, 3)
				want(t, l, s)
				until(t, "word of it", func() bool { // the posts may have come by the pages, before a stream was refused
					st := r.source.State()
					return st.Reconnects > 0 && strings.Contains(st.Problem, c.problem)
				})
				if st := r.source.State(); strings.Contains(st.Problem, token) {
					t.Errorf("%+v", st)
				}
				r.stop(t)
			})
		}
	}
}

// A stream that works is kept, whatever happens to the pages before it.
func TestAGapThatCannotBeFilledDoesNotEndTheStream(t *testing.T) {
	for name, c := range passing {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.post(1)
			l := openLog(t, t.TempDir())
			r := start(t, l, options(t, s))
			want(t, l, s)
			r.stop(t)
			s.do(func() { s.pages, s.onPage = nil, first(3, c.answer) })
			r = start(t, l, options(t, s))
			s.until("a stream", func() bool { return len(s.streams) > 0 })
			s.post(2)
			want(t, l, s)
			if st := r.source.State(); st.Reconnects != 0 {
				t.Errorf("%+v", st)
			}
			r.stop(t)
		})
	}
}

// What only a person can mend ends the run, with words that say what to do.
func TestARefusalEndsTheRun(t *testing.T) {
	unauthorized := respond(401, "application/json", `{"error":"The access token was revoked"}`)
	both := func(a string) string {
		return fmt.Sprintf(`{"configuration":{"timelines_access":{"live_feeds":{"local":%q,"remote":%q}}}}`, a, a)
	}
	for name, c := range map[string]struct {
		set  func(s *server, o *mastodon.Options)
		want string
	}{
		"no token for pages":   {func(_ *server, o *mastodon.Options) { o.Token = "" }, "--token-file"},
		"a wrong token":        {func(_ *server, o *mastodon.Options) { o.Token = "wrong" }, "Invalid access token"},
		"a revoked token":      {func(s *server, _ *mastodon.Options) { s.onStream = unauthorized }, "revoked"},
		"401 without words":    {func(s *server, _ *mastodon.Options) { s.onStream = respond(401, "text/html", "") }, "401"},
		"revoked at the pages": {func(s *server, _ *mastodon.Options) { s.onPage = unauthorized }, "revoked"},
		"the wrong scope": {func(s *server, _ *mastodon.Options) {
			s.onPage = respond(403, "application/json", `{"error":"This action is outside the authorized scopes"}`)
		}, "read:statuses"},
		"users only, as older servers say it": {func(s *server, o *mastodon.Options) {
			o.Token, s.onPage = "", respond(422, "application/json", `{"error":"This method requires an authenticated user"}`)
		}, "--token-file"},
		"disabled":           {func(s *server, _ *mastodon.Options) { s.instance = both("disabled") }, "disabled"},
		"disabled, no token": {func(s *server, o *mastodon.Options) { o.Token, s.instance = "", both("disabled") }, "disabled"},
		"users only":         {func(s *server, o *mastodon.Options) { o.Token, s.instance = "", both("authenticated") }, "--token-file"},
		"no server":          {func(_ *server, o *mastodon.Options) { o.Server = "" }, "no name of a server"},
		"a path":             {func(_ *server, o *mastodon.Options) { o.Server = "social.example/@somebody" }, "no name of a server"},
		"no encryption":      {func(_ *server, o *mastodon.Options) { o.Server = "http://social.example" }, "https"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			o := options(t, s)
			c.set(s, &o)
			r := start(t, openLog(t, t.TempDir()), o)
			err := <-r.ended
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), o.Server) || strings.Contains(err.Error(), token) {
				t.Errorf("got %v", err)
			}
			if st := r.source.State(); st.Phase != emitter.Stopped || !strings.Contains(st.Problem, c.want) {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestATokenThatIsRevokedInMidLifeEndsTheRunWithAllThatCameBefore(t *testing.T) {
	s := newServer(t)
	l := openLog(t, t.TempDir())
	r := start(t, l, options(t, s))
	connected(t, s, r, 1)
	s.post(1, 2)
	s.do(func() { s.onStream = respond(401, "application/json", `{"error":"Invalid access token"}`) })
	s.cut("")
	if err := <-r.ended; err == nil || !strings.Contains(err.Error(), "Invalid access token") {
		t.Errorf("got %v", err)
	}
	want(t, l, s)
}

// Nothing that comes is nothing that comes, also if a proxy has promised it.
func TestSilenceIsNoticed(t *testing.T) {
	held := func(text string) func(int, http.ResponseWriter, *http.Request) bool {
		return func(_ int, w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, text)
			_ = http.NewResponseController(w).Flush()
			return hold(r)
		}
	}
	for name, c := range map[string]struct{ said, problem string }{
		"a proxy that keeps it":      {"", "proxy"},
		"a stream that falls silent": {":)\n", "silent"},
		"in the middle of an event":  {":)\nevent: update\ndata: {\"id\"", "silent"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.onStream = s.outside(first(1, held(c.said)))
			o := options(t, s)
			o.Silence = 50 * time.Millisecond
			l := openLog(t, t.TempDir())
			r := start(t, l, o)
			s.until("another stream", func() bool { return s.connects > 1 })
			s.post(1)
			want(t, l, s)
			if st := r.source.State(); !strings.Contains(st.Problem, c.problem) {
				t.Errorf("%+v", st)
			}
			r.stop(t)
		})
	}
}

// hold answers nothing more until the client has gone.
func hold(r *http.Request) bool {
	<-r.Context().Done()
	return true
}

func TestTheServerIsGivenTheTimeItAsksFor(t *testing.T) {
	for name, headers := range map[string][]string{
		"Retry-After": {"Retry-After", "1"},
		"reset":       {"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "2026-08-20T10:00:01.500000Z", "Date", "Thu, 20 Aug 2026 10:00:00 GMT"},
	} {
		for _, open := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, polling %v", name, open), func(t *testing.T) {
				t.Parallel()
				s := newServer(t)
				s.open = open
				o := options(t, s)
				if open {
					o.Token = ""
				}
				var asked []time.Time
				s.onPage = func(n int, w http.ResponseWriter, r *http.Request) bool {
					asked = append(asked, time.Now())
					return n == 1 && respond(429, "application/json", `{"error":"Too many requests"}`, headers...)(n, w, r)
				}
				l := openLog(t, t.TempDir())
				r := start(t, l, o)
				s.post(1)
				s.until("two pages", func() bool { return len(asked) > 1 })
				if waited := asked[1].Sub(asked[0]); waited < time.Second {
					t.Errorf("it came again after %v", waited)
				}
				want(t, l, s)
				r.stop(t)
			})
		}
	}
}

func TestTheLastRequestThatIsLeftIsNotFollowedByAnother(t *testing.T) {
	s := newServer(t)
	s.open = true
	o := options(t, s)
	o.Token = ""
	var asked []time.Time
	s.onPage = func(n int, w http.ResponseWriter, _ *http.Request) bool {
		asked = append(asked, time.Now())
		w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(2-n))
		w.Header().Set("X-RateLimit-Reset", time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano))
		w.Header()["Date"] = nil
		return false
	}
	r := start(t, openLog(t, t.TempDir()), o)
	s.until("three pages", func() bool { return len(asked) > 2 })
	if waited := asked[2].Sub(asked[1]); waited < 900*time.Millisecond {
		t.Errorf("it came again after %v", waited)
	}
	r.stop(t)
}

// A line of 100 MB is one dead letter, and what comes behind it arrives.
func TestAHostileLineIsADeadLetter(t *testing.T) {
	s := newServer(t)
	chunk := strings.Repeat("x", 1<<20)
	s.onStream = s.outside(first(1, func(_ int, w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, ":)\nevent: update\ndata: ")
		for range 100 {
			_, _ = io.WriteString(w, chunk)
		}
		_, _ = io.WriteString(w, "\n\n"+eventOf("update", `{"tagtide":1,"source":"x","id":"1","tags":["a"]}`)+eventOf("delete", "../1")+
			eventOf("update", s.json(status{id: 5, tags: 5})))
		_ = http.NewResponseController(w).Flush()
		return hold(r)
	}))
	l := openLog(t, t.TempDir())
	r := start(t, l, options(t, s))
	until(t, "all messages", func() bool { return r.source.Progress().Done == 4 })
	r.stop(t)
	got := topic(t, l)
	if len(got.letters) != 3 || len(got.tags) != 1 || got.tags[s.uri(5)] != "tag5" {
		t.Errorf("%v and letters %q", got.tags, got.letters)
	}
	if st := r.source.State(); st.Reconnects != 0 {
		t.Errorf("%+v", st)
	}
}

// noToken is where tests log to.
type noToken struct{ t testing.TB }

func (n noToken) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(token)) {
		n.t.Errorf("the log has the token: %s", line)
	}
	return len(line), nil
}

// options are those of a source in a hurry.
func options(t testing.TB, s *server) mastodon.Options {
	return mastodon.Options{
		Server: s.host(), Token: token, Logger: slog.New(slog.NewTextHandler(noToken{t}, nil)), Timeout: 10 * time.Second,
		Retry: live.Schedule{First: time.Millisecond, Factor: 2, Max: 20 * time.Millisecond},
		Pace:  time.Millisecond, Poll: time.Millisecond,
	}
}
