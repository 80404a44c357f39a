package bluesky

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tagtide/tagtide/emitter/live"
)

// A server as we know it so far.
type server struct {
	name     string  // for places and people; holds no secret
	base     url.URL // ws or wss, without the path of a protocol
	first    bool    // it is spoken to in the first version
	settled  bool    // that is known
	plain    bool    // its packed frames could not be read
	stale    bool    // it did not know a dictionary that was its own
	packing  *dictionary
	rest     time.Time // until when it wants to be left alone
	refused  error     // what it does not take, as long as it takes nothing
	overtake int64     // a place behind a frame that was refused; 0: none was
}

const (
	pathFirst      = "/subscribe"
	pathSecond     = "/xrpc/network.bsky.jetstream.subscribeEvents"
	pathDictionary = "/xrpc/network.bsky.jetstream.getZstdDictionary"
	collection     = "app.bsky.feed.post"
)

// ServerName returns the name of a server, which is in cursors: its host and
// path, the same however one of [Options.Servers] is spelled. An error says what
// is wrong with it, without quoting it.
func ServerName(text string) (string, error) {
	s, err := parseServer(text)
	if err != nil {
		return "", err
	}
	return s.name, nil
}

// parseServer parses a host or URL.
func parseServer(text string) (*server, error) {
	u, err := live.ParseServer(text, "wss")
	if err != nil {
		return nil, err
	}
	s := &server{base: url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host}}
	switch u.Scheme {
	case "ws", "wss":
	case "http":
		s.base.Scheme = "ws"
	case "https":
		s.base.Scheme = "wss"
	default:
		return nil, fmt.Errorf("servers of Bluesky speak wss, ws, https and http, not %s", u.Scheme)
	}
	path := u.Path
	if path, s.first = strings.CutSuffix(path, pathFirst); !s.first {
		path, s.settled = strings.CutSuffix(path, pathSecond)
	}
	s.settled = s.settled || s.first
	s.base.Path = path
	s.name = u.Host + path
	return s, nil
}

// subscription is the URL to listen at.
func (s *server) subscription(cursor int64, maxFrame int, packing *dictionary) string {
	u, q := s.base, url.Values{"maxMessageSizeBytes": {strconv.Itoa(maxFrame)}}
	if cursor > 0 {
		q.Set("cursor", strconv.FormatInt(cursor, 10))
	}
	if s.first {
		u.Path += pathFirst
		q.Set("wantedCollections", collection)
	} else {
		u.Path += pathSecond
		q["kinds"] = []string{"commit", "account"}
		q.Set("collections", collection)
		if packing != nil {
			q.Set("zstdDictionary", strconv.FormatUint(uint64(packing.id), 10))
		}
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// dictionaryURL is where its dictionary is to be had.
func (s *server) dictionaryURL() string {
	u := s.base
	u.Scheme = map[string]string{"ws": "http", "wss": "https"}[u.Scheme]
	u.Path += pathDictionary
	return u.String()
}

// turns are servers that are tried in turn.
type turns struct {
	all []*server
	i   int // whose turn it is
}

// turn gives the turn to the next.
func (t *turns) turn() { t.i = (t.i + 1) % len(t.all) }

// next gives the turn to the first, from the one whose turn it is, that does
// not want to be left alone; if all do, to the one that wants to least long.
func (t *turns) next(now time.Time) *server {
	best := t.i
	for i := range t.all {
		i = (t.i + i) % len(t.all)
		if !t.all[i].rest.After(now) {
			best = i
			break
		}
		if t.all[i].rest.Before(t.all[best].rest) {
			best = i
		}
	}
	t.i = best
	return t.all[best]
}

// refusal is what the servers say, if none of them takes what we ask for.
func (t *turns) refusal() error {
	var all []error
	for _, s := range t.all {
		if s.refused == nil {
			return nil
		}
		all = append(all, fmt.Errorf("%s: %w", s.name, s.refused))
	}
	return errors.Join(all...)
}
