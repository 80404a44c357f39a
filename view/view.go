// Package view keeps the counts of the hashtags group ready for questions: all
// of them in order, with the totals, following the group's tables and telling
// how fresh it is.
package view

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tagtide/tagtide/internal/ranking"
	"github.com/tagtide/tagtide/internal/spelling"
	"github.com/tagtide/tagtide/internal/totals"
	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
)

// Options tune a view. The zero value is good.
type Options struct {
	State   *stream.State // default: in memory
	Logger  *slog.Logger
	Metrics stream.Registerer
	Now     func() time.Time // default time.Now
}

// A View of the counts. Safe for concurrent use; Run is called once.
type View struct {
	counts   *stream.View[int64]
	displays *stream.View[string]
	totals   *stream.View[int64]
	index    ranking.Index
	sums     sums
	now      func() time.Time

	updates []ranking.Update  // scratch of the goroutine that follows the counts
	shown   []ranking.Display // scratch of the goroutine that follows the displays
}

// New makes a view of the tables of a group. Nothing happens before Run.
func New(l *stream.Log, g *stream.GroupGraph, o Options) (*View, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	v := &View{now: o.Now, sums: sums{rows: map[row]int64{}}}
	var err error
	if v.counts, err = follow(l, stream.GroupTable(g.Group()), codec.Int64, g, o, v.rank); err != nil {
		return nil, fmt.Errorf("view of the counts: %w", err)
	}
	if v.displays, err = follow(l, stream.TableTopic(g.Group(), spelling.Table), spelling.Displays, g, o, v.show); err != nil {
		return nil, fmt.Errorf("view of the spellings: %w", err)
	}
	if v.totals, err = follow(l, stream.TableTopic(g.Group(), totals.Table), codec.Int64, g, o, v.sum); err != nil {
		return nil, fmt.Errorf("view of the totals: %w", err)
	}
	if err := v.register(o.Metrics); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return v, nil
}

func follow[V any](l *stream.Log, topic string, c codec.Codec[V], g *stream.GroupGraph, o Options, changed func([]stream.Change[V]) error) (*stream.View[V], error) {
	return stream.NewView(l, topic, c, stream.ViewOptions[V]{State: o.State, Changed: changed, Of: g, Logger: o.Logger, Metrics: o.Metrics})
}

// Run follows the tables until ctx ends.
func (v *View) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return v.counts.Run(ctx) })
	g.Go(func() error { return v.displays.Run(ctx) })
	g.Go(func() error { return v.totals.Run(ctx) })
	return g.Wait()
}

// Index returns the counts in order, live. Each table is followed for itself: a
// tag's display may be that of a commit before or after the one its count is of.
func (v *View) Index() *ranking.Index { return &v.index }

// rank takes changed counts over into the order.
func (v *View) rank(changes []stream.Change[int64]) error {
	v.updates = v.updates[:0]
	for _, c := range changes {
		v.updates = append(v.updates, ranking.Update{Tag: c.Key, Count: c.Value})
	}
	v.index.Apply(v.updates)
	return nil
}

// show takes changed spellings over into the order.
func (v *View) show(changes []stream.Change[string]) error {
	v.shown = v.shown[:0]
	for _, c := range changes {
		v.shown = append(v.shown, ranking.Display{Tag: c.Key, Display: c.Value})
	}
	v.index.ApplyDisplays(v.shown)
	return nil
}

func (v *View) sum(changes []stream.Change[int64]) error {
	following := v.totals.Freshness().State != stream.Restoring
	v.sums.apply(changes, v.now(), following)
	return nil
}

// Freshness tells how far what the view shows is behind the log, counts,
// spellings and totals taken together.
func (v *View) Freshness() stream.Freshness {
	return together(v.counts.Freshness(), together(v.displays.Freshness(), v.totals.Freshness()))
}

// together is the freshness of two tables of one group. Each was measured from
// the group's inputs on: a post that is on its way to one table only is in that
// one's lag, whichever of the two was measured first. What both have yet to
// get counts once.
func together(a, b stream.Freshness) stream.Freshness {
	worse := a
	if b.State == stream.Restoring && a.State != stream.Restoring || b.State == stream.Disconnected && a.State == stream.Running {
		worse = b
	}
	worse.AsOf = a.AsOf
	if b.AsOf.Before(a.AsOf) {
		worse.AsOf = b.AsOf
	}
	worse.Lag = -1
	if a.Lag >= 0 && b.Lag >= 0 {
		worse.Lag = max(a.Lag, b.Lag)
	}
	return worse
}

// Totals are sums over everything counted.
type Totals struct {
	Posts, Uses, Skipped, DeadLetters int64
	Duplicates, Edits, Deletes        int64
	PostsPerSecond                    float64
}

// Totals returns the sums as of now.
func (v *View) Totals() Totals { return v.sums.totals(v.now()) }

// sums adds up the rows of the totals' partitions.
type sums struct {
	mu   sync.Mutex
	rows map[row]int64 // guarded by mu
	rate rate          // guarded by mu
}

type row struct {
	partition int32
	name      string
}

// apply takes changed rows over. Only what comes while following is growth.
func (s *sums) apply(changes []stream.Change[int64], now time.Time, following bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range changes {
		s.rows[row{c.Partition, name(c.Key)}] = c.Value
	}
	if following {
		s.rate.note(s.add(totals.Posts), now)
	}
}

// name returns one of the known names, so that no row pins what it came from.
func name(key string) string {
	for _, known := range totals.All {
		if key == known {
			return known
		}
	}
	return ""
}

func (s *sums) add(name string) (total int64) {
	for r, n := range s.rows {
		if r.name == name {
			total += n
		}
	}
	return total
}

func (s *sums) totals(now time.Time) Totals {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Totals{
		Posts: s.add(totals.Posts), Uses: s.add(totals.Uses), Skipped: s.add(totals.Skipped),
		Duplicates: s.add(totals.Duplicates), Edits: s.add(totals.Edits), Deletes: s.add(totals.Deletes),
		DeadLetters: s.add(totals.DeadLetters), PostsPerSecond: s.rate.perSecond(now),
	}
}
