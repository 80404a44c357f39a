package mastodon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tagtide/tagtide/emitter/live"
)

// maxWaiting is how many bytes of events wait while a page is read, or the sink
// holds us back.
const maxWaiting = 4 << 20

// follow reads the stream as long as it lasts, and the pages before it.
func (s *Source) follow(ctx context.Context, in instance) error {
	u, err := s.client.streaming(in)
	if err != nil {
		return err
	}
	sctx, watch := live.NewWatch(ctx, s.o.Silence)
	defer watch.End()
	resp, err := s.client.get(sctx, u, "text/event-stream")
	if err != nil {
		return fmt.Errorf("connect to its stream: %w", err)
	}
	defer resp.Body.Close()
	inbox := live.NewInbox[meta](maxWaiting)
	var listening sync.WaitGroup
	listening.Go(func() { inbox.Close(s.listen(sctx, watch.Reader(resp.Body), inbox)) })
	defer listening.Wait()
	defer watch.End()
	return s.handOver(ctx, inbox)
}

// listen reads events into the inbox, and returns why there are no more.
func (s *Source) listen(ctx context.Context, body io.Reader, inbox *live.Inbox[meta]) error {
	first := true
	r := newEventReader(body, s.o.MaxEvent, func() {
		if first {
			s.keeper.Connected()
			s.logger.Info("listening to the stream of public posts")
		}
		first = false
		s.keeper.Heard()
	})
	for {
		e, err := r.next()
		switch {
		case err == nil:
		case first && errors.Is(err, live.ErrSilent):
			return fmt.Errorf("%w: is there a proxy before the server that keeps the stream to itself?", err)
		case err == io.EOF:
			return errors.New("the server ended its stream")
		default:
			return fmt.Errorf("read its stream: %w", err)
		}
		k, ok := kinds[e.name]
		if !ok {
			continue
		}
		m := meta{kind: k, long: e.long}
		if e.long == 0 {
			m = parseMeta(k, e.data)
		}
		if err := inbox.Add(ctx, e.data, m); err != nil {
			return err
		}
	}
}

// handOver hands over what comes to the inbox, and in between the pages that
// fill the gap before it. What came before an error is handed over before it is
// returned.
func (s *Source) handOver(ctx context.Context, inbox *live.Inbox[meta]) error {
	s.progress.gap = true
	behind, failures := earlier(s.progress.cursor, s.o.Overlap), 0
	s.pacer.asked() // a moment later: the server answers before it listens on our behalf
	for {
		if s.progress.gap && !time.Now().Before(s.pacer.due) {
			last, err := s.page(ctx, behind)
			switch {
			case err == nil && last == "":
				s.progress.closeGap()
				s.logger.Info("the gap before the stream is filled", "cursor", s.progress.cursor)
			case err == nil:
				behind, failures = last, 0
			case ctx.Err() != nil, errors.As(err, new(*refusal)), errors.As(err, new(*sinkError)):
				return err
			default:
				failures++
				s.pacer.hold(s.wait(failures, err))
				s.logger.Warn("cannot fill the gap before the stream; trying again", "error", s.redact(err))
			}
		}
		events, err := s.take(ctx, inbox)
		if err != nil {
			return err
		}
		if events == nil {
			continue
		}
		if err := s.progress.events(ctx, events); err != nil {
			return err
		}
	}
}

// errDue says that a page is due.
var errDue = errors.New("a page is due")

// take waits for events. It returns nil if before that a page is due.
func (s *Source) take(ctx context.Context, inbox *live.Inbox[meta]) (*live.Batch[meta], error) {
	if !s.progress.gap {
		return inbox.Take(ctx)
	}
	ctx, cancel := context.WithDeadlineCause(ctx, s.pacer.due, errDue)
	defer cancel()
	events, err := inbox.Take(ctx)
	if err == errDue {
		return nil, nil
	}
	return events, err
}
