// Package synth is the source of the demo: posts that nobody wrote, of a time
// that everybody remembers. Pandemic and everyday hashtags in a dozen scripts,
// a few very popular and many rare, spelled this way and that; trends that rise
// and fall; reposts; and a tail of tags that never stops growing.
//
// Post n is a function of the seed and n alone. So the same seed gives the same
// posts in the same order, and the source comes back to any of them at no cost:
// its cursor is n. Posts do not say when they were written; the topic's records
// say when they were sent.
package synth

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/post"
)

// Options of the source. The zero value is good.
type Options struct {
	// Seed chooses the posts.
	Seed uint64
	// Posts after which the source ends, those before a restart included; 0:
	// it never ends.
	Posts int64
	// Logger for what operators should know; default slog.Default().
	Logger *slog.Logger
}

// A Source makes posts. It runs once.
type Source struct {
	o    Options
	next atomic.Int64
}

// New returns a source of posts.
func New(o Options) *Source {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Source{o: o}
}

// Name implements [emitter.Source].
func (s *Source) Name() string { return post.SourceDemo }

// Progress implements [emitter.Source]: posts.
func (s *Source) Progress() emitter.Progress {
	return emitter.Progress{Done: s.next.Load(), Total: s.o.Posts, Unit: "posts"}
}

// cursor names the place in the posts of a seed.
func (s *Source) cursor() string { return "demo/" + strconv.FormatUint(s.o.Seed, 10) }

// Run implements [emitter.Source].
func (s *Source) Run(ctx context.Context, sink emitter.Sink) error {
	const many = 512 // posts of a block
	next, err := s.resume(ctx, sink)
	if err != nil {
		return err
	}
	b := &block{posts: newGenerator(s.o.Seed), name: s.cursor()}
	for ; s.o.Posts == 0 || next < s.o.Posts; next += int64(b.n) {
		b.first, b.n = next, many
		if s.o.Posts > 0 {
			b.n = int(min(many, s.o.Posts-next))
		}
		s.next.Store(next)
		if err := sink.Send(ctx, b); err != nil {
			return err
		}
	}
	s.next.Store(next)
	return nil
}

// resume returns the first post that was not committed yet.
func (s *Source) resume(ctx context.Context, sink emitter.Sink) (int64, error) {
	cursors, err := sink.Cursors(ctx, s.cursor())
	if err != nil {
		return 0, err
	}
	value, ok := cursors[s.cursor()]
	if !ok {
		return 0, nil
	}
	next, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || next < 0 {
		return 0, fmt.Errorf("cursor %s: %q is no number of posts", s.cursor(), value)
	}
	if s.o.Posts > 0 && next >= s.o.Posts {
		s.o.Logger.Info("skipping the demo: its posts were made before (another --seed makes others)", "seed", s.o.Seed, "posts", next)
	} else {
		s.o.Logger.Info("going on with the demo", "seed", s.o.Seed, "from post", next)
	}
	return next, nil
}

// A block is a run of posts, made when they are asked for.
type block struct {
	posts *generator
	name  string
	first int64
	n     int
	buf   []byte
}

func (b *block) Len() int { return b.n }

// Decode implements [emitter.Block].
func (b *block) Decode(i int, d *post.Decoder, p *post.Post) (post.Result, error) {
	b.posts.make(b.first+int64(i), d.Text, p)
	return post.Result{Kind: post.KindPost}, nil
}

// Letter implements [emitter.Block]. Decode never fails.
func (b *block) Letter(int) emitter.Letter { return emitter.Letter{} }

// Cursor implements [emitter.Block].
func (b *block) Cursor(n int) (string, []byte) {
	b.buf = strconv.AppendInt(b.buf[:0], b.first+int64(n), 10)
	return b.name, b.buf
}
