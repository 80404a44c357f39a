package mastodon

import (
	"context"
	"fmt"
	"time"

	"github.com/tagtide/tagtide/emitter/live"
)

// poll reads the timeline in turns, each from somewhat before the cursor to the
// end.
func (s *Source) poll(ctx context.Context) error {
	for turn := 0; ; turn++ {
		behind := earlier(s.progress.cursor, s.o.Overlap)
		for page := 0; ; page++ {
			if err := live.Sleep(ctx, time.Until(s.pacer.due)); err != nil {
				return err
			}
			last, err := s.page(ctx, behind)
			if err != nil {
				return err
			}
			s.alive(turn+page == 0)
			if last == "" {
				s.tellIfEmpty(turn + page)
				break
			}
			behind = last
		}
		s.pacer.hold(s.o.Poll)
	}
}

func (s *Source) alive(first bool) {
	if first {
		s.keeper.Connected()
		s.logger.Info("polling the public timeline", "cursor", s.progress.cursor)
		return
	}
	s.keeper.Heard()
}

// tellIfEmpty tells that nothing came, if that was the first page of all.
func (s *Source) tellIfEmpty(page int) {
	if page == 0 && s.progress.cursor == "" {
		s.logger.Warn("the public timeline is empty: either nobody has written, or the server shows it to its users only")
	}
}

// begin makes sure that there is a cursor before anything else is handed over.
// A server without posts gives none. If it streams, there was nothing before the
// stream; if not, it may only show nothing, and the next page is the newest again.
func (s *Source) begin(ctx context.Context) error {
	if s.progress.cursor != "" {
		return nil
	}
	if err := live.Sleep(ctx, time.Until(s.pacer.due)); err != nil {
		return err
	}
	last, err := s.page(ctx, "")
	if err != nil || last != "" || s.o.Token == "" {
		return err
	}
	return s.progress.beginAt(ctx, beforeAll)
}

// page hands over the page behind an id, and returns the last id in it; "" at
// the end.
func (s *Source) page(ctx context.Context, behind string) (last string, err error) {
	s.pacer.asked()
	page, err := s.client.page(ctx, behind, &s.pacer)
	if err != nil {
		return "", fmt.Errorf("read its timeline behind %q: %w", behind, err)
	}
	if len(page) == 0 {
		return "", nil
	}
	return page[len(page)-1].id, s.progress.page(ctx, page)
}
