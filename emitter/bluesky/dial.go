package bluesky

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"

	"github.com/tagtide/tagtide/emitter/live"
)

const (
	subprotocol = "xrpc.v1.json"
	// window is what servers have of the past, less a margin.
	window = 35 * time.Hour
	// avoided is how long a server is left alone that does not take what we
	// ask for.
	avoided = 10 * time.Minute
)

// connect connects a reader to its server, and changes what it asks for if the
// server knows better.
func (s *Source) connect(ctx context.Context, r *reader) error {
	const most = 4 // changes: of version, place, and twice the packing
	cursor := s.cursor(r.server)
	for changes := 0; ; changes++ {
		packing := s.packing(ctx, r.server)
		conn, resp, err := s.dial(ctx, r, r.server.subscription(cursor, s.o.MaxFrame, packing))
		if err == nil {
			r.server.settled, r.server.refused = true, nil
			return r.use(conn, packing)
		}
		if resp == nil || resp.StatusCode == http.StatusSwitchingProtocols {
			return r.watch.Why(unwrapURL(err))
		}
		body, _ := io.ReadAll(resp.Body) // the beginning; what is missing of it would only be shown
		no := parseRefusal(body)
		if changes < most && s.change(r, resp.StatusCode, no, &cursor) {
			continue
		}
		return s.refused(r.server, resp, no)
	}
}

// cursor is where a connection to a server begins.
func (s *Source) cursor(srv *server) int64 {
	overlap := s.o.Handover
	if s.place.server == srv.name {
		overlap = s.o.Overlap
	} else if s.place.server == "" {
		overlap = 0
	}
	return max(s.place.time-overlap.Microseconds(), srv.overtake)
}

func (s *Source) dial(ctx context.Context, r *reader, to string) (*websocket.Conn, *http.Response, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.Handshake, fmt.Errorf("no answer within %v", s.o.Handshake))
	defer cancel()
	o := &websocket.DialOptions{
		HTTPClient:     s.client,
		HTTPHeader:     http.Header{"User-Agent": {s.o.UserAgent}},
		OnPingReceived: func(context.Context, []byte) bool { r.heard(); return true },
		OnPongReceived: func(context.Context, []byte) { r.heard() },
	}
	if !r.server.first {
		o.Subprotocols = []string{subprotocol}
	} else if !s.o.Plain {
		o.CompressionMode = websocket.CompressionContextTakeover
	}
	conn, resp, err := websocket.Dial(ctx, to, o)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return conn, resp, err
}

// change changes what is asked for by what the server answered, and tells
// whether that is worth a try.
func (s *Source) change(r *reader, status int, no refusal, cursor *int64) bool {
	srv := r.server
	switch {
	case status == http.StatusNotFound && !srv.settled:
		srv.first = !srv.first
		return srv.first
	case no.Name == "CursorTooOld" && *cursor > 0:
		r.outdated = true
		*cursor = s.floor(*cursor, no.Floor)
		return true
	case no.Name == "UnknownZstdDictionary" && !srv.plain:
		srv.plain, srv.packing = srv.stale, nil
		srv.stale = true
		return true
	}
	return false
}

// floor is where to begin when a place is too old: at the oldest that the
// server tells, or is likely to have; else at what comes next.
func (s *Source) floor(cursor, told int64) int64 {
	likely := s.o.Now().Add(-window).UnixMicro()
	switch {
	case told > 0 && told != cursor:
		return told
	case cursor < likely:
		return likely
	}
	return 0
}

// refused is the error of a server's answer, and does what it asks for.
func (s *Source) refused(srv *server, resp *http.Response, no refusal) error {
	err := fmt.Errorf("HTTP %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	for _, words := range []string{no.Name, no.Message} {
		if words != "" {
			err = fmt.Errorf("%w: %s", err, words)
		}
	}
	now := s.o.Now()
	if wait := live.RetryAfter(resp.Header, now); wait > 0 {
		srv.rest = now.Add(live.Jitter(wait))
	}
	if resp.StatusCode == http.StatusBadRequest || resp.StatusCode == http.StatusUnauthorized {
		srv.refused, srv.rest = err, now.Add(avoided)
	}
	return err
}

// unwrapURL leaves out the URL that an error of net/http quotes: it is long, and
// says what we know.
func unwrapURL(err error) error {
	if in := (*url.Error)(nil); errors.As(err, &in) {
		return in.Err
	}
	return err
}
