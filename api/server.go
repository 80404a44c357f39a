package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/tagtide/tagtide/internal/roster"
)

// Options of a Server. The zero value is good.
type Options struct {
	// Logger takes what goes wrong inside; default: discards.
	Logger *slog.Logger
	// Metrics is where the server's own metrics are registered and what
	// /metrics shows. Servers may share one. Default: a new one.
	Metrics Registry
	// Ready adds checks to /readyz; it must not block. Default: none.
	Ready func() []Check
	// Pipeline returns the processes that /api/v1/pipeline tells of; it must
	// not block. Default: none.
	Pipeline func() []roster.Instance
	// Build is what /version shows.
	Build Build
	// Now is the clock that as_of is compared with; default time.Now.
	Now func() time.Time
	// ShutdownTimeout bounds how long Run waits for answers under way when its
	// context ends; default 10 s.
	ShutdownTimeout time.Duration
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = newRegistry()
	}
	if o.Ready == nil {
		o.Ready = func() []Check { return nil }
	}
	if o.Pipeline == nil {
		o.Pipeline = func() []roster.Instance { return nil }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ShutdownTimeout == 0 {
		o.ShutdownTimeout = 10 * time.Second
	}
	return o
}

// Build tells which program answers.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"` // of the revision, RFC 3339
	Go       string `json:"go,omitempty"`
}

// A Server answers HTTP from a Counts. It is safe for concurrent use.
type Server struct {
	counts  Counts // nil: only operation, no counts
	opts    Options
	metrics *metrics
	handler http.Handler
	// leaving is set once Run has been told to end: /readyz says so.
	leaving atomic.Bool
}

// New returns a server of the API, the page and the operation endpoints.
func New(counts Counts, opts Options) *Server {
	s := newServer(opts)
	s.counts = counts
	s.handler = s.outer(s.routes())
	return s
}

// NewAdmin returns a server of the operation endpoints alone: metrics, health,
// readiness, version, the pipeline and profiles. The profiles are why it should not be
// reachable by everyone.
func NewAdmin(opts Options) *Server {
	s := newServer(opts)
	s.handler = s.outer(s.adminRoutes())
	return s
}

func newServer(opts Options) *Server {
	opts = opts.withDefaults()
	return &Server{opts: opts, metrics: newMetrics(opts.Metrics)}
}

// Handler returns the whole server as a handler.
func (s *Server) Handler() http.Handler { return s.handler }

// Time that a client may take; an export gets writeTimeout for each chunk.
const (
	readTimeout  = 10 * time.Second
	writeTimeout = 30 * time.Second
	idleTimeout  = 2 * time.Minute
)

// Run serves on l until ctx ends, then lets answers under way finish within
// the shutdown timeout. It closes l. It returns nil after a clean end.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(problemListener{l}) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve http on %v: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	s.leaving.Store(true)
	err := s.shutdown(srv)
	<-served
	return err
}

func (s *Server) shutdown(srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.ShutdownTimeout)
	defer cancel()
	err := srv.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.opts.Logger.Warn("http answers cut off at shutdown", "after", s.opts.ShutdownTimeout)
		err = srv.Close()
	}
	if err != nil {
		return fmt.Errorf("shut down http server: %w", err)
	}
	return nil
}
