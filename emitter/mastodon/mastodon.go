// Package mastodon is the source of the public posts of a Mastodon server, and
// of others that speak its API: what its own users write, and what arrives from
// the servers that they follow.
//
// # Two ways
//
// With a token of one of the server's users it listens to the stream of events:
//
//	GET /api/v1/streaming/public      event: update | status.update | delete
//
// Without, where the server allows it, it asks for what is new, again and again,
// which shows neither deletes nor the edits of posts that are not quite new:
//
//	GET /api/v1/timelines/public?min_id=…&limit=40
//
// # Coming back
//
// The stream gives nothing twice and begins when one connects. What was missed
// is read from the timeline: the stream is connected first, and the pages from
// the cursor on are read while it runs, so that nothing lies between. Until
// they have reached its end the cursor follows the pages, then the stream.
//
//	cursor ─ page ─ page ─ page ─┐
//	                             ▼
//	        ┄┄┄┄┄┄┄┄┄ gap ┄┄┄┄┄┄┄│─ stream ─▶
//
// A post of another server has an id of when it was written, not of when it
// arrived, so pages begin somewhat before the cursor (Options.Overlap). What
// comes twice by that is left out here as long as it is remembered, and else by
// the processor, which counts each post once. Deletes that were missed are
// missed for good: the timeline does not tell of them.
//
// The very first time the newest page is handed over before the stream is
// connected. Its last id is the first cursor, so from then on nothing is lost. An
// id made of the clock would do the same without a request, but only of
// Mastodon's own ids, and only by clocks that agree.
//
// --track is not handed on to the server. Its streams of hashtags know a post by
// its hashtags only, and a word is to match in the text as well.
package mastodon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/emitter/live"
)

// Options of the source. Server is required.
type Options struct {
	// Server is a host, with a port or not, or its address:
	// "mastodon.social" or "https://mastodon.social". Without a scheme it is
	// https, but for this machine http.
	Server string
	// Token of a user of the server, with the scope read:statuses. Without it
	// the source polls.
	Token string
	// UserAgent tells the server who asks; default "tagtide".
	UserAgent string
	// Logger for what operators should know; default slog.Default().
	Logger *slog.Logger
	// Transport of requests; default one with timeouts.
	Transport http.RoundTripper

	// MaxEvent is the largest event of the stream in bytes; default 4 MiB. A
	// larger one becomes a dead letter, cut.
	MaxEvent int
	// Silence after which a stream is dead; default 45 s, three of the
	// server's signs of life.
	Silence time.Duration
	// Timeout of connecting, and of an answer; default 30 s.
	Timeout time.Duration
	// Retry is when to connect again; default 1 s, doubled up to a minute.
	Retry live.Schedule
	// Pace is the time between two pages; default 3 s: servers allow 300 in a
	// quarter of an hour.
	Pace time.Duration
	// Poll is the time between the last page of one turn and the first of the
	// next, where there is no stream; default 15 s.
	Poll time.Duration
	// Overlap is how far before the cursor pages begin; default 2 min.
	Overlap time.Duration
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.UserAgent = cmp.Or(o.UserAgent, "tagtide")
	o.MaxEvent = cmp.Or(o.MaxEvent, 4<<20)
	o.Silence = cmp.Or(o.Silence, 45*time.Second)
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	o.Retry = cmp.Or(o.Retry, live.Schedule{First: time.Second, Factor: 2, Max: time.Minute})
	o.Pace = cmp.Or(o.Pace, 3*time.Second)
	o.Poll = cmp.Or(o.Poll, 15*time.Second)
	o.Overlap = cmp.Or(o.Overlap, 2*time.Minute)
	return o
}

// A Source reads the public timeline of one server. It runs once.
type Source struct {
	o      Options
	keeper *live.Keeper
	done   atomic.Int64 // messages handed over
	logger *slog.Logger

	// What follows belongs to Run.
	client   client
	progress progress
	pacer    pacer
	missing  string // what the server was last said to leave out
}

// New returns a source. It does nothing before Run.
func New(o Options) *Source {
	o = o.withDefaults()
	return &Source{
		o: o, keeper: live.NewKeeper(time.Now), logger: o.Logger.With("server", o.Server),
		pacer: pacer{every: o.Pace, now: time.Now},
	}
}

// Name implements [emitter.Source].
func (s *Source) Name() string { return "mastodon" }

// Progress implements [emitter.Source]: there is no end.
func (s *Source) Progress() emitter.Progress {
	return emitter.Progress{Done: s.done.Load(), Unit: "posts"}
}

// State implements [emitter.Live].
func (s *Source) State() emitter.State { return s.keeper.State() }

// cursorPrefix begins the names of cursors. What follows is the server's host;
// the value is the id of a status.
const cursorPrefix = "mastodon/"

// Run implements [emitter.Source]. It connects again and again until ctx ends,
// which is no error, or the server says what only a person can mend: that it
// wants another token, or shows its timeline to nobody.
func (s *Source) Run(ctx context.Context, sink emitter.Sink) error {
	err := s.run(ctx, sink)
	if ctx.Err() != nil {
		err = nil
	}
	if err != nil {
		err = s.redact(fmt.Errorf("mastodon server %s: %w", s.o.Server, err))
	}
	s.keeper.Stopped(err)
	return err
}

func (s *Source) run(ctx context.Context, sink emitter.Sink) error {
	base, err := parseServer(s.o.Server)
	if err != nil {
		return err
	}
	if s.o.Token != "" && base.Scheme == "http" && !loopback(base.Hostname()) {
		return errors.New("the token is not sent without encryption; use https")
	}
	transport := s.o.Transport
	if transport == nil {
		t := newTransport(s.o.Timeout)
		defer t.CloseIdleConnections()
		transport = t
	}
	s.client = client{
		http: &http.Client{Transport: transport, CheckRedirect: sameHost},
		base: base, token: s.o.Token, agent: s.o.UserAgent, timeout: s.o.Timeout,
	}
	name := cursorPrefix + base.Host
	cursors, err := sink.Cursors(ctx, name)
	if err != nil {
		return err
	}
	s.progress = progress{
		sink: sink, cursor: string(cursors[name]), done: &s.done,
		block: block{host: base.Host, name: name},
	}
	return s.connect(ctx)
}

// connect connects again and again. It returns what ends Run.
func (s *Source) connect(ctx context.Context) error {
	for failures := 1; ; failures++ {
		s.keeper.Connecting(s.client.base.Host)
		began := time.Now()
		err := s.attempt(ctx)
		if ctx.Err() != nil || errors.As(err, new(*refusal)) || errors.As(err, new(*sinkError)) {
			return err
		}
		if time.Since(began) > s.o.Retry.Max {
			failures = 1 // it was a good one
		}
		wait := s.wait(failures, err)
		err = s.redact(err)
		s.keeper.Lost(err)
		s.logger.Warn("the connection is lost; connecting again", "error", err, "in", wait.Round(time.Millisecond))
		if err := live.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// wait returns how long to wait after so many failures, of which err is the
// last.
func (s *Source) wait(failures int, err error) time.Duration {
	wait := s.o.Retry.After(failures)
	if l := (*limited)(nil); errors.As(err, &l) {
		wait = max(wait, l.wait)
	}
	return live.Jitter(wait)
}

// redact takes the token out of what a server made us say.
func (s *Source) redact(err error) error {
	if text := err.Error(); s.o.Token != "" && strings.Contains(text, s.o.Token) {
		return errors.New(strings.ReplaceAll(text, s.o.Token, "…"))
	}
	return err
}

// attempt reads as long as the connection lasts.
func (s *Source) attempt(ctx context.Context) error {
	in, err := s.client.instance(ctx)
	if err != nil {
		return err
	}
	missing, err := in.Configuration.TimelinesAccess.LiveFeeds.check(s.o.Token != "")
	if err != nil {
		return err
	}
	if missing != s.missing && missing != "" {
		s.logger.Warn("the server shows only a part of its public timeline", "missing", missing)
	}
	s.missing = missing
	if err := s.begin(ctx); err != nil {
		return err
	}
	if s.o.Token == "" {
		return s.poll(ctx)
	}
	err = s.follow(ctx, in)
	if errors.Is(err, errNotThere) {
		s.logger.Warn("the server has no stream of events; polling it", "error", err)
		return s.poll(ctx)
	}
	return err
}
