// Package emitter is the way in: it reads posts from one source and writes them
// to the input topic, each exactly once.
//
//	source ──blocks──▶ decode ─▶ track ─▶ canonical form ──batches──▶ topic
//	  ▲                                                                 │
//	  └───────────── cursor, committed with the posts before it ────────┘
//
// Nothing is dropped silently. What is left out by --track, and what the
// networks say that is no post, is counted in notices that are committed with
// the posts; what cannot be decoded is sent as it is, marked by headers, for
// the processor to put with its dead letters.
//
// The sources are packages of their own: archive (files, standard input) and
// synth (the demo).
package emitter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tagtide/tagtide/post"
	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
)

// Options of an emitter. Stream.ID and Stream.Cursors are required; the zero
// value of everything else is good.
type Options struct {
	// Stream are the options of the engine's emitter; Logger, Metrics and Now
	// are used here as well.
	Stream stream.EmitterOptions
	// Server tells this source from others of its kind, in metrics and logs;
	// empty if there is one of each kind.
	Server string
	// Track leaves out the posts that do not match; nil: none.
	Track *post.Track
	// BlueskyText is post.Decoder.BlueskyText.
	BlueskyText bool
	// MaxEditAge leaves out edits of posts that are older, however new the edit
	// is: nobody remembers what they said before, so they would be counted once
	// more. 0: no edit is too late, as in an archive, where all that happened to
	// a post passes by within a short time.
	MaxEditAge time.Duration
	// Rate in messages per second; 0: as fast as it goes.
	Rate float64
	// Gate, if set, is called before anything is handed over, and returns when
	// it may be: it holds the source back while too much waits elsewhere.
	Gate func(ctx context.Context) error
	// Report, if set, is called a few times a second and at the end of Run,
	// from another goroutine, to draw progress. Without it a line is logged
	// every ten seconds.
	Report func(Report)
}

// A Report tells what Run has done so far.
type Report struct {
	Source      string
	Server      string
	State       State
	Progress    Progress
	Messages    int64 // read
	Sent        int64 // posts, edits and deletes handed over
	Skipped     int64 // left out and told by a notice
	Undecodable int64 // sent as they were
}

// An Emitter moves posts from a source to a topic.
type Emitter struct {
	o      Options
	source Source
	out    *stream.Emitter[[]byte]
	batch  *stream.Batch[[]byte]
	logger *slog.Logger
	count  counts
	pace   pacer
	stamp  time.Time // of records
	began  time.Time
	end    atomic.Pointer[State] // how it ended; nil: it has not

	decoder  post.Decoder
	post     post.Post
	key, val []byte // scratch
	skipped  [skipReasons]int64
}

// counts are what Report tells, safe for concurrent use.
type counts struct {
	messages, sent, undecodable atomic.Int64
	skipped                     [skipReasons]atomic.Int64
}

func (c *counts) allSkipped() (n int64) {
	for i := range c.skipped {
		n += c.skipped[i].Load()
	}
	return n
}

// skipReason is why a message was left out.
type skipReason int

const (
	skipTrack  skipReason = iota // the post does not match
	skipNotice                   // it is no post
	skipBefore                   // a notice in the input says so
	skipLate                     // it edits a post that nobody remembers
	skipReasons
)

var skipNames = [skipReasons]string{"track", "notice", "before", "late edit"}

// New makes an emitter from a source to a topic.
func New(l *stream.Log, topic string, source Source, o Options) (*Emitter, error) {
	if o.Stream.Cursors == "" {
		return nil, errors.New("emitter: Options.Stream.Cursors is required")
	}
	if o.Stream.Logger == nil {
		o.Stream.Logger = slog.Default()
	}
	if o.Stream.Now == nil {
		o.Stream.Now = time.Now
	}
	out, err := stream.NewEmitter(l, topic, codec.Bytes, o.Stream)
	if err != nil {
		return nil, err
	}
	e := &Emitter{
		o: o, source: source, out: out, batch: out.NewBatch(), began: o.Stream.Now(),
		logger: sourceLogger(o.Stream.Logger, source.Name(), o.Server), pace: newPacer(o.Rate),
		decoder: post.Decoder{Text: o.Track != nil, BlueskyText: o.BlueskyText},
	}
	registerMetrics(o.Stream.Metrics, e)
	return e, nil
}

func sourceLogger(l *slog.Logger, name, server string) *slog.Logger {
	l = l.With("source", name)
	if server != "" {
		l = l.With("server", server)
	}
	return l
}

// Run reads the source until it ends, and returns when everything is
// committed, or until ctx ends, and returns when everything that was read is.
// Both are nil; a source that could not be read to its end is an error, and so
// is what makes committing impossible. It runs once.
func (e *Emitter) Run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	committing, stop := context.WithCancel(gctx)
	defer stop()
	g.Go(func() error { return e.out.Run(committing) })
	g.Go(func() error { return e.report(committing) })
	g.Go(func() error {
		defer stop()
		return e.read(gctx)
	})
	err := g.Wait()
	e.finish(err)
	return err
}

// read runs the source. That ctx ended is no error: if something failed, it is
// told by what failed.
func (e *Emitter) read(ctx context.Context) error {
	err := e.source.Run(ctx, (*sink)(e))
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(err, e.out.Flush(ctx))
}

// finish tells the last of it.
func (e *Emitter) finish(err error) {
	last := e.state()
	last.Phase, last.Since = Ended, e.o.Stream.Now()
	if err != nil {
		last.Phase, last.Problem = Stopped, err.Error()
	}
	e.end.Store(&last)
	if n := e.count.undecodable.Load(); n > 0 {
		e.logger.Warn("messages could not be decoded; they are dead letters", "messages", n)
	}
	if e.o.Report != nil {
		e.o.Report(e.Report())
	}
}

// Report tells what Run has done so far. Safe for concurrent use.
func (e *Emitter) Report() Report {
	return Report{
		Source: e.source.Name(), Server: e.o.Server, State: e.state(), Progress: e.source.Progress(),
		Messages: e.count.messages.Load(), Sent: e.count.sent.Load(),
		Skipped: e.count.allSkipped(), Undecodable: e.count.undecodable.Load(),
	}
}

// state is what a live source tells of itself, until it ends.
func (e *Emitter) state() State {
	if end := e.end.Load(); end != nil {
		return *end
	}
	if live, ok := e.source.(Live); ok {
		return live.State()
	}
	return State{Phase: Reading, Since: e.began}
}

// report tells what was done, now and then.
func (e *Emitter) report(ctx context.Context) error {
	every, tell := 10*time.Second, e.logReport
	if e.o.Report != nil {
		every, tell = 200*time.Millisecond, e.o.Report
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			tell(e.Report())
		case <-ctx.Done():
			return nil
		}
	}
}

func (e *Emitter) logReport(r Report) {
	if _, ok := e.source.(Live); ok {
		e.logger.Info("emitting", "state", r.State.Phase, "peer", r.State.Peer, "reconnects", r.State.Reconnects,
			"messages", r.Messages, "sent", r.Sent, "skipped", r.Skipped, "undecodable", r.Undecodable)
		return
	}
	e.logger.Info("emitting", "done", r.Progress.Done, "total", r.Progress.Total, "unit", r.Progress.Unit,
		"messages", r.Messages, "sent", r.Sent, "skipped", r.Skipped, "undecodable", r.Undecodable)
}

// sink is the emitter as its source sees it.
type sink Emitter

// Cursors implements [Sink].
func (s *sink) Cursors(ctx context.Context, prefix string) (map[string][]byte, error) {
	found := map[string][]byte{}
	err := s.out.Cursors(ctx, prefix, func(name string, value []byte) { found[name] = value })
	return found, err
}

// Send implements [Sink].
func (s *sink) Send(ctx context.Context, b Block) error {
	const enough = 256 << 10 // bytes of a batch
	e := (*Emitter)(s)
	if err := ctx.Err(); err != nil {
		return err
	}
	e.stamp = e.o.Stream.Now()
	sent := 0 // messages of b that were handed over
	for i := range b.Len() {
		if pause := e.pace.next(e.o.Stream.Now); pause > 0 {
			if err := e.handOver(ctx, b, i); err != nil {
				return err
			}
			if err := sleep(ctx, pause); err != nil {
				return err
			}
			sent, e.stamp = i, e.o.Stream.Now()
		}
		if err := e.add(b, i); err != nil {
			return err
		}
		if e.batch.Bytes() >= enough {
			if err := e.handOver(ctx, b, i+1); err != nil {
				return err
			}
			sent = i + 1
		}
	}
	if sent < b.Len() || b.Len() == 0 {
		return e.handOver(ctx, b, b.Len())
	}
	return nil
}

// handOver hands over what was added, with the place behind n messages of b.
func (e *Emitter) handOver(ctx context.Context, b Block, n int) error {
	if err := e.addSkipped(); err != nil {
		return err
	}
	if name, value := b.Cursor(n); name != "" {
		e.batch.Cursor(name, value)
	}
	if e.o.Gate != nil {
		if err := e.o.Gate(ctx); err != nil {
			return err
		}
	}
	return e.out.Send(ctx, e.batch)
}

// add adds message i to the batch.
func (e *Emitter) add(b Block, i int) error {
	e.count.messages.Add(1)
	result, err := b.Decode(i, &e.decoder, &e.post)
	if err != nil {
		return e.addLetter(b.Letter(i), err)
	}
	switch result.Kind {
	case post.KindPost:
		for more := true; more && err == nil; more = e.decoder.Next(&e.post) {
			err = e.addTracked()
		}
		return err
	case post.KindDelete, post.KindAccount:
		return e.addPost()
	case post.KindSkipped:
		e.count.skipped[skipBefore].Add(result.Skipped)
		return e.addValue(post.AppendSkipped(e.val[:0], result.Skipped, result.Notice))
	default:
		e.skip(skipNotice)
		return nil
	}
}

// addTracked adds the post, unless it is left out. An edit after which the
// words that are looked for are gone hides the post until they are back.
func (e *Emitter) addTracked() error {
	p := &e.post
	switch {
	case p.Op == post.Update && e.late(p):
		e.skip(skipLate)
		return nil
	case e.o.Track.Match(p):
		return e.addPost()
	case p.Op == post.Update && len(p.ID) > 0:
		*p = post.Post{Source: p.Source, ID: p.ID, Alias: p.Alias, Time: p.Time, Op: post.Hide, Version: p.Version}
		return e.addPost()
	}
	e.skip(skipTrack)
	return nil
}

// late tells whether nobody remembers what the post said before. If it does not
// say since when it is there, it was there when it was edited.
func (e *Emitter) late(p *post.Post) bool {
	created := cmp.Or(p.Created, p.Time)
	return e.o.MaxEditAge > 0 && created != 0 && e.stamp.Sub(time.UnixMilli(created)) > e.o.MaxEditAge
}

func (e *Emitter) skip(why skipReason) {
	e.skipped[why]++
	e.count.skipped[why].Add(1)
}

// addPost adds the post in its canonical form, under its key if it has one.
// What happened to an account, or to a post of which only the alias is known,
// may concern posts in any partition.
func (e *Emitter) addPost() error {
	p := &e.post
	e.val = post.Append(e.val[:0], p)
	e.key = post.AppendKey(e.key[:0], p)
	e.count.sent.Add(1)
	switch {
	case len(e.key) == 0:
		return e.batch.AddAt(e.stamp, nil, e.val)
	case p.Op == post.Gone, p.Op == post.Back, p.Op == post.Delete && len(p.ID) == 0:
		e.skip(skipNotice) // told here, since each partition would
		return e.batch.AddAll(e.stamp, e.key, e.val)
	}
	return e.batch.AddAt(e.stamp, e.key, e.val)
}

// addValue adds a record without key.
func (e *Emitter) addValue(value []byte, headers ...stream.Header) error {
	e.val = value
	return e.batch.AddAt(e.stamp, nil, value, headers...)
}

// addSkipped adds the notices of what was left out since the last ones.
func (e *Emitter) addSkipped() error {
	for why, n := range e.skipped {
		if n == 0 {
			continue
		}
		if err := e.addValue(post.AppendSkipped(e.val[:0], n, skipNames[why])); err != nil {
			return err
		}
		e.skipped[why] = 0
	}
	return nil
}

// addLetter adds a message that could not be decoded as it is.
func (e *Emitter) addLetter(l Letter, cause error) error {
	const told = 10 // one by one; the rest in numbers
	switch n := e.count.undecodable.Add(1); {
	case n <= told:
		e.logger.Warn("cannot decode a message; it will be a dead letter", "from", l.From, "line", l.Line, "error", cause)
	case n == told+1:
		e.logger.Warn("more messages cannot be decoded; see the dead letters")
	}
	headers := []stream.Header{
		{Key: HeaderSource, Value: []byte(l.From)},
		{Key: HeaderLine, Value: strconv.AppendInt(nil, l.Line, 10)},
		{Key: HeaderError, Value: []byte(cause.Error())},
	}
	if l.Cut > 0 {
		headers = append(headers, stream.Header{Key: HeaderCut, Value: strconv.AppendInt(nil, l.Cut, 10)})
	}
	return e.batch.AddAt(e.stamp, nil, l.Data, headers...)
}

// A pacer spreads messages evenly. Who comes late catches up to a second.
type pacer struct {
	interval time.Duration // 0: no pace is kept
	due      time.Time     // of the next message
}

func newPacer(rate float64) pacer {
	if rate <= 0 {
		return pacer{}
	}
	return pacer{interval: time.Duration(float64(time.Second) / rate)}
}

// next returns how long to wait before the next message.
func (p *pacer) next(now func() time.Time) time.Duration {
	const (
		late = time.Second
		fine = time.Millisecond // what timers are worth
	)
	if p.interval == 0 {
		return 0
	}
	t := now()
	if t.Sub(p.due) > late {
		p.due = t
	}
	pause := p.due.Sub(t)
	p.due = p.due.Add(p.interval)
	if pause < fine {
		return 0
	}
	return pause
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("keep the pace: %w", ctx.Err())
	}
}
