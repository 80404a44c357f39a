package main

import (
	"github.com/tagtide/tagtide/api"
	"github.com/tagtide/tagtide/internal/ranking"
	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/view"
)

// counts is a view as the API reads it.
type counts struct{ v *view.View }

func (c counts) Top(n int) []ranking.Row { return c.v.Index().Top(n) }

func (c counts) Page(after *ranking.Key, limit int, prefix string) ([]ranking.Row, bool) {
	return c.v.Index().Page(after, limit, prefix)
}

func (c counts) Get(tag string) (ranking.Row, bool) { return c.v.Index().Get(tag) }

func (c counts) Len() int64 { return int64(c.v.Index().Len()) }

func (c counts) Freshness() api.Freshness {
	f := c.v.Freshness()
	state := map[stream.ViewState]api.State{
		stream.Restoring: api.Restoring, stream.Running: api.Running, stream.Disconnected: api.Disconnected,
	}[f.State]
	return api.Freshness{State: state, AsOf: f.AsOf, Lag: f.Lag, LagKnown: f.Lag >= 0, Progress: f.Progress, ETA: f.ETA}
}

func (c counts) Totals() api.Totals {
	t := c.v.Totals()
	return api.Totals{
		Posts: t.Posts, Uses: c.v.Index().Sum(), Tags: int64(c.v.Index().Len()),
		PostsPerSecond: t.PostsPerSecond, Skipped: t.Skipped, DeadLetters: t.DeadLetters,
		Duplicates: t.Duplicates, Edits: t.Edits, Deletes: t.Deletes,
	}
}
