package thread

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// A freer ends the transactions that dead instances left open, and that hold a
// task back: its positions, or the end of its changelogs. Nobody waits until
// they time out. An instance that is not dead, only not heard of yet, finds
// itself fenced, and begins again at what is committed: it costs time, never a
// count.
type freer struct {
	held bool // somebody was held back since the last look
	at   time.Time
	job  *Job
}

// freePause is the time between two looks; the first comes soon, but not so
// soon that every commit of a neighbour that is under way is looked at.
const freePause = time.Second

// stuck notes that a task is held back.
func (f *freer) stuck(now time.Time) {
	if f.held = true; f.at.IsZero() && f.job == nil {
		f.at = now.Add(retryPause)
	}
}

// free looks for orphans while somebody is held back.
func (t *Thread) free(now time.Time) (bool, error) {
	f := &t.freer
	if f.job != nil {
		done, err := f.job.Done()
		if !done {
			return false, nil
		}
		if err != nil {
			t.cfg.Logger.Warn("cannot look for transactions that hold tasks back, trying again", "error", err)
		}
		f.job, f.at = nil, now.Add(freePause)
		return true, nil
	}
	if f.at.IsZero() || now.Before(f.at) {
		return false, nil
	}
	if f.at = (time.Time{}); !f.held || t.wanted.Hosts == nil {
		return false, nil
	}
	f.held, f.job = false, &Job{}
	hosts := t.wanted.Hosts
	t.cfg.Runner.Go("free", f.job, func(ctx context.Context) error { return t.fenceOrphans(ctx, hosts) })
	return true, nil
}

func (t *Thread) fenceOrphans(ctx context.Context, hosts map[string]int) error {
	open, err := t.cfg.Log.OpenTransactions(ctx)
	if err != nil {
		return err
	}
	for _, o := range open {
		if !t.orphan(o, hosts) {
			continue
		}
		t.cfg.Logger.Info("ending a transaction that an instance left open which is no longer in the group", "id", o.TransactionalID, "since", o.Since)
		if err := t.fence(ctx, o.TransactionalID); err != nil {
			return err
		}
	}
	return nil
}

// fence ends the open transaction of an id, and whoever writes under it.
func (t *Thread) fence(ctx context.Context, id string) error {
	p, err := t.cfg.Log.Producer(ctx, id)
	if err != nil {
		return err
	}
	return p.Close()
}

// orphan tells whether an open transaction is one of this group, and of an
// instance that is not in it, or of a thread that its instance does not have
// any more. One that writes only to what is not the group's is of another group
// whose name begins like ours.
func (t *Thread) orphan(o log.OpenTransaction, hosts map[string]int) bool {
	rest, ours := strings.CutPrefix(o.TransactionalID, t.cfg.Topology.Group+"-")
	dash := strings.LastIndexByte(rest, '-')
	if !ours || dash < 0 {
		return false
	}
	n, err := strconv.Atoi(rest[dash+1:])
	if err != nil {
		return false
	}
	threads, here := hosts[rest[:dash]]
	if here && n < threads {
		return false
	}
	foreign := 0
	for _, p := range o.Partitions {
		if !t.writes(p.Topic) {
			foreign++
		}
	}
	return foreign == 0 || foreign < len(o.Partitions)
}

// writes tells whether only this group writes to a topic.
func (t *Thread) writes(topic string) bool {
	for _, s := range t.cfg.Topology.Sources {
		if s.Loop && s.Topic == topic {
			return true
		}
	}
	return slices.ContainsFunc(t.cfg.Topology.Tables, func(tab topology.Table) bool { return tab.Owned && tab.Topic == topic })
}
