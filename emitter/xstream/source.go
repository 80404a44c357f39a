// Package xstream is the source of posts from X, by the filtered stream of its
// API v2 (https://docs.x.com/x-api/posts/filtered-stream). X charges for every
// post that it delivers; docs/SOURCES.md says how much, and what its policy
// allows.
//
//	--track ──▶ rules ──▶ X has them?  list, delete ours that are stale, add
//	                         │
//	                  GET the stream ◀──────────── wait as X asks ◀──┐
//	                         │                                       │
//	     posts, one a line, and a blank line every 20 s              │
//	                         ▼                                       │
//	                   Inbox ──▶ sink            cut off, silent, or X says why
//
// X keeps the rules of an app, and delivers what matches any of them. Ours carry
// a tag, so that those of others stay; what those deliver is left out by the
// emitter, which must be given the same --track.
//
// This stream cannot come back to a place: there is no cursor, and what was
// posted while nobody listened is lost. That is said, with the time.
//
// Of a post only what [post.Append] writes is kept. A message that cannot be
// decoded becomes a dead letter that shows its shape, not what it says.
package xstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/emitter/live"
	"github.com/tagtide/tagtide/post"
)

// DefaultServer is X's API.
const DefaultServer = "https://api.x.com"

// Options of the source. Token and Track are required.
type Options struct {
	// Server is the base URL of the API, or only its host; default [DefaultServer].
	Server string
	// Token is the app's bearer token.
	Token string
	// Track are the phrases of which the rules are made, as [post.NewTrack]
	// takes them.
	Track []string
	// Group owns the rules: those with its name that are not wanted any more
	// are deleted. Default "hashtags".
	Group string
	// UserAgent that X sees; default "tagtide".
	UserAgent string
	// Client sends the requests; default one for this source only.
	Client *http.Client
	// Logger for what operators should know; default slog.Default().
	Logger *slog.Logger
	// Silence is how long X may say nothing before it is taken for gone;
	// default 30 s, X promises a sign of life every 20.
	Silence time.Duration
	// MaxLine is the longest message in bytes that is decoded; default 4 MiB.
	MaxLine int
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Sleep waits before the next try, or returns why ctx ended; default
	// [live.Sleep].
	Sleep func(ctx context.Context, d time.Duration) error
}

func (o Options) withDefaults() Options {
	o.Server = cmp.Or(o.Server, DefaultServer)
	o.Group = cmp.Or(o.Group, "hashtags")
	o.UserAgent = cmp.Or(o.UserAgent, "tagtide")
	o.Logger = cmp.Or(o.Logger, slog.Default())
	o.Silence = cmp.Or(o.Silence, 30*time.Second)
	o.MaxLine = cmp.Or(o.MaxLine, 4<<20)
	if o.Client == nil {
		o.Client = newHTTP()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = live.Sleep
	}
	return o
}

// Validate finds what is wrong with the options, everything at once.
func (o Options) Validate() error {
	o = o.withDefaults()
	_, serverErr := ServerName(o.Server)
	return errors.Join(serverErr, validToken(o.Token), ValidateTrack(o.Track))
}

// ValidateTrack finds what X does not take of [Options.Track], though
// [post.NewTrack] does.
func ValidateTrack(track []string) error {
	_, err := makeRules(track)
	return err
}

func validToken(token string) error {
	if token == "" {
		return errors.New("the bearer token of an X app is needed: give it in a file (--token-file)")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("the X token has a space or another character that is in no token: is it the file with the Bearer Token and nothing else?")
	}
	return nil
}

// A Source reads the filtered stream. It runs once.
type Source struct {
	o      Options
	keeper *live.Keeper
	posts  atomic.Int64 // messages that are no signs of life

	// Of Run's goroutine.
	client client
	rules  []rule
	ruled  bool      // X had the rules when it was last asked
	heard  time.Time // when the last stream was last heard of; zero: there was none
	back   backoff
}

var _ emitter.Live = (*Source)(nil)

// New returns a source that will listen to X. It does nothing yet: what is
// wrong with the options is told by [Options.Validate] and by Run.
func New(o Options) *Source {
	o = o.withDefaults()
	return &Source{o: o, keeper: live.NewKeeper(o.Now)}
}

// Name implements [emitter.Source].
func (s *Source) Name() string { return post.SourceX }

// Progress implements [emitter.Source]: messages since the start.
func (s *Source) Progress() emitter.Progress {
	return emitter.Progress{Done: s.posts.Load(), Unit: "posts"}
}

// State implements [emitter.Live].
func (s *Source) State() emitter.State { return s.keeper.State() }

// Run implements [emitter.Source]. It connects again for ever, and ends with an
// error only if a person has to do something: X refuses the token, the app or a
// rule.
func (s *Source) Run(ctx context.Context, sink emitter.Sink) error {
	err := s.prepare()
	for err == nil {
		err = s.session(ctx, sink)
		if f := (*failure)(nil); ctx.Err() == nil && errors.As(err, &f) && f.remedy != hopeless {
			err = s.recover(ctx, f)
		}
	}
	if ctx.Err() != nil {
		s.keeper.Stopped(nil)
		return ctx.Err()
	}
	s.keeper.Stopped(err)
	return err
}

// prepare makes what Run needs of the options.
func (s *Source) prepare() error {
	if err := s.o.Validate(); err != nil {
		return err
	}
	server, err := ServerName(s.o.Server)
	if err != nil {
		return err
	}
	s.client = client{http: s.o.Client, server: server, token: s.o.Token, agent: s.o.UserAgent, timeout: s.o.Silence}
	s.rules, err = makeRules(s.o.Track)
	return err
}

// tag marks the rules that are ours.
func (s *Source) tag() string { return "tagtide:" + s.o.Group }

// peer is the server's host.
func (s *Source) peer() string {
	_, host, _ := strings.Cut(s.client.server, "://")
	return host
}

// recover waits until it is time to try again.
func (s *Source) recover(ctx context.Context, f *failure) error {
	if f.remedy == renew {
		s.ruled = false
	}
	why := f.err
	if !s.heard.IsZero() {
		why = fmt.Errorf("%w; posts since %s are not delivered", f.err, s.heard.UTC().Format(time.RFC3339))
	}
	wait := live.Jitter(s.back.wait(f, s.o.Now()))
	s.keeper.Lost(why)
	s.o.Logger.Warn("not connected to X; trying again", "in", wait.Round(time.Millisecond), "error", why)
	return s.o.Sleep(ctx, wait)
}

// session makes sure of the rules and reads one stream to its end. An error is
// a *failure, or comes from the sink.
func (s *Source) session(ctx context.Context, sink emitter.Sink) error {
	s.keeper.Connecting(s.peer())
	if !s.ruled {
		p, err := s.client.syncRules(ctx, s.rules, s.tag())
		if err != nil {
			return err
		}
		s.ruled = true
		s.tellRules(p)
	}
	return s.stream(ctx, sink)
}

func (s *Source) tellRules(p plan) {
	s.o.Logger.Info("X has the rules; it charges for every post that they deliver",
		"rules", len(s.rules), "added", len(p.add), "deleted", len(p.remove), "tag", s.tag())
	if p.foreign > 0 {
		s.o.Logger.Warn("the app has rules of others, which stay: what they deliver is charged for and left out", "rules", p.foreign)
	}
}

// query asks for all that counting needs.
func (s *Source) query() url.Values {
	return url.Values{
		"tweet.fields": {"created_at,entities,lang,author_id,referenced_tweets,note_tweet,edit_history_tweet_ids"},
		"expansions":   {"referenced_tweets.id"},
	}
}

// tellGap says what was lost before the stream that begins now.
func (s *Source) tellGap(now time.Time) {
	if s.heard.IsZero() {
		s.o.Logger.Info("connected to X", "server", s.client.server)
		return
	}
	s.o.Logger.Warn("connected to X again; what was posted meanwhile is lost, X does not deliver it later", "from", s.heard.UTC(), "to", now.UTC())
}
