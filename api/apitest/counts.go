// Package apitest has counts in memory that a test sets by hand, on a real
// ranking, for tests of the API and of whoever stands on it.
package apitest

import (
	"sync"
	"time"

	"github.com/tagtide/tagtide/api"
	"github.com/tagtide/tagtide/internal/ranking"
)

var _ api.Counts = (*Counts)(nil)

// Counts are an api.Counts. The zero value is empty, and running as of now.
type Counts struct {
	ranking.Index

	mu     sync.Mutex
	fresh  *api.Freshness // nil: running, as of now, no lag
	totals api.Totals     // Uses and Tags come from the ranking
}

// Add adds n uses of a tag.
func (c *Counts) Add(tag string, n int64) {
	row, _ := c.Get(tag)
	c.Set(tag, row.Count+n)
}

// SetFreshness makes f what Freshness returns from now on.
func (c *Counts) SetFreshness(f api.Freshness) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fresh = &f
}

// SetTotals sets all totals but Uses and Tags.
func (c *Counts) SetTotals(t api.Totals) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.totals = t
}

// Freshness implements api.Counts.
func (c *Counts) Freshness() api.Freshness {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fresh == nil {
		return api.Freshness{State: api.Running, AsOf: time.Now(), LagKnown: true}
	}
	return *c.fresh
}

// Totals implements api.Counts.
func (c *Counts) Totals() api.Totals {
	c.mu.Lock()
	t := c.totals
	c.mu.Unlock()
	t.Uses, t.Tags = c.Sum(), c.Len()
	return t
}
