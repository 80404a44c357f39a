package pebblestore

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tagtide/tagtide/stream/internal/store"
)

// A content is what a table holds, open or not: what Pebble has of it, under
// what lies in the gather on top.
//
//	Get, Scan ──▶ gather ──▶ Pebble
//	                │ the memory is full, a minute is over, or the store is closed
//	                └───────▶ Pebble
type content struct {
	store *Store
	id    tableID
	// busy holds a token while the content is being changed: only who has it may
	// use kept, and store the pointers.
	busy chan struct{}
	kept progress // of what Pebble has

	checkpoint atomic.Pointer[store.Checkpoint] // of all, never nil
	durable    atomic.Pointer[store.Checkpoint] // of what is synced, never nil
	gather     atomic.Pointer[gather]           // never nil
	weight     atomic.Int64                     // its bytes, as they are accounted
}

// loadContent reads what Pebble has of a table. A table whose changes do not add
// up has lost some from the middle: it is wiped, for no checkpoint tells what is
// in it, and the reason is returned.
func (s *Store) loadContent(id tableID) (c *content, wiped string, err error) {
	p, err := s.progress(id)
	if err != nil {
		return nil, "", err
	}
	var count uint64
	err = s.get(appendPrefix(nil, id, kindCount), func(value []byte) error {
		count, err = decodeCount(value)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	c = &content{store: s, id: id, busy: make(chan struct{}, 1)}
	c.gather.Store(&gather{})
	c.moved(p, true)
	if count == p.changes {
		return c, "", nil
	}
	return c, fmt.Sprintf("damaged: %d of %d changes are there", count, p.changes), c.wipe()
}

func (c *content) hold()    { c.busy <- struct{}{} }
func (c *content) release() { <-c.busy }

// moved tells that Pebble is so far now, and that so is all. The token is held.
func (c *content) moved(to progress, durable bool) {
	c.kept = to
	c.checkpoint.Store(&to.checkpoint)
	if durable {
		c.durable.Store(&to.checkpoint)
	}
}

// tryHold takes the token if nobody has it.
func (c *content) tryHold() bool {
	select {
	case c.busy <- struct{}{}:
		return true
	default:
		return false
	}
}

// add makes a lazy change. The token is held.
func (c *content) add(entries []store.Entry, to store.Checkpoint) {
	g := c.gather.Load().with(entries)
	c.gather.Store(g)
	c.checkpoint.Store(&to)
	c.weigh(g)
	c.store.apart.add(c.id)
	c.store.late.arm()
}

// weigh keeps account of the memory that gathers take. The token is held.
func (c *content) weigh(g *gather) {
	now := int64(g.bytes())
	c.store.gathered.Add(now - c.weight.Swap(now))
}

// waits tells whether lazy changes did something that Pebble does not have. The
// token is held.
func (c *content) waits() bool {
	return len(c.gather.Load().runs) > 0 || *c.checkpoint.Load() != c.kept.checkpoint
}

// endGather begins a new gather, when Pebble has the old one or nobody needs it.
// The token is held.
func (c *content) endGather() {
	g := c.gather.Load().ended()
	c.gather.Store(g)
	c.weigh(g)
}

// wipe drops everything. The token is held, or nobody knows the content yet.
func (c *content) wipe() error {
	start, end := c.id.span()
	err := c.store.write(func() error { return c.store.db.DeleteRange(start, end, pebble.Sync) })
	if err == nil {
		c.wiped()
	}
	return err
}

// wiped tells that Pebble has nothing any more. The token is held.
func (c *content) wiped() {
	c.endGather()
	c.moved(progress{}, true)
}

// get appends the value of a key to dst.
func (c *content) get(dst, key []byte) ([]byte, bool, error) {
	if value, there := c.gather.Load().get(key); there {
		return append(dst, value...), value != nil, nil
	}
	// The end of dst is room for the key: Pebble is done with it when the
	// value is written there.
	n := len(dst)
	dst = append(appendPrefix(dst, c.id, kindEntry), key...)
	value, closer, err := c.store.db.Get(dst[n:])
	dst = dst[:n]
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, err
	}
	dst = append(dst, value...)
	if err := closer.Close(); err != nil {
		return dst[:n], false, err
	}
	return dst, true, nil
}

// scan yields what Pebble has, with what the gather has instead or between.
func (c *content) scan(from []byte, f func(key, value []byte) bool) (err error) {
	it, g, err := c.snapshot(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	it.First()
	for key, value := range g.all(from) {
		if on, err := yieldUntil(it, key, f); !on {
			return err
		}
		if it.Valid() && bytes.Equal(it.Key()[prefixLen:], key) {
			it.Next()
		}
		if value != nil && !f(key, value) {
			return nil
		}
	}
	_, err = yieldUntil(it, nil, f)
	return err
}

// yieldUntil yields what Pebble has before a key, nil for all. It tells whether
// to go on.
func yieldUntil(it *pebble.Iterator, before []byte, f func(key, value []byte) bool) (on bool, err error) {
	for ; it.Valid(); it.Next() {
		key := it.Key()[prefixLen:]
		if before != nil && bytes.Compare(key, before) >= 0 {
			return true, nil
		}
		value, err := it.ValueAndErr()
		if err != nil || !f(key, value) {
			return false, err
		}
	}
	return it.Error() == nil, nil // which closing it will tell
}

// snapshot returns what Pebble has from a key on, and the gather on top of just
// that. If Pebble took a gather over meanwhile, it is not certain whether it was
// before or after.
func (c *content) snapshot(from []byte) (*pebble.Iterator, *gather, error) {
	_, end := c.id.span()
	for {
		epoch := c.gather.Load().epoch
		it, err := c.store.db.NewIter(&pebble.IterOptions{
			LowerBound: append(appendPrefix(nil, c.id, kindEntry), from...),
			UpperBound: end,
		})
		if err != nil {
			return nil, nil, err
		}
		if g := c.gather.Load(); g.epoch == epoch {
			return it, g, nil
		}
		if err := it.Close(); err != nil {
			return nil, nil, err
		}
	}
}
