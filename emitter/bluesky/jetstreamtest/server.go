// Package jetstreamtest is a Jetstream server for tests: it speaks both
// versions of the protocol on loopback, as the real ones do, and fails at the
// moments that a test chooses.
package jetstreamtest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/klauspost/compress/zstd"
)

// Options of a server. The zero value is a server of the second version with
// no faults and no dictionary.
type Options struct {
	// Versions that it speaks; default both.
	Versions []int
	// Dictionary that it packs with, if it is asked to; nil: it has none. If it
	// is not one, the server sends it nevertheless, and knows none.
	Dictionary []byte
	// Floor is the time of the oldest event that it sends.
	Floor int64
	// Strict servers answer a place below the floor by CursorTooOld, also if it
	// is a time.
	Strict bool
	// Answer, if set, may answer a request itself, and tells whether it did.
	// Requests for streams have numbers from 1, others 0.
	Answer func(n int, w http.ResponseWriter, r *http.Request) bool
	// Before, if set, is called before each frame of a connection, i from 0; if
	// it returns false, the connection is broken off. Behind the last event it
	// is called once for each that may come.
	Before func(c *Conn, i int) bool
	// Deaf servers do not read, so they do not answer pings either.
	Deaf bool
	// Ping every so often; 0: never.
	Ping time.Duration
	// Subprotocol that it names, whatever it was offered; default the right one.
	Subprotocol string
}

// A Server sends events from a log to whoever listens.
type Server struct {
	o    Options
	http *httptest.Server
	stop context.CancelFunc // ends every connection
	open sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	events  []Event
	grown   chan struct{} // closed when events has grown
	conns   int
	queries []url.Values // of requests for streams
}

// New starts a server, which ends with the test.
func New(t testing.TB, o Options) *Server {
	s := &Server{o: o, grown: make(chan struct{})}
	if len(o.Versions) == 0 {
		s.o.Versions = []int{1, 2}
	}
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.http.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	s.http.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	s.http.Start()
	t.Cleanup(s.Close)
	return s
}

type connKey struct{}

// Close breaks off all connections and waits for their ends. It may be called
// more than once.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.open.Wait()
	s.http.Close()
}

// URL of the server without a path, so that it is spoken to in the second
// version if it knows it.
func (s *Server) URL() string { return "ws" + strings.TrimPrefix(s.http.URL, "http") }

// Host of the server, and its port.
func (s *Server) Host() string { return strings.TrimPrefix(s.http.URL, "http://") }

// Add adds events to the log, in the order given.
func (s *Server) Add(events ...Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, events...)
	close(s.grown)
	s.grown = make(chan struct{})
}

// Queries returns the queries of all requests for streams so far.
func (s *Server) Queries() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.queries)
}

// enter tells whether a request may still be served; then the caller ends it
// with open.Done.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.open.Add(1)
	}
	return !s.closed
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		http.Error(w, "closing", http.StatusServiceUnavailable)
		return
	}
	defer s.open.Done()
	version := map[string]int{"/subscribe": 1, "/xrpc/network.bsky.jetstream.subscribeEvents": 2}[r.URL.Path]
	n := 0
	if version > 0 {
		n = s.asked(r.URL.Query())
	}
	switch {
	case s.o.Answer != nil && s.o.Answer(n, w, r):
	case r.URL.Path == "/xrpc/network.bsky.jetstream.getZstdDictionary" && s.o.Dictionary != nil:
		_, _ = w.Write(s.o.Dictionary)
	case version == 0 || !slices.Contains(s.o.Versions, version):
		http.NotFound(w, r)
	case version == 1:
		s.serveFirst(w, r, n)
	default:
		s.serveSecond(w, r, n)
	}
}

func (s *Server) asked(q url.Values) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns++
	s.queries = append(s.queries, q)
	return s.conns
}

// Refuse answers as the second version does.
func Refuse(w http.ResponseWriter, status int, name, format string, args ...any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": name, "message": fmt.Sprintf(format, args...)})
}

func (s *Server) serveFirst(w http.ResponseWriter, r *http.Request, n int) {
	q := r.URL.Query()
	if name := unknown(q, "wantedCollections", "wantedDids", "maxMessageSizeBytes", "cursor", "compress", "requireHello"); name != "" {
		http.Error(w, "unknown parameter "+name, http.StatusBadRequest)
		return
	}
	from, _, _ := s.find(q)
	c, err := s.accept(w, r, n, 1, &websocket.AcceptOptions{CompressionMode: websocket.CompressionContextTakeover})
	if err == nil {
		s.stream(c, from, func(*Event) bool { return true })
	}
}

func (s *Server) serveSecond(w http.ResponseWriter, r *http.Request, n int) {
	q := r.URL.Query()
	if name := unknown(q, "kinds", "collections", "dids", "maxMessageSizeBytes", "zstdDictionary", "cursor"); name != "" {
		Refuse(w, http.StatusBadRequest, "InvalidRequest", "unknown parameter %s", name)
		return
	}
	packer, id := s.packer()
	if asked := q.Get("zstdDictionary"); asked == "" {
		packer = nil
	} else if packer == nil || asked != id {
		Refuse(w, http.StatusBadRequest, "UnknownZstdDictionary", "the current one is %s", id)
		return
	}
	from, clamped, bySeq := s.find(q)
	if clamped && (bySeq || s.o.Strict) {
		Refuse(w, http.StatusBadRequest, "CursorTooOld", "cursor is below the floor %d", from)
		return
	}
	subprotocol := s.o.Subprotocol
	if subprotocol == "" {
		subprotocol = "xrpc.v1.json"
	} else {
		r.Header.Set("Sec-WebSocket-Protocol", subprotocol) // as if it was offered
	}
	c, err := s.accept(w, r, n, 2, &websocket.AcceptOptions{Subprotocols: []string{subprotocol}})
	if err != nil {
		return
	}
	c.packer = packer
	if clamped {
		c.Send(message(map[string]string{"$type": "network.bsky.jetstream.subscribeEvents#info",
			"name": "OutdatedCursor", "message": fmt.Sprintf("cursor clamped; resumed from seq %d", from)}))
	}
	s.stream(c, from, func(e *Event) bool { return e.Raw != "" || slices.Contains(q["kinds"], e.kind()) })
}

// unknown returns the name of a parameter that is none of those.
func unknown(q url.Values, names ...string) string {
	for name := range q {
		if !slices.Contains(names, name) {
			return name
		}
	}
	return ""
}

func (s *Server) packer() (*zstd.Encoder, string) {
	if s.o.Dictionary == nil {
		return nil, ""
	}
	e, err := zstd.NewWriter(nil, zstd.WithEncoderDict(s.o.Dictionary), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, ""
	}
	return e, strconv.FormatUint(uint64(binary.LittleEndian.Uint32(s.o.Dictionary[4:])), 10)
}

// find returns the number of the first event that is asked for, numbers being
// places in the log, and whether an earlier one was asked for that is there no
// more.
func (s *Server) find(q url.Values) (from int64, clamped, bySeq bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cursor, err := strconv.ParseInt(q.Get("cursor"), 10, 64)
	if err != nil {
		return int64(len(s.events)), false, false
	}
	if bySeq = cursor < 1e15; !bySeq {
		clamped = cursor < s.o.Floor
		cursor = s.index(max(cursor, s.o.Floor))
	}
	floor := s.index(s.o.Floor)
	return max(cursor, floor), clamped || cursor < floor, bySeq
}

// index is the number of the first event from a time on.
func (s *Server) index(time int64) int64 {
	for i := range s.events {
		if s.events[i].Time >= time {
			return int64(i)
		}
	}
	return int64(len(s.events))
}

// next returns event number i, and what to wait for if it is not there yet.
func (s *Server) next(i int64) (*Event, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i < int64(len(s.events)) {
		e := s.events[i]
		return &e, nil
	}
	return nil, s.grown
}
