package logtest

import (
	"maps"
	"slices"
	"strings"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// A worker is a member that behaves as the contract asks: it takes up what a
// claim gives, releases what it lacks and then rejoins. Work is words.
type worker struct {
	log.Member
	f     *fixture
	claim log.Claim
	owns  map[string]bool
}

func words(b []byte) []string { return strings.Fields(string(b)) }

// deal is a fair, sticky, cooperative assignor of work.
func deal(work ...string) func([]log.MemberInfo) map[string][]byte {
	return func(members []log.MemberInfo) map[string][]byte {
		owner := map[string]string{}
		plan := map[string][]string{}
		for _, m := range members {
			for _, w := range slices.Concat(words(m.Metadata), words(m.Assignment)) {
				owner[w] = m.ID
			}
		}
		share := (len(work) + len(members) - 1) / max(len(members), 1)
		for _, w := range work {
			if id, owned := owner[w]; owned && len(plan[id]) < share {
				plan[id] = append(plan[id], w)
			}
		}
		for _, w := range work {
			if _, owned := owner[w]; owned {
				continue
			}
			to := slices.MinFunc(members, func(a, b log.MemberInfo) int { return len(plan[a.ID]) - len(plan[b.ID]) }).ID
			plan[to] = append(plan[to], w)
		}
		out := map[string][]byte{}
		for id, ws := range plan {
			out[id] = []byte(strings.Join(ws, " "))
		}
		return out
	}
}

// join joins a group with the fixture's name for it.
func (f *fixture) join(group string, o log.JoinOptions) log.Member {
	f.Helper()
	if o.Assign == nil {
		o.Assign = deal()
	}
	m, err := f.Log.Join(f.name(group), o)
	f.must(err)
	return m
}

// work joins a group as a worker.
func (f *fixture) work(group string, o log.JoinOptions) *worker {
	f.Helper()
	return &worker{Member: f.join(group, o), f: f, owns: map[string]bool{}}
}

func (w *worker) own() []string { return slices.Sorted(maps.Keys(w.owns)) }

func (w *worker) metadata() []byte { return []byte(strings.Join(w.own(), " ")) }

// step polls once and does what the claim asks.
func (w *worker) step() (changed bool) {
	w.f.Helper()
	claim, changed, err := w.Poll()
	w.f.must(err)
	if !changed {
		return false
	}
	w.claim = claim
	released := len(w.owns)
	maps.DeleteFunc(w.owns, func(word string, _ bool) bool {
		return claim.Lost || !slices.Contains(words(claim.Assignment), word)
	})
	released -= len(w.owns)
	if claim.Lost {
		w.Rejoin(nil)
		return true
	}
	for _, word := range words(claim.Assignment) {
		w.owns[word] = true
	}
	if released > 0 {
		w.Rejoin(w.metadata())
	} else {
		w.Update(w.metadata())
	}
	return true
}

// settle lets workers step until they own all the work under one generation,
// and nothing changes. No word may ever have two owners.
func (f *fixture) settle(work []string, workers ...*worker) {
	f.Helper()
	var have []string
	quiet := 0
	f.await("the workers to settle on "+strings.Join(work, " "), func() bool {
		changed := false
		for _, w := range workers {
			changed = w.step() || changed
			have = have[:0]
			for _, o := range workers {
				have = append(have, o.own()...)
			}
			slices.Sort(have)
			if len(slices.Compact(slices.Clone(have))) != len(have) {
				f.Fatalf("work with two owners: %v", have)
			}
		}
		apart := slices.ContainsFunc(workers, func(w *worker) bool { return w.claim.Generation != workers[0].claim.Generation })
		if quiet++; changed || apart || !slices.Equal(have, work) {
			quiet = 0
		}
		return quiet > 2
	})
}

// members are the workers' memberships.
func members(workers ...*worker) (all []log.Member) {
	for _, w := range workers {
		all = append(all, w.Member)
	}
	return all
}
