package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tagtide/tagtide/post"
)

// A village is a Mastodon server on which somebody posts, or edits what is
// there, a few times a second, from begin to end. Its clock goes faster, so that
// the two minutes that are read again do not hide what is lost.
type village struct {
	*httptest.Server
	stop chan struct{}
	done sync.WaitGroup

	mu      sync.Mutex
	r       *rand.Rand
	clock   time.Time
	edits   bool    // are made: who does not stream sees those of two minutes only
	toots   []*toot // by id
	streams map[chan string]bool
	asked   int  // for pages
	read    bool // to the end, since it was last set to false
}

// A toot has a hashtag of its own, and one that edits change.
type toot struct {
	id      int64
	tag     int
	created time.Time
	edited  time.Time // zero: never
}

func newVillage(t *testing.T, edits bool) *village {
	v := &village{edits: edits, clock: time.Now().Add(-time.Hour), stop: make(chan struct{}), r: rand.New(rand.NewPCG(8, 8)), streams: map[chan string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v2/instance", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"configuration":{}}`) })
	mux.HandleFunc("GET /api/v1/timelines/public", v.page)
	mux.HandleFunc("GET /api/v1/streaming/public", v.stream)
	v.Server = serveFake(t, mux)
	t.Cleanup(func() { v.end() })
	return v
}

func (v *village) page(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	const most = 40
	behind, _ := strconv.ParseInt(r.URL.Query().Get("min_id"), 10, 64)
	var page []string
	for _, s := range v.toots {
		if s.id > behind {
			page = append(page, s.json())
		}
	}
	if behind == 0 {
		page = page[max(len(page)-most, 0):]
	}
	page = page[:min(len(page), most)]
	v.asked++
	v.read = v.read || len(page) == 0
	slices.Reverse(page) // the newest first
	_, _ = io.WriteString(w, "["+strings.Join(page, ",")+"]")
}

func (v *village) stream(w http.ResponseWriter, r *http.Request) {
	events := make(chan string, 1000)
	v.mu.Lock()
	v.streams[events] = true
	v.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	for event := ":)\n\n"; r.Context().Err() == nil; {
		_, _ = io.WriteString(w, event)
		w.(http.Flusher).Flush()
		select {
		case event = <-events:
		case <-r.Context().Done():
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.streams, events)
}

// begin begins what happens.
func (v *village) begin() {
	v.done.Go(func() {
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				v.happen()
			case <-v.stop:
				return
			}
		}
	})
}

// happen lets a post be written or edited.
func (v *village) happen() {
	v.mu.Lock()
	defer v.mu.Unlock()
	name := "update"
	var s *toot
	if n := len(v.toots); v.edits && n > 0 && v.r.IntN(4) == 0 {
		s, name = v.toots[n-1-v.r.IntN(min(n, 4))], "status.update"
		s.edited = time.Now()
	} else {
		v.clock = v.clock.Add(5 * time.Second)
		s = &toot{id: v.clock.UnixMilli()<<16 + int64(n), created: v.clock}
		v.toots = append(v.toots, s)
	}
	s.tag = v.r.IntN(9)
	for events := range v.streams {
		events <- "event: " + name + "\ndata: " + s.json() + "\n\n"
	}
}

// end ends what happens, and returns how many posts are there by tag.
func (v *village) end() map[string]int64 {
	select {
	case <-v.stop:
	default:
		close(v.stop)
	}
	v.done.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.read = false
	byTag := map[string]int64{}
	for _, s := range v.toots {
		byTag[fmt.Sprintf("tag%d", s.tag)]++
		byTag[fmt.Sprintf("of%d", s.id)]++
	}
	return byTag
}

// pages is how many were asked for.
func (v *village) pages() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.asked
}

// until waits until something holds of the server.
func (v *village) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		v.mu.Lock()
		held := holds()
		v.mu.Unlock()
		if held {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// json is the post as the server shows it.
func (s *toot) json() string {
	edited := "null"
	if !s.edited.IsZero() {
		edited = strconv.Quote(s.edited.UTC().Format(time.RFC3339Nano))
	}
	return fmt.Sprintf(`{"id":"%d","created_at":%q,"edited_at":%s,"visibility":"public","uri":"https://village.example/%[1]d","content":"","reblog":null,"tags":[{"name":"tag%[4]d"},{"name":"of%[1]d"}]}`,
		s.id, s.created.UTC().Format(time.RFC3339Nano), edited, s.tag)
}

// TestKillNineLosesNoPostOfAServer: also in the first seconds of the first life,
// and before the pages have reached the stream, 3 s after it began.
func TestKillNineLosesNoPostOfAServer(t *testing.T) {
	for name, flags := range map[string][]string{"streaming": {"--token-file", tokenFile(t, secretToken)}, "polling": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, data := newVillage(t, flags != nil), t.TempDir()
			args := append([]string{"run", "--source", "mastodon", "--server", v.URL, "--data-dir", data, "--listen", "127.0.0.1:0"}, flags...)
			v.happen()
			first := launch(t, args...)
			eventually(t, first.said(`page on (http://\S+)`), "the first post", time.Minute, func(s stats) bool { return s.Data.Posts == 1 })
			first.kill() // its place is committed: from here on nothing may be lost
			v.begin()
			r := rand.New(rand.NewPCG(9, 9))
			for life := range 5 {
				before := v.pages()
				p := launch(t, args...)
				v.until(t, "a page", func() bool { return v.asked > before })
				time.Sleep(time.Duration(r.IntN(4000)) * time.Millisecond) // when it strikes must not be known
				p.kill()
				for range life % 2 * 60 { // more than a page
					v.happen()
				}
			}
			want := v.end()
			last := launch(t, args...)
			v.until(t, "the last page", func() bool { return v.read })
			last.stop()
			same(t, "counts", counted(t, mustDo(t, "run", "--once", "--source", "none", "--output", "ndjson", "--data-dir", data)), want)
			if again := repeats(t, "tweets", "--data-dir", data); again[post.Create] == 0 {
				t.Errorf("nothing came again: %v", again)
			}
			mustDo(t, "check", "--recount", "--data-dir", data)
		})
	}
}
