package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/emitter/archive"
	"github.com/tagtide/tagtide/emitter/bluesky"
	"github.com/tagtide/tagtide/emitter/mastodon"
	"github.com/tagtide/tagtide/emitter/synth"
	"github.com/tagtide/tagtide/emitter/xstream"
	"github.com/tagtide/tagtide/post"
	"github.com/tagtide/tagtide/stream"
)

// A feed is a source as the flags ask for it. Each has an emitter of its own,
// so that one that is down holds up none of the others.
type feed struct {
	kind   string
	server string // its name, of a kind that takes several; else empty
	source emitter.Source
}

// id names the emitter of a feed for ever, whatever other feeds there are. Of
// two with one name the later one fences the earlier; what one that was killed
// left open is settled so, and what it has read is remembered.
//
//	file     <group>-emitter[-<instance>]
//	others   <group>-emitter.<source>[.<server>][@<instance>]
func (f feed) id(group, instance string) string {
	id := group + "-emitter"
	if f.kind == kindFile {
		if instance != "" {
			id += "-" + instance
		}
		return id
	}
	id += "." + f.kind
	if f.server != "" {
		id += "." + f.server
	}
	if instance != "" {
		id += "@" + instance
	}
	return id
}

// feeds makes the sources that are asked for, in that order.
func (f *sourceFlags) feeds(group string, s std, logger *slog.Logger) (feeds []feed, err error) {
	for _, kind := range f.Source {
		switch kind {
		case kindDemo:
			feeds = append(feeds, feed{kind: kind, source: synth.New(synth.Options{Seed: f.Seed, Posts: f.Posts, Logger: logger})})
		case kindFile:
			feeds = append(feeds, feed{kind: kind, source: archive.New(archive.Options{Paths: f.Input, Stdin: s.in, Again: f.Again, Logger: logger})})
		case kindNone:
		default:
			networks, err := f.networks(kind, group, logger)
			if err != nil {
				return nil, err
			}
			feeds = append(feeds, networks...)
		}
	}
	return feeds, nil
}

// networks makes the sources of a kind that reads from a network: of Mastodon
// one for each server, since each is a network of its own.
func (f *sourceFlags) networks(kind, group string, logger *slog.Logger) (feeds []feed, err error) {
	servers, err := f.servers()
	if err != nil {
		return nil, err
	}
	tokens, err := f.tokens()
	if err != nil {
		return nil, err
	}
	agent := "tagtide/" + version().Version
	switch kind {
	case kindBluesky:
		source, err := bluesky.New(bluesky.Options{Servers: addresses(servers[kind]), UserAgent: agent, Logger: logger})
		if err != nil {
			return nil, usagef("--server: %w", err)
		}
		feeds = append(feeds, feed{kind: kind, source: source})
	case kindX:
		o := xstream.Options{Token: tokens[kind], Track: f.Track, Group: group, UserAgent: agent, Logger: logger}
		if len(servers[kind]) > 0 {
			o.Server = servers[kind][0].address
		}
		feeds = append(feeds, feed{kind: kind, source: xstream.New(o)})
	case kindMastodon:
		for _, server := range servers[kind] {
			token := cmp.Or(tokens[server.name], tokens[kind])
			feeds = append(feeds, feed{kind: kind, server: server.name, source: mastodon.New(mastodon.Options{
				Server: server.address, Token: token, UserAgent: agent, Logger: logger,
			})})
		}
	default:
		return nil, usagef("--source %s: choose one of %s", kind, strings.Join(sourceNames, ", "))
	}
	return feeds, nil
}

// An emitting is what emitters are made from.
type emitting struct {
	source   *sourceFlags
	names    nameFlags
	instance string // tells them from those of another process; may be empty
	pace     paceFlags
	topics   topicFlags
	memory   time.Duration // for how long posts are remembered; 0: not at all
	decode   decodeFlags
	gate     func(context.Context) error // holds them back; nil: nothing does
}

// addEmitters adds an emitter for each source there is.
func (w *works) addEmitters(e emitting, s std) error {
	feeds, err := e.source.feeds(e.names.Group, s, w.logger)
	if err != nil {
		return err
	}
	var track *post.Track
	if len(e.source.Track) > 0 {
		if track, err = post.NewTrack(e.source.Track...); err != nil {
			return err
		}
	}
	for _, f := range feeds {
		o := emitter.Options{
			Stream: stream.EmitterOptions{
				ID: f.id(e.names.Group, e.instance), Cursors: stream.TableTopic(e.names.Group, cursorsTable),
				CommitInterval: e.pace.CommitInterval, NoCreate: !e.topics.CreateTopics, Partitions: e.topics.Partitions,
				ReplicationFactor: e.topics.ReplicationFactor, Retention: stream.InputRetention(e.memory), Logger: w.logger, Metrics: w.registry,
			},
			Server: f.server, Track: track, BlueskyText: e.decode.BlueskyText, Rate: e.source.rate(f.kind), Gate: e.gate,
		}
		if _, live := f.source.(emitter.Live); live {
			o.MaxEditAge = e.memory
		}
		if isTerminal(s.err) && f.kind == kindFile && len(feeds) == 1 {
			o.Report = progressBar(s.err)
		}
		one, err := emitter.New(w.log, e.names.InputTopic, f.source, o)
		if err != nil {
			return err
		}
		w.emitters = append(w.emitters, one)
	}
	return nil
}

// emit runs the emitters until the last of them has ended. One that fails does
// not stop the others; it is told at once, and returned when all have ended by
// themselves. If they were asked to, only what failed after that is an error.
func (w *works) emit(ctx context.Context) error {
	errs := make([]error, len(w.emitters))
	var running sync.WaitGroup
	for i, e := range w.emitters {
		running.Go(func() {
			err := e.Run(ctx)
			if err == nil || len(w.emitters) == 1 {
				errs[i] = err
				return
			}
			r := e.Report()
			errs[i] = &sourceError{r.Source, err, ctx.Err() == nil}
			if ctx.Err() == nil {
				w.logger.Error("a source has stopped; the others go on", "source", r.Source, "server", r.Server, "error", err)
			}
		})
	}
	running.Wait()
	if ctx.Err() != nil {
		errs = slices.DeleteFunc(errs, func(err error) bool {
			var one *sourceError
			return errors.As(err, &one) && one.told
		})
	}
	return errors.Join(errs...)
}

// A sourceError is why one of several sources has stopped.
type sourceError struct {
	source string
	cause  error
	told   bool // when it happened, while the others went on
}

func (e *sourceError) Error() string { return "source " + e.source + ": " + e.cause.Error() }
func (e *sourceError) Unwrap() error { return e.cause }

// backlog holds emitters back while too much waits to be counted, so that an
// input larger than memory and disk goes through.
type backlog struct {
	log   *stream.Log
	graph *stream.GroupGraph

	mu    sync.Mutex
	asked time.Time
}

// The bound of what may wait, in records: a canonical post has 100 to 250
// bytes, so that is less than 1 GiB. Dead letters are larger, but few.
const maxWaiting = 4 << 20

// wait returns when there is room.
func (b *backlog) wait(ctx context.Context) error {
	b.mu.Lock()
	recent := time.Since(b.asked) < 100*time.Millisecond
	if !recent {
		b.asked = time.Now()
	}
	b.mu.Unlock()
	for !recent {
		n, err := stream.Backlog(ctx, b.log, b.graph)
		if err != nil || n < maxWaiting {
			return ctx.Err() // no answer is no reason to stop: sending will tell
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}
