package thread

import (
	"context"
	"slices"
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
			p.before[part.run.sources[i]] = part.next[i]
		}
	}
	if p.next.IsZero() && len(p.before) > 0 {
		p.next = n.since.Add(purgeEvery)
	}
}

// purgeable is how far a source may be purged of what was handled up to next: a
// crash must not make anybody need more. gone tells that the task is not ours any
// more, whoever has it will see to it.
func (t *Thread) purgeable(source record.Partition, next int64) (until int64, gone bool) {
	for _, r := range t.runs {
		at := slices.Index(r.sources, source)
		if at < 0 || r.task == nil {
			continue
		}
		for i, kept := range r.kept {
			if kept != nil && r.foldedFrom(i) == at {
				next = min(next, kept.Durable().Next)
			}
		}
		return next, false
	}
	return 0, true
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
	before := map[record.Partition]int64{}
	p.next = time.Time{}
	for source, next := range p.before {
		until, gone := t.purgeable(source, next)
		if gone || until == next {
			delete(p.before, source)
		} else {
			p.next = now.Add(purgeEvery) // for the rest
		}
		if !gone {
			before[source] = until
		}
	}
	if len(before) == 0 {
		return false, nil
	}
	p.job = &Job{}
	t.cfg.Runner.Go("purge", p.job, func(ctx context.Context) error { return t.cfg.Log.Purge(ctx, before) })
	return true, nil
}
