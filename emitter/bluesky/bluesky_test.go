package bluesky_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/emitter/bluesky"
	"github.com/tagtide/tagtide/emitter/bluesky/jetstreamtest"
)

func TestWhatHappensOnTheNetworkComesToTheTopic(t *testing.T) {
	at := hourAgo().UnixMicro()
	const did = "did:plc:a"
	events := []jetstreamtest.Event{
		{Time: at, DID: did, Op: "create", Rkey: "1", Tags: []string{"COVID19", "StayHome"}},
		{Time: at + 1, DID: did, Op: "identity"},
		{Time: at + 2, DID: did, Op: "update", Rkey: "1", Tags: []string{"Corona"}},
		{Time: at + 3, DID: did, Op: "delete", Rkey: "1"},
		{Time: at + 4, DID: did, Op: "deleted"},
		{Time: at + 5, DID: did, Op: "active"},
	}
	id := events[0].ID()
	want := []string{
		"create " + id + " #COVID19 #StayHome", "update " + id + " #Corona", "delete " + id,
		"gone " + did, "back " + did,
	}
	packed := jetstreamtest.Options{Dictionary: dictionary(t, 7)}
	for name, test := range map[string]struct {
		server jetstreamtest.Options
		path   string
		plain  bool
	}{
		"second":                            {server: packed},
		"second, plain":                     {server: packed, plain: true},
		"second, without a dictionary":      {},
		"first":                             {path: "/subscribe"},
		"first, plain":                      {path: "/subscribe", plain: true},
		"first, as the second is not there": {server: jetstreamtest.Options{Versions: []int{1}}},
	} {
		t.Run(name, func(t *testing.T) {
			s, l := jetstreamtest.New(t, test.server), openLog(t)
			s.Add(events...)
			o := fast(s.URL() + test.path)
			o.Plain = test.plain
			n := listen(t, l, o)
			awaitAll(t, l, want)
			if state := n.source.State(); state.Phase != emitter.Connected || state.Peer != s.Host() || state.Reconnects != 0 || state.Heard.IsZero() {
				t.Errorf("%+v", state)
			}
			q := s.Queries()[len(s.Queries())-1]
			if packs := q.Get("zstdDictionary") != ""; packs != (name == "second") {
				t.Errorf("asked for packed frames: %v", packs)
			}
		})
	}
}

func TestSamplesAreUnderstood(t *testing.T) {
	const did = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"
	const id = "at://" + did + "/app.bsky.feed.post/3mt000000002b"
	for version, want := range map[string][]string{
		"1": {"create " + id + " #COVID19 #StayHome #covid19", "update " + id + " #Corona", "delete " + id, "gone " + did},
		"2": {"create " + id + " #COVID19 #StayHome #covid19", "delete " + id, "gone " + did},
	} {
		data, err := os.ReadFile("testdata/jetstream_v" + version + ".jsonl")
		if err != nil {
			t.Fatal(err)
		}
		s, l := jetstreamtest.New(t, jetstreamtest.Options{}), openLog(t)
		for line := range strings.Lines(string(data)) {
			s.Add(jetstreamtest.Event{Time: hourAgo().UnixMicro(), Raw: strings.TrimSpace(line)})
		}
		n := listen(t, l, fast(s.URL()+map[string]string{"1": "/subscribe", "2": ""}[version]))
		awaitAll(t, l, want)
		if version == "2" { // it ends with an error
			until(t, "the error is told", func() bool { return strings.Contains(n.source.State().Problem, "ConsumerTooSlow") })
		}
		n.stop()
	}
}

// TestOverlaps: little on the same server, much on another, nothing the first
// time.
func TestConnectionsBeginBeforeTheCommittedPlace(t *testing.T) {
	from := hourAgo()
	all := posts(from, 0, 20)
	var servers []*jetstreamtest.Server
	for range 2 {
		s := jetstreamtest.New(t, jetstreamtest.Options{})
		s.Add(all...)
		servers = append(servers, s)
	}
	l := openLog(t)
	for i, s := range []*jetstreamtest.Server{servers[0], servers[0], servers[1]} {
		o := fast(s.URL())
		o.Overlap, o.Handover = 5*time.Millisecond, 15*time.Millisecond
		o.Replay = time.Since(from) + time.Second
		n := listen(t, l, o)
		want := []int{20, 20 + 6, 20 + 6 + 16}[i]
		until(t, "the overlap is read again", func() bool { return len(records(t, l)) >= want })
		n.stop()
		if got := len(records(t, l)); got != want {
			t.Errorf("time %d: %d records, want %d", i, got, want)
		}
	}
	if n := awaitAll(t, l, asRecords(all)); n != 22 {
		t.Errorf("%d repeated", n)
	}
}

func TestTheFirstTimeNothingIsLostThatCameAfterTheStart(t *testing.T) {
	reached := make(chan struct{})
	s := jetstreamtest.New(t, jetstreamtest.Options{Before: func(c *jetstreamtest.Conn, i int) bool {
		if c.N == 1 {
			close(reached)
			return c.Hang()
		}
		return true
	}})
	s.Add(posts(hourAgo(), 0, 3)...)
	l, o := openLog(t), fast(s.URL())
	o.Replay = 0
	n := listen(t, l, o)
	<-reached
	late := posts(time.Now(), 0, 3)
	s.Add(late...)
	n.stop()
	listen(t, l, o)
	if besides := awaitAll(t, l, asRecords(late)); besides != 0 {
		t.Errorf("%d from before the start", besides)
	}
}

func TestDamagedFramesAreDeadLetters(t *testing.T) {
	s, l := jetstreamtest.New(t, jetstreamtest.Options{}), openLog(t)
	at := hourAgo()
	around := posts(at, 0, 2)
	s.Add(around[0], jetstreamtest.Event{Time: at.UnixMicro(), Raw: `{"$type":"message","payload":`},
		jetstreamtest.Event{Time: at.UnixMicro(), Raw: "\x00"}, around[1])
	listen(t, l, fast(s.URL()))
	awaitAll(t, l, asRecords(around))
	letters := 0
	for _, one := range records(t, l) {
		if strings.HasPrefix(one, "letter ") {
			letters++
		}
	}
	if letters != 2 {
		t.Errorf("%d dead letters", letters)
	}
}

// TestOutOfOrderAndRepeatedEvents: the place never goes back, and what came
// late is there.
func TestOutOfOrderAndRepeatedEvents(t *testing.T) {
	at := hourAgo()
	all := posts(at, 0, 40)
	mixed := slices.Clone(all)
	for i := 0; i+7 < len(mixed); i += 3 {
		mixed[i], mixed[i+7] = mixed[i+7], mixed[i]
	}
	mixed = append(mixed, mixed[10:30]...)
	s := jetstreamtest.New(t, jetstreamtest.Options{Before: func(c *jetstreamtest.Conn, i int) bool {
		return c.N > 8 || i < 9
	}})
	s.Add(mixed...)
	l, o := openLog(t), fast(s.URL())
	listen(t, l, o)
	awaitAll(t, l, asRecords(all))
	last := int64(0)
	for _, q := range s.Queries()[1:] {
		cursor := place(t, q)
		if cursor < last {
			t.Errorf("went back from %d to %d", last, cursor)
		}
		last = cursor
	}
}

func TestAllServersRefusingIsAnError(t *testing.T) {
	refuse := jetstreamtest.Options{Answer: func(n int, w http.ResponseWriter, r *http.Request) bool {
		jetstreamtest.Refuse(w, http.StatusBadRequest, "InvalidRequest", "no such collection")
		return true
	}}
	a, b := jetstreamtest.New(t, refuse), jetstreamtest.New(t, refuse)
	n := listen(t, openLog(t), fast(a.URL(), b.URL()))
	<-n.ended
	if n.err == nil || !strings.Contains(n.err.Error(), "no such collection") || !strings.Contains(n.err.Error(), b.Host()) {
		t.Errorf("%v", n.err)
	}
	if state := n.source.State(); state.Phase != emitter.Stopped || !strings.Contains(state.Problem, "no such collection") {
		t.Errorf("%+v", state)
	}
}

func TestServersThatCannotBeUnderstoodAreRefused(t *testing.T) {
	for _, bad := range []string{"", "ftp://a", "wss://", "wss://a?b=c", "wss://a:b:c", "a b", "wss://user:secret@ a"} {
		if _, err := bluesky.New(bluesky.Options{Servers: []string{bad}}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, good := range append(bluesky.Public(), "localhost:1", "https://a/b/", "ws://user:p@a/subscribe") {
		if _, err := bluesky.New(bluesky.Options{Servers: []string{good}}); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}
