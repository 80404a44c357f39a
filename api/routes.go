package api

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"net/url"
	"runtime/debug"
	"unicode/utf8"

	"github.com/gorilla/mux"
	"github.com/klauspost/compress/gzhttp"

	"github.com/tagtide/tagtide/hashtag"
)

// A handler answers a request, or returns why it cannot: a *problem, or an
// error that becomes an internal one. An error after the first byte of the
// answer breaks the connection off, so no client takes a part for the whole.
type handler func(w http.ResponseWriter, r *http.Request) error

func (s *Server) routes() *mux.Router {
	r := s.operation()
	s.get(r, "/api/v1/top", s.top)
	s.get(r, "/api/v1/hashtags", s.hashtags)
	s.get(r, "/api/v1/hashtags/{tag}", s.hashtag)
	s.get(r, "/api/v1/stats", s.stats)
	s.get(r, "/api/v1/export", s.export)
	s.get(r, "/api/v1/openapi.json", s.openAPI)
	s.get(r, "/", s.page)
	s.get(r, "/hashtags/{tag}", s.tagPage)
	s.get(r, "/assets/{name}", s.asset)
	return r
}

func (s *Server) adminRoutes() *mux.Router {
	r := s.operation()
	s.get(r, "/debug/pprof/cmdline", plain(pprof.Cmdline))
	s.get(r, "/debug/pprof/profile", plain(pprof.Profile))
	s.get(r, "/debug/pprof/symbol", plain(pprof.Symbol))
	s.get(r, "/debug/pprof/trace", plain(pprof.Trace))
	s.get(r, "/debug/pprof/", plain(pprof.Index))
	s.get(r, "/debug/pprof/{profile}", plain(pprof.Index))
	return r
}

// operation returns a router with what every process serves. It matches the
// path as it was sent: a tag may hold any byte, a slash or dots included, so
// nothing is decoded or cleaned before the route is known.
func (s *Server) operation() *mux.Router {
	r := mux.NewRouter().UseEncodedPath().SkipClean(true)
	s.get(r, "/healthz", s.healthz)
	s.get(r, "/readyz", s.readyz)
	s.get(r, "/version", s.version)
	s.get(r, "/api/v1/pipeline", s.pipeline)
	s.get(r, "/metrics", plain(s.metrics.expose().ServeHTTP))
	r.NotFoundHandler = s.endpoint(unmatched, func(_ http.ResponseWriter, r *http.Request) error {
		return notFound(fmt.Sprintf("there is nothing at %s", r.URL.EscapedPath()))
	})
	r.MethodNotAllowedHandler = s.endpoint(unmatched, methodNotAllowed)
	return r
}

// get registers a route that answers GET and HEAD. net/http drops the body of
// an answer to HEAD.
func (s *Server) get(r *mux.Router, template string, h handler) {
	r.Handle(template, s.endpoint(template, h)).Methods(http.MethodGet, http.MethodHead)
}

// methodNotAllowed answers for all routes alike: they are all for reading.
func methodNotAllowed(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Allow", "GET, HEAD")
	return newProblem(http.StatusMethodNotAllowed, "method-not-allowed", "Method not allowed",
		fmt.Sprintf("%s is not possible here, only GET and HEAD", r.Method))
}

// endpoint measures a handler under its route and answers for its failures.
func (s *Server) endpoint(route string, h handler) http.Handler {
	return s.metrics.measure(route, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := &beginning{ResponseWriter: w}
		err := survive(h, began, r)
		if err == nil {
			return
		}
		gone := r.Context().Err() != nil // the client left, and wants no answer
		p, internal := asProblem(err)
		if internal && !gone {
			s.opts.Logger.Error("http request failed", "route", route, "err", err)
		}
		if began.yes || gone {
			panic(http.ErrAbortHandler)
		}
		s.fail(w, r, p)
	}))
}

// A beginning remembers whether any of an answer may have left.
type beginning struct {
	http.ResponseWriter
	yes bool
}

func (b *beginning) WriteHeader(status int) {
	b.yes = true
	b.ResponseWriter.WriteHeader(status)
}

func (b *beginning) Write(p []byte) (int, error) {
	b.yes = true
	return b.ResponseWriter.Write(p)
}

// Unwrap serves http.ResponseController.
func (b *beginning) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// fail answers with a problem: as a page to a person, as JSON to a program.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, p *problem) {
	w.Header().Add("Vary", "Accept")
	if !wantsPage(r) {
		writeProblem(w, r, p)
		return
	}
	if err := render(w, p.Status, "problem.html", p); err != nil {
		s.opts.Logger.Error("http problem page failed", "err", err)
	}
}

// survive turns a panic into an error.
func survive(h handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return h(w, r)
}

// outer wraps all answers, those of unknown routes included.
func (s *Server) outer(next http.Handler) http.Handler {
	next = gzhttp.GzipHandler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store") // until a handler knows better
		next.ServeHTTP(w, r)
	})
}

func plain(h http.HandlerFunc) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		h(w, r)
		return nil
	}
}

// pathTag returns the folded {tag} of a request, which its path carries
// percent-encoded.
func pathTag(r *http.Request) (string, error) {
	raw := mux.Vars(r)["tag"]
	tag, err := url.PathUnescape(raw)
	if err != nil || !utf8.ValidString(tag) {
		return "", invalid([]fault{{Parameter: "tag", Value: printable(raw), Detail: "the hashtag in the path is no percent-encoded UTF-8"}})
	}
	return hashtag.Key(tag), nil
}
