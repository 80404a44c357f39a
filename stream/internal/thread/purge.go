package thread

import (
	"context"
	"maps"
	"time"

	"github.com/tagtide/tagtide/stream/internal/record"
)

// purgeEvery is how often consumed prefixes are removed.
const purgeEvery = 2 * time.Second

// A purger removes what nobody will read again: the loop's consumed prefix,
// and the inputs' where that was asked for.
//
// Invariant: it never purges past a committed position, nor past what a crash
// leaves of a table that is folded from an input: that would need it again.
type purger struct {
	before map[record.Partition]int64 // committed positions not yet purged to
	job    *Job
	next   time.Time // when to purge again; zero: nothing to do
}

// committed notes the positions of a committed interval.
func (p *purger) committed(t *Thread, n *interval) {
	for _, part := range n.parts {
		for i, s := range t.subs[part.run.id.Sub].Sources {
			if !t.cfg.Topology.Sources[s].Loop && !t.cfg.PurgeInputs {
				continue
			}
			if p.before == nil {
				p.before = map[record.Partition]int64{}
			}
			p.before[part.run.sources[i]] = part.run.foldedUntil(i, part.next[i])
		}
	}
	if p.next.IsZero() && len(p.before) > 0 {
		p.next = n.since.Add(purgeEvery)
	}
}

// foldedUntil is the position before which a crash makes nobody read a source
// again that has been handled up to next.
func (r *run) foldedUntil(source int, next int64) int64 {
	for i, kept := range r.kept {
		if kept != nil && r.foldedFrom(i) == source {
			next = min(next, kept.Durable().Next)
		}
	}
	return next
}

func (t *Thread) purge(now time.Time) (bool, error) {
	p := &t.purger
	if p.job != nil {
		done, err := p.job.Done()
		if done {
			p.job = nil
			if err != nil {
				t.cfg.Logger.Warn("cannot remove consumed records, trying again later", "error", err)
			}
		}
		return done, nil
	}
	if p.next.IsZero() || now.Before(p.next) {
		return false, nil
	}
	before := maps.Clone(p.before)
	clear(p.before)
	p.next = time.Time{}
	p.job = &Job{}
	t.cfg.Runner.Go("purge", p.job, func(ctx context.Context) error { return t.cfg.Log.Purge(ctx, before) })
	return true, nil
}
