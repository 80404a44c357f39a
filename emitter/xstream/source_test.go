package xstream

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/post"
)

// A sink keeps what it gets.
type sink struct {
	mu      sync.Mutex
	posts   []string // id and tags
	notices []string
	letters []emitter.Letter
	errors  []string
	changed chan struct{}
}

func newSink() *sink { return &sink{changed: make(chan struct{}, 1)} }

func (s *sink) Cursors(context.Context, string) (map[string][]byte, error) { return nil, nil }

func (s *sink) Send(_ context.Context, b emitter.Block) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var d post.Decoder
	var p post.Post
	for i := range b.Len() {
		result, err := b.Decode(i, &d, &p)
		switch {
		case err != nil:
			l := b.Letter(i)
			l.Data = bytes.Clone(l.Data)
			s.letters, s.errors = append(s.letters, l), append(s.errors, err.Error())
		case result.Kind == post.KindPost && p.Op == post.Update:
			s.posts = append(s.posts, fmt.Sprintf("edited%s", p.Tags))
		case result.Kind == post.KindPost:
			s.posts = append(s.posts, fmt.Sprintf("%s%s", p.ID, p.Tags))
		default:
			s.notices = append(s.notices, result.Notice)
		}
	}
	if name, _ := b.Cursor(b.Len()); name != "" {
		return fmt.Errorf("a cursor %q", name)
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return nil
}

// A run is a source that listens to a fake.
type run struct {
	*Source
	t     testing.TB
	fake  *fakeX
	sink  *sink
	waits []time.Duration // before each try
	logs  *logs
	stop  context.CancelFunc
	done  chan error
}

// logs keeps what is logged.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start runs a source. It does not sleep, and stops after maxTries.
func start(t testing.TB, f *fakeX, o Options) *run {
	const maxTries = 40
	r := &run{t: t, fake: f, sink: newSink(), logs: &logs{}, done: make(chan error, 1)}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	r.stop = cancel
	if o.Token == "" {
		o.Token = goodToken
	}
	if o.Track == nil {
		o.Track = []string{"pandemic"}
	}
	if o.Silence == 0 {
		o.Silence = 10 * time.Second
	}
	o.Server, o.Logger = f.URL, slog.New(slog.NewTextHandler(r.logs, nil))
	o.Sleep = func(ctx context.Context, d time.Duration) error {
		if r.waits = append(r.waits, d); len(r.waits) > maxTries {
			return fmt.Errorf("%d tries", maxTries)
		}
		return ctx.Err()
	}
	r.Source = New(o)
	go func() { r.done <- r.Run(ctx, r.sink) }()
	t.Cleanup(func() {
		cancel()
		if strings.Contains(r.logs.String(), goodToken) || strings.Contains(r.State().Problem, goodToken) {
			t.Error("the token is told")
		}
	})
	return r
}

// until waits for the posts, ends the run, and returns the waits before each
// try, without their jitter, in the steps in which they are told.
func (r *run) until(posts ...string) {
	r.t.Helper()
	for {
		r.sink.mu.Lock()
		got := len(r.sink.posts)
		r.sink.mu.Unlock()
		if got >= len(posts) {
			break
		}
		select {
		case <-r.sink.changed:
		case err := <-r.done:
			r.t.Fatalf("ended: %v\n%s", err, r.logs)
		}
	}
	r.stop()
	if err := <-r.done; err != context.Canceled {
		r.t.Errorf("ended by %v", err)
	}
	if got := fmt.Sprint(r.sink.posts); got != fmt.Sprint(posts) {
		r.t.Errorf("got %s, want %s", got, posts)
	}
}

// failed waits for the end of the run, and returns why.
func (r *run) failed() string {
	r.t.Helper()
	err := <-r.done
	if err == nil || r.State().Phase != emitter.Stopped || r.State().Problem != err.Error() {
		r.t.Errorf("%v, and the state %+v", err, r.State())
	}
	return fmt.Sprint(err)
}

// waited checks the waits before each try. Jitter adds up to a half.
func (r *run) waited(want ...time.Duration) {
	r.t.Helper()
	if len(r.waits) != len(want) {
		r.t.Fatalf("waited %v, want %v", r.waits, want)
	}
	for i, w := range want {
		if r.waits[i] < w || r.waits[i] > w+w/2 {
			r.t.Errorf("waited %v, want %v", r.waits, want)
		}
	}
}

func tweet(id int, tags ...string) string {
	var list []string
	for _, tag := range tags {
		list = append(list, `{"tag":"`+tag+`"}`)
	}
	return fmt.Sprintf(`{"data":{"id":"%d","text":"secret words","entities":{"hashtags":[%s]}},"matching_rules":[{"id":"1"}]}`, id, strings.Join(list, ","))
}

func TestSampleIsReadAndTheStreamBegunAgain(t *testing.T) {
	sample, err := os.ReadFile("testdata/x_v2_filtered_stream.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	f := newFakeX(t, then(part(string(sample)), waits), then(says(tweet(5)), waits))
	r := start(t, f, Options{})
	r.until("1900000000000000001[COVID19 StayHome]", "1900000000000000002[COVID19 StayHome]", "1900000000000000003[LongCovid]",
		"edited[Covid19]", "5[]")
	if fmt.Sprint(r.sink.notices) != "[errors]" || len(r.sink.letters) > 0 {
		t.Errorf("%v %v", r.sink.notices, r.sink.errors)
	}
	if p := r.State().Problem; !strings.Contains(p, "operational reasons") || !strings.Contains(p, "posts since") {
		t.Errorf("problem %q", p)
	}
	if !strings.Contains(r.logs.String(), "what was posted meanwhile is lost") {
		t.Errorf("%s", r.logs)
	}
	r.waited(0)
}

func TestWhatIsCutIsNotCounted(t *testing.T) {
	whole := tweet(2, "b")
	f := newFakeX(t,
		then(says(tweet(1, "a")), part(whole[:30]), cut),
		then(says("", whole, "", tweet(1, "a"), tweet(4), tweet(3)), cut),
		then(says(), cut),
		then(says(tweet(5)), waits))
	r := start(t, f, Options{})
	r.until("1[a]", "2[b]", "1[a]", "4[]", "3[]", "5[]")
	r.waited(0, 250*time.Millisecond, 750*time.Millisecond) // the last one had no answer at all
	if r.State().Reconnects != 3 {
		t.Errorf("%+v", r.State())
	}
}

func TestSilenceIsNoticed(t *testing.T) {
	f := newFakeX(t, then(says(tweet(1), ""), waits), func(c *connection) { <-c.r.Context().Done() }, then(says(tweet(2)), waits))
	r := start(t, f, Options{Silence: 100 * time.Millisecond})
	r.until("1[]", "2[]")
	if len(r.waits) < 2 || !strings.Contains(r.State().Problem, "nothing came for 100ms") {
		t.Errorf("%v %+v", r.waits, r.State())
	}
}

func TestAConnectionThatHeldIsBegunAgainAtOnce(t *testing.T) {
	now := make(chan time.Time, 1)
	now <- time.Unix(1e9, 0)
	runs := make(chan *run, 1)
	lasting := func(c *connection) {
		c.send(tweet(1) + "\r\n")
		r := <-runs
		for r.Progress().Done != r.State().Reconnects+1 && c.r.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		runs <- r
		now <- (<-now).Add(holds)
		c.send("\r\n")
	}
	f := newFakeX(t, lasting, lasting, lasting, then(says(tweet(1)), waits))
	r := start(t, f, Options{Now: func() time.Time {
		at := <-now
		now <- at
		return at
	}})
	runs <- r
	r.until("1[]", "1[]", "1[]", "1[]")
	r.waited(0, 0, 0)
}

// Each answer has its own schedule, and the stream goes on after it.
func TestWaitsAsXAsks(t *testing.T) {
	clock := time.Unix(1_800_000_000, 0)
	in := func(d time.Duration) string { return fmt.Sprint(clock.Add(d).Unix()) }
	second, minute := time.Second, time.Minute
	for name, c := range map[string]struct {
		answer visit
		waits  []time.Duration
		says   string
	}{
		"503":                     {answers(503, `<html>oops`), []time.Duration{5 * second, 10 * second, 20 * second}, "Service Unavailable"},
		"500 and a problem":       {answers(500, `{"title":"Internal Error","detail":"it broke","type":"about:blank"}`), []time.Duration{5 * second}, "it broke"},
		"429":                     {answers(429, `{"errors":[{"code":88,"message":"Rate limit exceeded"}]}`), []time.Duration{minute, 2 * minute}, "Rate limit exceeded"},
		"429 and when it ends":    {answers(429, ``, "x-rate-limit-remaining", "0", "x-rate-limit-reset", in(7*minute)), []time.Duration{7 * minute, 7 * minute}, "Too Many"},
		"429, ended, it seems":    {answers(429, ``, "x-rate-limit-remaining", "0", "x-rate-limit-reset", in(-minute)), []time.Duration{minute, 2 * minute}, ""},
		"429, ends never":         {answers(429, ``, "x-rate-limit-remaining", "0", "x-rate-limit-reset", in(1e6*time.Hour)), []time.Duration{minute}, ""},
		"429 of something else":   {answers(429, ``, "x-rate-limit-remaining", "12", "x-rate-limit-reset", in(7*minute)), []time.Duration{minute}, ""},
		"too many connections":    {answers(429, tooMany, "x-rate-limit-remaining", "40"), []time.Duration{5 * second, 10 * second}, "one connection for each app"},
		"used up":                 {answers(429, usedUp), []time.Duration{time.Hour, time.Hour}, "Monthly product cap"},
		"no credits":              {answers(402, `{"title":"CreditsDepleted"}`), []time.Duration{time.Hour}, "credits"},
		"used up in the stream":   {says(usedUp), []time.Duration{time.Hour}, "Monthly product cap"},
		"too many, in the stream": {says(`{"errors":[` + tooMany + `]}`), []time.Duration{5 * second}, "one connection for each app"},
		"operational disconnect":  {then(says(operational), waits), []time.Duration{0, 250 * time.Millisecond}, "operational reasons"},
		"without its wrapping":    {then(says(operational[11:len(operational)-2]), waits), []time.Duration{0}, "operational reasons"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := make([]visit, len(c.waits))
			for i := range script {
				script[i] = c.answer
			}
			f := newFakeX(t, append(script, then(says(tweet(1)), waits))...)
			r := start(t, f, Options{Now: func() time.Time { return clock }})
			r.until("1[]")
			r.waited(c.waits...)
			if !strings.Contains(r.State().Problem, c.says) || !strings.Contains(r.logs.String(), "not connected to X") || len(r.sink.letters) > 0 {
				t.Errorf("problem %q, letters %q", r.State().Problem, r.sink.errors)
			}
		})
	}
}

func TestXIsAway(t *testing.T) {
	f := newFakeX(t)
	f.Close()
	r := start(t, f, Options{})
	if said := r.failed(); said != "40 tries" {
		t.Errorf("ended by %q", said)
	}
	if r.waits[0] < 250*time.Millisecond || r.waits[1] < 500*time.Millisecond || r.waits[39] < 10*time.Second {
		t.Errorf("%v", r.waits)
	}
}

func TestWhatAPersonMustMendEndsRun(t *testing.T) {
	for name, c := range map[string]struct {
		answer visit
		o      Options
		says   string
	}{
		"a wrong token":       {nil, Options{Token: "wrong"}, "X does not accept the token"},
		"a token with a line": {nil, Options{Token: "AAAA\nBBBB"}, "nothing else"},
		"an app without access": {answers(403, `{"title":"Client Forbidden","detail":"enroll","reason":"client-not-enrolled","type":"https://api.x.com/2/problems/client-forbidden"}`),
			Options{}, "enroll (the token is sound"},
		"an answer with the token in it": {answers(403, `{"detail":"no access for `+goodToken+`"}`), Options{}, "no access for (the token)"},
		"another server":                 {answers(404, ``), Options{}, "--server"},
		"a redirection":                  {answers(302, ``, "Location", "https://example.com"), Options{}, "302"},
		"bad parameters": {answers(400, `{"errors":[{"parameters":{"expansions":["x"]},"message":"The query parameter [expansions] is not allowed"}],"title":"Invalid Request","detail":"One or more parameters to your request was invalid.","type":"https://api.x.com/2/problems/invalid-request"}`),
			Options{}, "[expansions] is not allowed"},
		"no access, in the stream": {says(`{"errors":[{"title":"Forbidden","detail":"not any more","type":"https://api.x.com/2/problems/client-forbidden"}]}`), Options{}, "not any more"},
		"no phrase":                {nil, Options{Track: []string{}}, "--track"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, newFakeX(t, c.answer), c.o)
			if said := r.failed(); !strings.Contains(said, c.says) {
				t.Errorf("ended by %q", said)
			}
		})
	}
}

func TestServers(t *testing.T) {
	for server, want := range map[string]string{
		"api.x.com":               "https://api.x.com",
		"http://127.0.0.1:8080/":  "http://127.0.0.1:8080",
		"https://proxy.example/x": "https://proxy.example/x",
		"ftp://x":                 "", "https://a:b@x": "", "https://x?y=z": "", "https://": "", "::": "",
	} {
		got, err := ServerName(server)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q %v", server, got, err)
		}
	}
}

func TestHostileLinesAreRefusedAndTheStreamGoesOn(t *testing.T) {
	const secret = "secret words"
	huge := func(size int) visit {
		return func(c *connection) {
			c.send(`{"data":{"id":"9","text":"` + secret)
			chunk := strings.Repeat("x", 1<<20)
			for range size >> 20 {
				c.send(chunk)
			}
			c.send("\r\n")
		}
	}
	f := newFakeX(t, then(says(tweet(1)), huge(100<<20), says("\x00\xff", "{}", `{"data":{"id":"2","text":"`+secret, "[1]", tweet(3)), waits))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := start(t, f, Options{})
	r.until("1[]", "3[]")
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 64<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	var shapes []string
	for _, l := range r.sink.letters {
		shapes = append(shapes, fmt.Sprintf("%s %d %v", l.Data, l.Cut>>20, l.From == f.URL+streamPath))
	}
	if want := []string{`{"data":{"id":"","text": 100 true`, ` 0 true`, `{} 0 true`, `{"data":{"id":"","text": 0 true`, `[1] 0 true`}; !slices.Equal(shapes, want) {
		t.Errorf("the dead letters are %q, want %q", shapes, want)
	}
	if strings.Contains(fmt.Sprint(r.sink.letters, r.sink.errors, r.logs), "secret") {
		t.Error("text is told")
	}
}

func TestFramesOfTheEmulatorAreRead(t *testing.T) {
	f := newFakeX(t, then(part(": keep-alive\n\ndata: "+tweet(1)+"\n\n: keep-alive\n\ndata:\n\n"+tweet(2)+"\n"), waits))
	r := start(t, f, Options{})
	r.until("1[]", "2[]")
	if len(r.sink.letters) > 0 {
		t.Errorf("%q", r.sink.errors)
	}
}

func TestPackedStreamsAreRead(t *testing.T) {
	f := newFakeX(t, func(c *connection) {
		if c.r.Header.Get("Accept-Encoding") != "gzip" {
			t.Error("gzip is not asked for")
		}
		c.w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(c.w)
		fmt.Fprint(z, tweet(1)+"\r\n\r\n")
		_ = z.Flush()
		waits(c)
	})
	start(t, f, Options{}).until("1[]")
}

// A sink that holds back stops the reading, which is no silence of X.
func TestASlowSinkIsNoSilence(t *testing.T) {
	t.Parallel()
	const silence = 500 * time.Millisecond
	var lines []string
	for range 100 {
		lines = append(lines, tweet(1, strings.Repeat("long", 10<<10))) // more than waits for the sink
	}
	f := newFakeX(t, then(says(lines...), says(tweet(2)), waits))
	s := New(Options{Server: f.URL, Token: goodToken, Track: articles, Silence: silence, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	slow := &slowSink{first: 2 * silence, all: len(lines) + 1, done: cancel}
	if err := s.Run(ctx, slow); err != context.Canceled || s.State().Reconnects > 0 || slow.got != slow.all {
		t.Errorf("%v %+v, got %d", err, s.State(), slow.got)
	}
}

// slowSink takes its time for the first block.
type slowSink struct {
	sink
	first time.Duration
	all   int
	got   int
	done  func() // called when all was got
}

func (s *slowSink) Send(_ context.Context, b emitter.Block) error {
	if s.got == 0 {
		time.Sleep(s.first)
	}
	if s.got += b.Len(); s.got == s.all {
		s.done()
	}
	return nil
}

// errSink fails.
type errSink struct{ sink }

func (*errSink) Send(context.Context, emitter.Block) error { return errors.New("the log is full") }

func TestAnErrorOfTheSinkEndsRun(t *testing.T) {
	f := newFakeX(t, then(says(tweet(1)), waits))
	s := New(Options{Server: f.URL, Token: goodToken, Track: articles, Logger: slog.New(slog.DiscardHandler)})
	if err := s.Run(t.Context(), &errSink{}); err == nil || err.Error() != "the log is full" {
		t.Error(err)
	}
}
