package pebblestore

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// A holding is what one table holds, in a form too dumb to be wrong.
type holding struct {
	next   int64
	values map[string]string
}

func (c holding) equal(other holding) bool {
	return c.next == other.next && maps.Equal(c.values, other.values)
}

// tables is how many tables a history changes.
const tables = 3

// A history drives a store with random calls and remembers what the tables
// held after each of them.
type history struct {
	rng    *rand.Rand
	store  *Store
	tables [tables]*table
	states [][tables]holding // after each call, and before the first
	synced int               // the call up to which nothing may be lost

	// Of the last table, which is changed lazily now and then.
	lazy  bool  // it is
	eager []int // after each call: the last one that was not lazy
}

const lazyTable = tables - 1

func partition(i int) record.Partition { return record.Partition{Topic: "t", Number: int32(i)} }

func newHistory(seed uint64) *history {
	h := &history{rng: rand.New(rand.NewPCG(seed, seed))}
	h.states, h.eager = append(h.states, [tables]holding{}), []int{0}
	return h
}

func (h *history) open(s *Store) error {
	h.store = s
	for i := range h.tables {
		t, err := s.Open(partition(i), store.Identity{})
		if err != nil {
			return err
		}
		h.tables[i] = t.(*table)
	}
	return nil
}

// step makes one call. begun is called when it is known what the call will do.
func (h *history) step(begun func()) error {
	now := h.states[len(h.states)-1]
	for i := range now {
		now[i].values = maps.Clone(now[i].values)
	}
	sync, eager := true, h.eager[len(h.eager)-1]
	var call func() error
	switch n := h.rng.IntN(20); {
	case n < 14:
		changes := h.changes(&now)
		sync = h.rng.IntN(3) == 0
		for _, c := range changes {
			if c.Table == h.tables[lazyTable] && !c.Lazy {
				eager = len(h.states)
			}
		}
		call = func() error { return h.store.Apply(changes, sync) }
	case n == 14:
		i := h.rng.IntN(tables)
		now[i] = holding{}
		if call = h.tables[i].Wipe; i == lazyTable {
			eager = len(h.states)
		}
	case n == 15:
		sync, call = false, h.compact
	default:
		sync, call = false, h.flush
	}
	h.states, h.eager = append(h.states, now), append(h.eager, eager)
	begun()
	if err := call(); err != nil {
		return err
	}
	if sync {
		h.synced = len(h.states) - 1
	}
	return nil
}

func (h *history) flush() error {
	_, err := h.store.db.AsyncFlush()
	return err
}

func (h *history) compact() error {
	return h.store.db.Compact(context.Background(), []byte{0}, []byte{0xff}, false)
}

// changes draws changes of some tables, and makes them in now.
func (h *history) changes(now *[tables]holding) []store.Change {
	var changes []store.Change
	for _, i := range h.rng.Perm(tables)[:1+h.rng.IntN(2)] {
		c := &now[i]
		if c.values == nil {
			c.values = make(map[string]string)
		}
		c.next = int64(len(h.states))
		change := store.Change{Table: h.tables[i], Checkpoint: store.Checkpoint{Next: c.next, Time: time.Unix(c.next, 0)}}
		change.Lazy = h.lazy && i == lazyTable && h.rng.IntN(4) > 0
		sparse := 2 + h.rng.IntN(8)
		for k := range 40 {
			if h.rng.IntN(sparse) != 0 {
				continue
			}
			e := store.Entry{Key: fmt.Appendf(nil, "key %02d", k)}
			if delete(c.values, string(e.Key)); h.rng.IntN(4) != 0 {
				e.Value = fmt.Appendf(nil, "%d", c.next)
				c.values[string(e.Key)] = string(e.Value)
			}
			change.Entries = append(change.Entries, e)
		}
		changes = append(changes, change)
	}
	return changes
}

// read returns what a table of a store holds, and if Open wiped it.
func read(s *Store, i int) (c holding, wiped string, err error) {
	t, err := s.Open(partition(i), store.Identity{})
	if err != nil {
		return holding{}, "", err
	}
	c = holding{next: t.Checkpoint().Next, values: make(map[string]string)}
	return c, t.Wiped(), t.Scan(nil, func(key, value []byte) bool {
		c.values[string(key)] = string(value)
		return true
	})
}

// find returns the last call in [from, to] after which all tables held this, or -1.
// The lazy table may hold what it held earlier, though not before the call durable,
// nor before the last one of those that was not lazy.
func (h *history) find(from, to, durable int, got [tables]holding) int {
	for k := to; k >= from; k-- {
		if !slices.EqualFunc(h.states[k][:lazyTable], got[:lazyTable], holding.equal) {
			continue
		}
		least, most := k, k
		if h.lazy {
			least, most = max(durable, h.eager[k]), to
		}
		for ; least <= most; least++ {
			if h.states[least][lazyTable].equal(got[lazyTable]) {
				return k
			}
		}
	}
	return -1
}

// durable is the call after which the lazy table has what no crash takes away.
func (h *history) durable() int { return int(h.tables[lazyTable].Durable().Next) }

func (c holding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "@%d", c.next)
	for _, k := range slices.Sorted(maps.Keys(c.values)) {
		fmt.Fprintf(&b, " %s=%s", k[4:], c.values[k])
	}
	return b.String()
}
