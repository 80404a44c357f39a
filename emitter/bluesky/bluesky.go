// Package bluesky is the source of Bluesky's posts: a Jetstream server, which
// needs no account. It sends every post that is created, changed or deleted on
// the network, and which accounts are gone or back.
//
// # Coming back
//
// The cursor, committed with the posts, is the time of the last event in
// microseconds, as the server that sent it tells, and that server's name:
//
//	bluesky → "1787220000000001 jetstream.us-east.bsky.network"
//
// A connection begins some time before it, so that nothing is lost that came
// late: Options.Overlap on the same server, Options.Handover on another, whose
// clock may be another one, and who may be ahead of the one before. Repeated
// events are the counter's to tell. Servers also number their events, and to go
// on behind a number would repeat nothing; but numbers are worth nothing on
// another server, or on the same one set up anew, where a number from before
// would silently be one of the future.
//
// A place that the server does not have any more (36 hours, usually) is told
// with how much is lost, and reading goes on from the oldest there is. Without
// a cursor the source begins at the time of its start, less Options.Replay.
//
// # Servers
//
// They are tried in turn: one that breaks off is asked again, one that does not
// bring us any further gives way to the next. Those of the second version
// speak frames of XRPC and are asked for frames packed with zstd and their own
// dictionary; those of the first send bare events, packed by permessage-deflate
// if they can. Its zstd needs a dictionary that is not to be had from the
// server.
package bluesky

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/emitter/live"
	"github.com/tagtide/tagtide/post"
)

// Options of the source. The zero value is good.
type Options struct {
	// Servers to be tried in turn; default [Public]. Each is a host, or a URL
	// (wss, ws, https or http): one with a path that ends in /subscribe is
	// spoken to in the first version of the protocol, any other in the second,
	// below its path. A host that does not know the second is asked in the
	// first.
	Servers []string
	// Replay is how far before its first start the source begins. Servers keep
	// about 36 hours.
	Replay time.Duration
	// Plain asks for frames that are not packed.
	Plain bool
	// Overlap is how much is read again after a connection to the same server;
	// default 5 s.
	Overlap time.Duration
	// Handover is how much is read again after a connection to another server;
	// default 1 min.
	Handover time.Duration
	// Silence after which a connection is ended; default 45 s. Servers say
	// something every 30 s, and are asked to three times in it.
	Silence time.Duration
	// Handshake is how long a server may take to answer; default 15 s.
	Handshake time.Duration
	// MaxFrame in bytes, unpacked; default 4 MiB. A larger one is refused.
	MaxFrame int
	// Waits between connections; default from 250 ms, doubling, to 30 s.
	Waits live.Schedule
	// UserAgent names us to the server; default "tagtide".
	UserAgent string
	// Client makes the connections; default one that is the source's own. Its
	// Timeout must be 0.
	Client *http.Client
	// Logger for what operators should know; default slog.Default().
	Logger *slog.Logger
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Public are the public servers, those of the second version first. Treat as
// constant.
func Public() []string {
	return []string{
		"jetstream.us-east.bsky.network",
		"jetstream.us-west.bsky.network",
		"wss://jetstream2.us-east.bsky.network/subscribe",
		"wss://jetstream1.us-east.bsky.network/subscribe",
		"wss://jetstream2.us-west.bsky.network/subscribe",
		"wss://jetstream1.us-west.bsky.network/subscribe",
	}
}

func (o *Options) setDefaults() {
	if len(o.Servers) == 0 {
		o.Servers = Public()
	}
	setDefault(&o.Overlap, 5*time.Second)
	setDefault(&o.Handover, time.Minute)
	setDefault(&o.Silence, 45*time.Second)
	setDefault(&o.Handshake, 15*time.Second)
	setDefault(&o.MaxFrame, 4<<20)
	setDefault(&o.Waits, live.Schedule{First: 250 * time.Millisecond, Factor: 2, Max: 30 * time.Second})
	setDefault(&o.UserAgent, "tagtide")
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

func setDefault[T comparable](v *T, value T) {
	if zero := *new(T); *v == zero {
		*v = value
	}
}

// A Source listens to one server at a time. It runs once.
type Source struct {
	o       Options
	client  *http.Client
	servers turns
	keeper  *live.Keeper
	logger  *slog.Logger
	events  atomic.Int64

	place place // behind what was handed to the sink
}

// New returns a source. It fails if a server's name cannot be understood.
func New(o Options) (*Source, error) {
	o.setDefaults()
	s := &Source{
		o: o, client: o.Client, keeper: live.NewKeeper(o.Now),
		logger: o.Logger.With("source", post.SourceBluesky),
	}
	for _, text := range o.Servers {
		srv, err := parseServer(text)
		if err != nil {
			return nil, fmt.Errorf("bluesky: %w", err)
		}
		s.servers.all = append(s.servers.all, srv)
	}
	return s, nil
}

// Name implements [emitter.Source].
func (s *Source) Name() string { return post.SourceBluesky }

// Progress implements [emitter.Source]: events since the start.
func (s *Source) Progress() emitter.Progress {
	return emitter.Progress{Done: s.events.Load(), Unit: "events"}
}

// State implements [emitter.Live].
func (s *Source) State() emitter.State { return s.keeper.State() }

// Run implements [emitter.Source]. It ends with ctx, when the sink fails, or
// when every server has said that it does not take what we ask for.
func (s *Source) Run(ctx context.Context, sink emitter.Sink) error {
	if s.client == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		defer transport.CloseIdleConnections()
		s.client = &http.Client{Transport: transport}
	}
	err := s.begin(ctx, sink)
	if err == nil {
		err = s.listenForEver(ctx, sink)
	}
	if ctx.Err() != nil {
		s.keeper.Stopped(nil)
	} else {
		s.keeper.Stopped(err)
	}
	return err
}

// begin finds the place to begin at. The first time it commits it, so that
// nothing is lost if we are killed before the first post is committed.
func (s *Source) begin(ctx context.Context, sink emitter.Sink) error {
	cursors, err := sink.Cursors(ctx, cursorName)
	if err != nil {
		return err
	}
	if value, ok := cursors[cursorName]; ok {
		s.place, err = parsePlace(value)
		s.logger.Info("going on", "from", s.place.date(), "server", s.place.server)
		return err
	}
	s.place = place{time: s.o.Now().Add(-s.o.Replay).UnixMicro()}
	s.logger.Info("beginning", "from", s.place.date())
	return sink.Send(ctx, &block{from: s.place, batch: &live.Batch[mark]{}})
}

// A stopError ends Run: nothing is wrong with the connection.
type stopError struct{ error }

func (s *Source) listenForEver(ctx context.Context, sink emitter.Sink) error {
	failures := 0 // in a row
	for {
		srv := s.servers.next(s.o.Now())
		if err := live.Sleep(ctx, srv.rest.Sub(s.o.Now())); err != nil {
			return err
		}
		began, from := s.o.Now(), s.place
		err := s.listen(ctx, sink, srv)
		if stop := (*stopError)(nil); errors.As(err, &stop) {
			return stop.error
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.keeper.Lost(err)
		if err := s.servers.refusal(); err != nil {
			return err
		}
		if failures++; s.o.Now().Sub(began) > s.o.Waits.Max {
			failures = 1
		}
		if s.place == from {
			s.servers.turn()
		}
		wait := live.Jitter(s.o.Waits.After(failures))
		s.logger.Warn("connecting again", "server", srv.name, "after", wait, "problem", err)
		if err := live.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// listen hands over what one connection brings, and returns why it ended.
func (s *Source) listen(ctx context.Context, sink emitter.Sink, srv *server) error {
	s.keeper.Connecting(srv.name)
	within, watch := live.NewWatch(ctx, s.o.Silence)
	defer watch.End()
	r := &reader{
		server: srv, watch: watch, inbox: live.NewInbox[mark](maxWaiting), place: s.place,
		maxFrame: s.o.MaxFrame, keeper: s.keeper, now: s.o.Now, logger: s.logger,
	}
	if err := s.connect(within, r); err != nil {
		return err
	}
	s.keeper.Connected()
	s.logger.Info("connected", "server", srv.name, "packed", r.unpack != nil)
	defer r.run(within, watch.End, s.o.Silence/3)()
	for {
		batch, err := r.inbox.Take(ctx)
		if err != nil {
			return err
		}
		b := &block{batch: batch, from: s.place, server: srv.name, maxFrame: s.o.MaxFrame}
		if err := sink.Send(ctx, b); err != nil {
			return &stopError{err}
		}
		s.place = b.at(b.Len())
		s.events.Add(int64(b.Len()))
	}
}
