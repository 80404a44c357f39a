package bluesky

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestServersAreWhatTheirNamesSay(t *testing.T) {
	for text, want := range map[string]string{
		"jetstream.us-east.bsky.network": "jetstream.us-east.bsky.network wss://jetstream.us-east.bsky.network/xrpc/network.bsky.jetstream.subscribeEvents?" +
			"collections=app.bsky.feed.post&cursor=5&kinds=commit&kinds=account&maxMessageSizeBytes=9&zstdDictionary=7",
		"wss://a:1/subscribe":   "a:1 wss://a:1/subscribe?cursor=5&maxMessageSizeBytes=9&wantedCollections=app.bsky.feed.post",
		"http://u:p@a/b/":       "a/b ws://u:p@a/b/xrpc/network.bsky.jetstream.subscribeEvents?",
		"https://a/b/subscribe": "a/b wss://a/b/subscribe?",
		"ws://a/xrpc/network.bsky.jetstream.subscribeEvents": "a ws://a/xrpc/network.bsky.jetstream.subscribeEvents?",
	} {
		s, err := parseServer(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.name + " " + s.subscription(5, 9, &dictionary{id: 7}); !strings.HasPrefix(got, want) {
			t.Errorf("%s:\n%s, not\n%s", text, got, want)
		}
	}
}

func TestTurnsLeaveAloneWhoWantsIt(t *testing.T) {
	now := time.Now()
	rest := func(s int) *server { return &server{rest: now.Add(time.Duration(s) * time.Second)} }
	for name, test := range map[string]struct {
		rests []int
		i     int
		want  int
	}{
		"whose turn it is":    {[]int{0, 0, 0}, 1, 1},
		"the next that may":   {[]int{0, 9, 0}, 1, 2},
		"around the end":      {[]int{-1, 9, 9}, 1, 0},
		"the first to be let": {[]int{9, 7, 8}, 0, 1},
	} {
		turns := turns{i: test.i}
		for _, s := range test.rests {
			turns.all = append(turns.all, rest(s))
		}
		if got := turns.next(now); got != turns.all[test.want] || turns.i != test.want {
			t.Errorf("%s: %d", name, turns.i)
		}
	}
	one := turns{all: []*server{{name: "a", refused: errors.New("no")}, {name: "b"}}}
	if one.refusal() != nil {
		t.Error("one may still take it")
	}
}

func TestPlacesComeBack(t *testing.T) {
	for _, p := range []place{{5, ""}, {1787220000000001, "a.example:1/b"}} {
		if got, err := parsePlace(p.append(nil)); got != p || err != nil {
			t.Errorf("%+v: %+v, %v", p, got, err)
		}
	}
	for _, bad := range []string{"", "x", "-1", "5x a"} {
		if _, err := parsePlace([]byte(bad)); err == nil {
			t.Errorf("%q is a place", bad)
		}
	}
}

// FuzzPlaces: a cursor that is none is refused, one that is comes back as the
// place that it was. Numbers may be written in more than one way.
func FuzzPlaces(f *testing.F) {
	for _, value := range []string{"5", "1787220000000001 a.example:1/b", "+5 a", "007", "5 ", "5  a", "-1", "9223372036854775808", "\xff"} {
		f.Add([]byte(value))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		p, err := parsePlace(value)
		if err != nil {
			return
		}
		printed := p.append(nil)
		if again, err := parsePlace(printed); again != p || err != nil || p.time < 0 {
			t.Errorf("%q is %+v, printed as %q, which is %+v, %v", value, p, printed, again, err)
		}
		if _, server, _ := strings.Cut(string(value), " "); server != p.server {
			t.Errorf("the server in %q is %q", value, p.server)
		}
	})
}

func TestPlaceIsTheOldServersUntilTheNewOneHasSentAsMuch(t *testing.T) {
	now := time.UnixMicro(100)
	p := place{50, "a"}
	for _, step := range []struct {
		event int64
		want  place
	}{{40, place{50, "a"}}, {50, place{50, "b"}}, {45, place{50, "b"}}, {60, place{60, "b"}}, {1 << 60, place{100, "b"}}} {
		if p = p.behind(step.event, "b", now); p != step.want {
			t.Errorf("behind %d: %+v, not %+v", step.event, p, step.want)
		}
	}
}
