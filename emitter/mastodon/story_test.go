package mastodon_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/stream"
)

// id is that of a status written so many milliseconds after noon.
func id(ms int) int { return (1787220000000+ms)<<16 + ms%50 }

// A server and its reader have a bad day: connections break, also in the middle
// of an event, the reader is stopped and killed, posts of other servers come
// late, with ids between those that are there. At its end nothing is missing.
//
//	server  ──post──post──edit──cut──post──post──(40 of them)──post──cut──▶
//	reader  ════════════╳ killed   ══════════╳ stopped  ═══════════════════▶
func TestNoPostIsLostOnABadDay(t *testing.T) {
	for _, open := range []bool{false, true} { // stream, poll
		for seed := range uint64(2) {
			t.Run(fmt.Sprintf("polling %v, seed %d", open, seed), func(t *testing.T) {
				d := &day{t: t, server: newServer(t), random: rand.New(rand.NewPCG(seed, 0)), open: open, dir: t.TempDir()}
				d.server.open = open
				d.start()
				for range 40 {
					d.step()
				}
				d.check()
				d.run.stop(t)
			})
		}
	}
}

// A day is one on which much happens.
type day struct {
	t      *testing.T
	server *server
	random *rand.Rand
	open   bool
	dir    string
	log    *stream.Log
	run    *run
	clock  int // milliseconds
}

func (d *day) start() {
	d.log = openLog(d.t, d.dir)
	o := options(d.t, d.server)
	if d.open {
		o.Token = ""
	}
	d.run = start(d.t, d.log, o)
	if d.clock == 0 { // what was before we first came is not ours
		d.post(1)
		want(d.t, d.log, d.server)
	}
}

// post publishes statuses, of which some were written a while ago.
func (d *day) post(n int) {
	ids := make([]int, n)
	for i := range ids {
		d.clock += 1 + d.random.IntN(300) // so that a burst is shorter than what pages go back
		ids[i] = id(d.clock)
		if d.random.IntN(5) == 0 {
			ids[i] -= d.random.IntN(60_000) << 16
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	d.server.do(func() { ids = slices.DeleteFunc(ids, func(id int) bool { return d.server.has(id) }) })
	d.random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	d.server.post(ids...)
}

func (d *day) step() {
	switch d.random.IntN(12) {
	case 0:
		d.post(1 + d.random.IntN(130)) // more than a page, or three
	case 1:
		d.server.cut("")
	case 2:
		d.server.cut("event: update\ndata: {\"id\":\"1")
	case 3:
		d.server.send(":thump\n")
	case 4:
		d.run.stop(d.t)
		d.post(d.random.IntN(50))
		_ = d.log.Close()
		d.start()
	case 5: // as after kill -9: what is not committed is gone
		_ = d.log.Close()
		d.post(1 + d.random.IntN(50)) // so that it is noticed
		<-d.run.ended
		d.post(d.random.IntN(50))
		d.start()
	case 6:
		want(d.t, d.log, d.server) // quiet, for a moment
	default:
		d.post(1 + d.random.IntN(3))
	}
}

// check waits until nothing is missing.
func (d *day) check() {
	d.t.Helper()
	want(d.t, d.log, d.server)
	if got := topic(d.t, d.log); len(got.letters) > 0 {
		d.t.Errorf("letters %q", got.letters)
	}
}

func TestAGapIsFilledPageByPage(t *testing.T) {
	s := newServer(t)
	l := openLog(t, t.TempDir())
	s.post(id(0))
	r := start(t, l, options(t, s))
	want(t, l, s)
	connected(t, s, r, 1) // else a page is still asked for
	r.stop(t)
	var ids []int
	for i := range 95 {
		ids = append(ids, id(60*60_000+i))
	}
	s.do(func() { s.pages = nil })
	s.post(ids...)
	r = start(t, l, options(t, s))
	want(t, l, s)
	s.until("the last page", func() bool { return len(s.pages) == 4 })
	r.stop(t)
	behind := []string{fmt.Sprint(id(-2*60_000) >> 16 << 16), fmt.Sprint(ids[38]), fmt.Sprint(ids[78]), fmt.Sprint(ids[94])}
	if !slices.Equal(s.pages, behind) {
		t.Errorf("pages behind %q, want %q", s.pages, behind)
	}
	if got := topic(t, l); got.records != 97 { // the first one once more: nobody remembers
		t.Errorf("%d records", got.records)
	}
}

// As long as pages are missing the cursor does not follow the stream, so that
// the next life fills the rest of the gap.
func TestAStopBeforeTheGapIsFilledLosesNothing(t *testing.T) {
	s := newServer(t)
	l := openLog(t, t.TempDir())
	s.post(id(0))
	r := start(t, l, options(t, s))
	want(t, l, s)
	r.stop(t)
	s.post(id(1000), id(2000)) // while nobody listens
	s.do(func() { s.onPage = respond(503, "text/html", "") })
	r = start(t, l, options(t, s))
	s.until("a stream", func() bool { return len(s.streams) > 0 })
	for next, n := time.Now(), 0; len(topic(t, l).tags) < 2; { // a stream may be given up before it is read
		if time.Now().After(next) {
			s.post(id(24*60*60_000 + n*1000))
			next, n = time.Now().Add(200*time.Millisecond), n+1
		}
	}
	r.stop(t)
	s.do(func() { s.onPage = nil })
	r = start(t, l, options(t, s))
	want(t, l, s)
	r.stop(t)
}

// The first life has nothing to come back to but where it began: that it commits
// before anything else, also on a server that has no posts yet.
func TestAKillInTheFirstSecondsLosesNothing(t *testing.T) {
	for name, before := range map[string][]int{"a server with posts": {id(0)}, "a new server": nil} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.post(before...)
			o := options(t, s)
			o.Pace = time.Hour // so that the pages before the stream are never read
			dir := t.TempDir()
			l := openLog(t, dir)
			r := start(t, l, o)
			s.until("a stream", func() bool { return len(s.streams) > 0 })
			s.post(id(1000))
			want(t, l, s)
			_ = l.Close()
			s.post(id(2000)) // so that it is noticed
			<-r.ended
			for i := range 2 * 40 { // two pages
				s.post(id(3000 + i))
			}
			l = openLog(t, dir)
			r = start(t, l, options(t, s))
			want(t, l, s)
			r.stop(t)
		})
	}
}

// Deletes that were missed are missed; edits that were missed are seen if the
// post is in the pages.
func TestAnEditInAGapIsSeen(t *testing.T) {
	s := newServer(t)
	l := openLog(t, t.TempDir())
	s.post(id(0), id(1))
	r := start(t, l, options(t, s))
	want(t, l, s)
	r.stop(t)
	s.edit(id(0), 66)
	r = start(t, l, options(t, s))
	want(t, l, s)
	r.stop(t)
}

// Whoever polls asks for the last minutes again and again, and hands over each
// version of a post once.
func TestPollingRepeatsNothing(t *testing.T) {
	s := newServer(t)
	s.open = true
	o := options(t, s)
	o.Token = ""
	l := openLog(t, t.TempDir())
	r := start(t, l, o)
	s.post(id(0), id(1), id(100))
	want(t, l, s)
	s.post(id(50))
	s.edit(id(1), 77)
	want(t, l, s)
	turns := 0
	s.do(func() { turns = len(s.pages) })
	s.until("more turns", func() bool { return len(s.pages) > turns+10 })
	r.stop(t)
	if got := topic(t, l); got.records != 5 {
		t.Errorf("%d records: %q", got.records, got.ops)
	}
	if st := r.source.State(); st.Reconnects != 0 {
		t.Errorf("%+v", st)
	}
}

func TestEventsThatComeTwiceOrLateDoNotMoveTheCursorBack(t *testing.T) {
	s := newServer(t)
	l := openLog(t, t.TempDir())
	s.post(id(0))
	o := options(t, s)
	o.Overlap = time.Millisecond
	r := start(t, l, o)
	want(t, l, s)
	connected(t, s, r, 1)
	s.post(id(1000))
	s.post(id(500)) // late
	s.do(func() { s.broadcast(eventOf("update", s.json(*s.find(id(0))))) })
	s.edit(id(500), 3)
	s.remove(id(500))
	s.post(id(600))
	want(t, l, s)
	r.stop(t)
	s.do(func() { s.pages = nil })
	r = start(t, l, o)
	s.until("a page", func() bool { return len(s.pages) > 0 })
	if s.pages[0] != fmt.Sprint(id(999)>>16<<16) {
		t.Errorf("it goes on behind %s, want %d", s.pages[0], id(999))
	}
	r.stop(t)
}

// The stream may be on another host. It gets the token, and nobody else does.
func TestTheStreamIsLookedForWhereTheServerSays(t *testing.T) {
	s, other := newServer(t), newServer(t)
	l := openLog(t, t.TempDir())
	s.instance = fmt.Sprintf(`{"configuration":{"urls":{"streaming":"ws://%s"}}}`, other.host())
	r := start(t, l, options(t, s))
	other.until("a stream", func() bool { return len(other.streams) > 0 })
	s.until("a page", func() bool { return len(s.pages) > 0 })
	other.post(id(0))
	want(t, l, other)
	r.stop(t)
	if s.connects > 0 || len(other.pages) > 0 {
		t.Errorf("%d streams and %d pages of the wrong server", s.connects, len(other.pages))
	}
}

func TestAServerOfBeforeMastodon4IsItsOwnStream(t *testing.T) {
	s := newServer(t)
	s.instance = ""
	l := openLog(t, t.TempDir())
	r := start(t, l, options(t, s))
	s.post(1)
	want(t, l, s)
	s.until("a stream", func() bool { return len(s.streams) > 0 })
	r.stop(t)
}

func TestAServerWithoutAStreamIsPolled(t *testing.T) {
	s := newServer(t)
	s.onStream = respond(404, "application/json", `{"error":"Not found"}`)
	l := openLog(t, t.TempDir())
	r := start(t, l, options(t, s))
	s.post(1)
	want(t, l, s)
	until(t, "a connection", func() bool { return r.source.State().Phase == emitter.Connected })
	r.stop(t)
}

func TestNoOtherHostIsAskedForWhatAServerSaysLiesThere(t *testing.T) {
	s, other := newServer(t), newServer(t)
	s.onStream = respond(307, "text/plain", "", "Location", other.URL+"/api/v1/streaming/public")
	r := start(t, openLog(t, t.TempDir()), options(t, s))
	until(t, "a problem", func() bool { return strings.Contains(r.source.State().Problem, other.host()) })
	r.stop(t)
	if len(other.asked) > 0 {
		t.Errorf("it was asked for %q", other.asked)
	}
}

func TestOverTLSTheTokenIsNotSentWithoutEncryption(t *testing.T) {
	s := newServer(t)
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "timelines") {
			answer(w, 200, "[]")
			return
		}
		answer(w, 200, fmt.Sprintf(`{"configuration":{"urls":{"streaming":"ws://%s"}}}`, s.host()))
	}))
	defer secure.Close()
	o := options(t, s)
	o.Server, o.Transport = secure.URL, secure.Client().Transport
	r := start(t, openLog(t, t.TempDir()), o)
	until(t, "a problem", func() bool { return strings.Contains(r.source.State().Problem, "without encryption") })
	r.stop(t)
	if len(s.asked) > 0 {
		t.Errorf("it asked for %q", s.asked)
	}
}
