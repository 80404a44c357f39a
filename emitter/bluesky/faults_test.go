package bluesky_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/emitter/bluesky/jetstreamtest"
)

func place(t testing.TB, q url.Values) int64 {
	t.Helper()
	cursor, err := strconv.ParseInt(q.Get("cursor"), 10, 64)
	if err != nil {
		t.Fatalf("no cursor in %v", q)
	}
	return cursor
}

// TestNothingIsLost: two servers, of which each breaks off in mid-frame when it
// likes to, one whose clock is another one; and an emitter that dies at any
// moment without committing what it has, and comes back.
func TestNothingIsLostWhereverItIsCut(t *testing.T) {
	const n = 1500
	from := time.Now().Add(-time.Hour)
	var servers []*jetstreamtest.Server
	var cuts atomic.Int64
	for i := range 2 {
		var mu sync.Mutex
		rnd := rand.New(rand.NewPCG(1, uint64(i)))
		s := jetstreamtest.New(t, jetstreamtest.Options{Dictionary: dictionary(t, 7), Before: func(c *jetstreamtest.Conn, _ int) bool {
			mu.Lock()
			dice := rnd.IntN(400)
			mu.Unlock()
			if dice < 2 {
				cuts.Add(1)
			}
			switch dice {
			case 0:
				return c.Cut([]byte(`{"$type":"message","payload":{}}`))
			case 1:
				return c.Fail("ConsumerTooSlow", "client is too far behind the live tip")
			}
			return true
		}})
		s.Add(posts(from.Add(time.Duration(i)*300*time.Millisecond), 0, n)...)
		servers = append(servers, s)
	}
	l := openLog(t)
	o := fast(servers[0].URL(), servers[1].URL()+"/subscribe")
	o.Overlap, o.Handover = 20*time.Millisecond, time.Second
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 12 {
		e := listen(t, l, o, func(o *emitter.Options) { o.Stream.StopTimeout = 1 })
		select {
		case <-time.After(time.Duration(rnd.IntN(30)) * time.Millisecond): // the moment is the test's, not what it waits for
		case <-e.ended:
		}
		e.stop()
	}
	listen(t, l, o)
	awaitAll(t, l, asRecords(posts(from, 0, n)))
	if cuts.Load() == 0 {
		t.Error("nothing was cut")
	}
}

func TestSilentServerIsLeftForTheNext(t *testing.T) {
	silent := jetstreamtest.New(t, jetstreamtest.Options{Deaf: true, Before: func(c *jetstreamtest.Conn, i int) bool {
		return i < 1 || c.Hang()
	}})
	next := jetstreamtest.New(t, jetstreamtest.Options{})
	all := posts(hourAgo(), 0, 5)
	silent.Add(all...)
	next.Add(all...)
	l, o := openLog(t), fast(silent.URL(), next.URL())
	o.Silence = 200 * time.Millisecond
	n := listen(t, l, o)
	awaitAll(t, l, asRecords(all))
	if problem := n.source.State().Problem; problem != "the connection is silent: nothing came for 200ms" {
		t.Errorf("%q", problem)
	}
}

func TestQuietServersThatAreAliveAreKept(t *testing.T) {
	for name, options := range map[string]jetstreamtest.Options{
		"pings":         {Ping: 50 * time.Millisecond},
		"answers pings": {},
	} {
		t.Run(name, func(t *testing.T) {
			s := jetstreamtest.New(t, options)
			o := fast(s.URL())
			o.Silence = time.Second
			n := listen(t, openLog(t), o)
			heard := map[time.Time]bool{}
			until(t, "there are signs of life", func() bool {
				heard[n.source.State().Heard] = true
				return len(heard) > 6
			})
			if state := n.source.State(); state.Reconnects != 0 || len(s.Queries()) != 1 {
				t.Errorf("%+v", state)
			}
		})
	}
}

// answers is an Answer to the first n requests for streams.
func answers(n int, status int, header, value, body string) func(int, http.ResponseWriter, *http.Request) bool {
	return func(i int, w http.ResponseWriter, _ *http.Request) bool {
		if i < 1 || i > n {
			return false
		}
		if header != "" {
			w.Header().Set(header, value)
		}
		http.Error(w, body, status)
		return true
	}
}

func TestServerThatIsAskedTooOftenIsLeftAlone(t *testing.T) {
	s := jetstreamtest.New(t, jetstreamtest.Options{Answer: answers(1, http.StatusTooManyRequests, "Retry-After", "1", "slow down")})
	all := posts(hourAgo(), 0, 3)
	s.Add(all...)
	l, began := openLog(t), time.Now()
	n := listen(t, l, fast(s.URL()))
	awaitAll(t, l, asRecords(all))
	if took := time.Since(began); took < time.Second {
		t.Errorf("it was left alone for %v", took)
	}
	if state := n.source.State(); state.Problem != "HTTP 429 Too Many Requests: slow down" || state.Reconnects != 1 {
		t.Errorf("%+v", state)
	}
}

func TestNextServerIsTriedAtOnceWhenOneIsUnwell(t *testing.T) {
	wrong := jetstreamtest.Options{Subprotocol: "xrpc.v9.cbor"}
	for name, options := range map[string]jetstreamtest.Options{
		"HTTP 503":            {Answer: answers(9, http.StatusServiceUnavailable, "Retry-After", "3600", `{"error":"ServiceUnavailable","message":"later"}`)},
		"HTTP 429":            {Answer: answers(9, http.StatusTooManyRequests, "Retry-After", "3600", "")},
		"HTTP 400":            {Answer: answers(9, http.StatusBadRequest, "", "", `{"error":"InvalidRequest"}`)},
		"HTTP 200":            {Answer: answers(9, http.StatusOK, "", "", "<html>")},
		"xrpc.v9.cbor":        wrong,
		"more than 4194304 b": {Before: func(c *jetstreamtest.Conn, _ int) bool { c.Flood(nil, 5<<20); return false }},
		"binary frame":        {Before: func(c *jetstreamtest.Conn, _ int) bool { return c.SendBinary([]byte("x")) }},
		"policy-violation":    {Before: func(c *jetstreamtest.Conn, _ int) bool { return c.Close("policy-violation") }},
	} {
		t.Run(name, func(t *testing.T) {
			unwell, well := jetstreamtest.New(t, options), jetstreamtest.New(t, jetstreamtest.Options{})
			all := posts(hourAgo(), 0, 3)
			well.Add(all...)
			unwell.Add(all...)
			l := openLog(t)
			n := listen(t, l, fast(unwell.URL(), well.URL()))
			awaitAll(t, l, asRecords(all))
			if state := n.source.State(); !strings.Contains(state.Problem, name) || state.Peer != well.Host() || state.Reconnects != 1 {
				t.Errorf("%+v", state)
			}
		})
	}
}

func TestWhatIsTooOldIsToldAndReadingGoesOn(t *testing.T) {
	at := hourAgo()
	for name, test := range map[string]struct {
		strict bool
		path   string
	}{"HTTP 400 CursorTooOld": {strict: true}, "OutdatedCursor": {}, "silently": {path: "/subscribe"}} {
		t.Run(name, func(t *testing.T) {
			l, out := openLog(t), &logged{}
			before := jetstreamtest.New(t, jetstreamtest.Options{})
			early := posts(at.Add(-10*time.Minute), 0, 3)
			before.Add(early...)
			n := listen(t, l, fast(before.URL()))
			awaitAll(t, l, asRecords(early))
			n.stop()

			after := jetstreamtest.New(t, jetstreamtest.Options{Floor: at.UnixMicro(), Strict: test.strict})
			lost, late := posts(at.Add(-5*time.Minute), 10, 3), posts(at, 20, 3)
			after.Add(append(lost, late...)...)
			o := fast(after.URL() + test.path)
			o.Logger = out.logger()
			listen(t, l, o)
			awaitAll(t, l, asRecords(late))
			if !out.has("posts are lost") || !out.has("lost=10m0s") {
				t.Errorf("it was not told what is lost: %s", out.buf.String())
			}
		})
	}
}

func TestHeldBackSourceGoesOnWhenItIsLet(t *testing.T) {
	const n = 2000
	all := posts(hourAgo(), 0, n)
	for i := range all {
		for j := range 7 {
			all[i].Tags = append(all[i].Tags, strings.Repeat("x", 60)+strconv.Itoa(j))
		}
	}
	s := jetstreamtest.New(t, jetstreamtest.Options{Before: func(c *jetstreamtest.Conn, i int) bool {
		if c.N < 3 && i == n/3 {
			return c.Fail("ConsumerTooSlow", "client is too far behind the live tip")
		}
		return true
	}})
	s.Add(all...)
	l, o := openLog(t), fast(s.URL())
	o.Silence, o.Overlap = 300*time.Millisecond, 20*time.Millisecond
	var gated atomic.Int64
	open := make(chan struct{})
	e := listen(t, l, o, func(o *emitter.Options) {
		o.Gate = func(ctx context.Context) error {
			if gated.Add(1) < 3 {
				return nil
			}
			select {
			case <-open:
			case <-ctx.Done():
			}
			return ctx.Err()
		}
	})
	until(t, "the source is held back", func() bool { return gated.Load() >= 3 })
	held := time.Now()
	until(t, "it is so for longer than silence", func() bool { return time.Since(held) > 2*o.Silence })
	if state := e.source.State(); strings.Contains(state.Problem, "silent") {
		t.Errorf("%+v", state)
	}
	close(open)
	awaitAll(t, l, asRecords(all))
}

func TestHostileFrameIsNotHeldAndOvertaken(t *testing.T) {
	const huge = 100 << 20
	at := hourAgo()
	all := posts(at, 0, 6)
	head := fmt.Sprintf(`{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#commit","seq":9,"did":"did:plc:a","time":%q,"rev":"`,
		time.UnixMicro(all[2].Time+1).UTC().Format(time.RFC3339Nano))
	var taken atomic.Int64
	s := jetstreamtest.New(t, jetstreamtest.Options{Before: func(c *jetstreamtest.Conn, i int) bool {
		if cursor, _ := strconv.ParseInt(c.Query.Get("cursor"), 10, 64); cursor <= all[2].Time+1 && i == 3 {
			taken.Store(int64(c.Flood([]byte(head), huge)))
			return false
		}
		return true
	}})
	s.Add(all...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	l := openLog(t)
	n := listen(t, l, fast(s.URL()))
	awaitAll(t, l, append(asRecords(all), "letter the frame has more than 4194304 bytes"))
	runtime.ReadMemStats(&after)
	if state := n.source.State(); state.Reconnects != 1 {
		t.Errorf("%+v", state)
	}
	if taken.Load() == huge {
		t.Error("all of it was read")
	}
	if held := after.TotalAlloc - before.TotalAlloc; held > huge {
		t.Errorf("%d bytes were allocated", held)
	}
}

func TestDictionariesThatChange(t *testing.T) {
	all := posts(hourAgo(), 0, 3)
	t.Run("unknown: fetched again", func(t *testing.T) {
		var fetched atomic.Int64
		s := jetstreamtest.New(t, jetstreamtest.Options{Dictionary: dictionary(t, 9), Answer: func(n int, w http.ResponseWriter, _ *http.Request) bool {
			if n == 0 && fetched.Add(1) == 1 {
				_, _ = w.Write(dictionary(t, 8))
				return true
			}
			return false
		}})
		checkPacked(t, s, all, "8", "9")
	})
	t.Run("never known: plain", func(t *testing.T) {
		s := jetstreamtest.New(t, jetstreamtest.Options{Dictionary: dictionary(t, 9), Answer: func(n int, w http.ResponseWriter, _ *http.Request) bool {
			if n == 0 {
				_, _ = w.Write(dictionary(t, 8))
			}
			return n == 0
		}})
		checkPacked(t, s, all, "8", "8", "")
	})
	t.Run("of frames another: plain", func(t *testing.T) {
		s := jetstreamtest.New(t, jetstreamtest.Options{Dictionary: dictionary(t, 9), Before: func(c *jetstreamtest.Conn, _ int) bool {
			return c.N > 1 || c.SendBinary([]byte("\x28\xb5\x2f\xfd\x21\x08\x01\x01\x00\x00x"))
		}})
		checkPacked(t, s, all, "9", "")
	})
	t.Run("not one: plain", func(t *testing.T) {
		s := jetstreamtest.New(t, jetstreamtest.Options{Dictionary: []byte("<html>not found</html>")})
		checkPacked(t, s, all, "")
	})
	t.Run("too large: plain", func(t *testing.T) {
		s := jetstreamtest.New(t, jetstreamtest.Options{Dictionary: append(dictionary(t, 9), make([]byte, 1<<20)...)})
		checkPacked(t, s, all, "")
	})
}

// checkPacked listens to a server and checks which dictionaries it was asked
// for, one after the other.
func checkPacked(t *testing.T, s *jetstreamtest.Server, all []jetstreamtest.Event, want ...string) {
	t.Helper()
	s.Add(all...)
	l := openLog(t)
	listen(t, l, fast(s.URL()))
	awaitAll(t, l, asRecords(all))
	var got []string
	for _, q := range s.Queries() {
		got = append(got, q.Get("zstdDictionary"))
	}
	if strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("asked for %q, not %q", got, want)
	}
}
