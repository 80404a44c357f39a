package embedded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// A txn is a transaction from its admission to its end.
//
//	            ┌─────────┐  Producer of the same id, or it is Due
//	admitted ──▶│ ongoing │──────────────────────────────▶ aborted: its batches go
//	   │        └────┬────┘
//	   │             │ delayed: its own end arrives when it is Due
//	   │        ┌────▼─────┐  Producer of the same id, or it is Due
//	   │        │ prepared │─────────────────────────────▶ committed
//	   │        └──────────┘                                  ▲
//	   └──────────────────────────────────────────────────────┘ nearly always
//
// Without faults, a transaction is admitted and committed in one write. Only
// faults leave one open; then it is a row of its own until another write ends it.
type txn struct {
	id string
	txnRow
}

type txnState string

const (
	// ongoing: nobody decided it. It ends by being aborted.
	ongoing txnState = "ongoing"
	// delayed is ongoing, but its commit is under way and arrives when Due,
	// if no new producer is faster.
	delayed txnState = "delayed"
	// prepared: decided, but not visible yet. It ends by being committed.
	prepared txnState = "prepared"
)

// hold makes a transaction undecided for all: readers stop before it, and the
// positions it carries are unstable. l.mu is held.
func (l *Log) hold(t *txn) {
	for _, s := range t.Spans {
		if p, err := l.atPlace(s.place()); err == nil {
			p.hold(s.Base)
		}
	}
	for _, n := range t.Positions {
		l.groupFor(t.Group).unstable[n.place()]++
	}
}

// release undoes hold; if the transaction was committed, its positions count.
// A topic that was deleted meanwhile is passed over. l.mu is held.
func (l *Log) release(t *txn, committed bool) {
	for _, s := range t.Spans {
		if p, err := l.atPlace(s.place()); err == nil {
			p.release(s.Base)
			l.moved = append(l.moved, p.watchers()...)
		}
	}
	if len(t.Positions) == 0 {
		return
	}
	g := l.groupFor(t.Group)
	for _, n := range t.Positions {
		if _, err := l.atPlace(n.place()); err != nil {
			continue
		}
		if g.unstable[n.place()]--; g.unstable[n.place()] <= 0 {
			delete(g.unstable, n.place())
		}
		if committed {
			g.positions[n.place()] = n.Next
		}
	}
}

// without returns the transaction without what it did to a topic.
func (t *txn) without(topic uint32) (rest *txn, changed bool) {
	rest = &txn{t.id, t.txnRow}
	rest.Spans = slices.DeleteFunc(slices.Clone(t.Spans), func(s spanRow) bool { return s.Topic == topic })
	rest.Positions = slices.DeleteFunc(slices.Clone(t.Positions), func(n position) bool { return n.Topic == topic })
	return rest, len(rest.Spans) < len(t.Spans) || len(rest.Positions) < len(t.Positions)
}

// positionRows writes the group positions of a transaction that commits.
func (t *txn) positionRows(b *pebble.Batch) {
	for _, n := range t.Positions {
		set(b, positionKey(n.place(), t.Group), encodePosition(n.Next))
	}
}

// planEnd ends an open transaction.
func (l *Log) planEnd(b *pebble.Batch, t *txn, commit bool) (publish func()) {
	del(b, textKey(kindOpen, t.id))
	if commit {
		t.positionRows(b)
	} else {
		l.planErase(b, t)
	}
	return func() {
		delete(l.undecided, t.id)
		l.release(t, commit)
	}
}

// endOf plans the end of an id's open transaction; nothing if it has none.
func (l *Log) endOf(id string, commit bool) plan {
	return func(b *pebble.Batch) (func(), error) {
		l.mu.Lock()
		t := l.undecided[id]
		l.mu.Unlock()
		if t == nil {
			return func() {}, nil
		}
		return l.planEnd(b, t, commit), nil
	}
}

// planErase takes out what an aborted transaction wrote. Its places stay
// unused for ever.
func (l *Log) planErase(b *pebble.Batch, t *txn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range t.Spans {
		p, err := l.atPlace(s.place())
		if err != nil {
			continue
		}
		for _, kind := range []byte{kindBatch, kindIndex} {
			delRange(b, offsetKey(nil, kind, s.place(), s.Base), offsetKey(nil, kind, s.place(), s.Next))
		}
		p.bytes -= s.Bytes
		p.dirty -= s.Bytes
		set(b, placeKey(kindExtent, s.place()), p.encode())
	}
}

// OpenTransactions implements [log.Log].
func (l *Log) OpenTransactions(context.Context) ([]log.OpenTransaction, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.alive(); err != nil {
		return nil, err
	}
	var all []log.OpenTransaction
	for _, id := range slices.Sorted(maps.Keys(l.undecided)) {
		t := l.undecided[id]
		o := log.OpenTransaction{TransactionalID: id, Since: t.Since}
		for _, s := range t.Spans {
			if p, err := l.atPlace(s.place()); err == nil {
				o.Partitions = append(o.Partitions, p.name())
			}
		}
		all = append(all, o)
	}
	return all, nil
}

// Producer implements [log.Log].
func (l *Log) Producer(ctx context.Context, transactionalID string) (log.Producer, error) {
	if transactionalID == "" {
		return nil, errors.New("producer: the transactional id is empty")
	}
	p := &producer{log: l, id: transactionalID}
	err := l.write(ctx, l.exclusive(func(b *pebble.Batch) (func(), error) { return l.planProducer(b, p) }))
	if err != nil {
		return nil, fmt.Errorf("producer %q: %w", transactionalID, err)
	}
	return p, nil
}

// planProducer counts the id's epoch up, and ends what its last producer left.
func (l *Log) planProducer(b *pebble.Batch, p *producer) (func(), error) {
	l.mu.Lock()
	row, known := l.producers[p.id]
	next := l.counters
	left := l.undecided[p.id]
	l.mu.Unlock()
	if row.Epoch++; !known || row.Epoch == math.MaxInt16 {
		next.Producer++
		row = producerRow{ID: next.Producer}
		set(b, []byte{kindCounters}, encodeRow(next))
	}
	set(b, textKey(kindProducer, p.id), encodeRow(row))
	end := func() {}
	if left != nil {
		end = l.planEnd(b, left, left.State == prepared)
	}
	return func() {
		l.counters = next
		l.producers[p.id] = row
		p.row = row
		end()
	}, nil
}

// A producer is one incarnation of a transactional id.
type producer struct {
	log  *Log
	id   string
	row  producerRow
	dead bool
}

// Close implements [log.Producer].
func (p *producer) Close() error {
	p.dead = true
	return nil
}

// Commit implements [log.Producer].
func (p *producer) Commit(ctx context.Context, t *log.Txn) (log.Receipt, error) {
	if p.dead {
		return log.Receipt{}, fmt.Errorf("commit as %q: %w: the producer is dead", p.id, log.ErrFenced)
	}
	c := &commit{log: p.log, producer: p, txn: t, fate: p.log.fate(p, t)}
	err := c.run(ctx)
	if errors.Is(err, log.ErrFenced) || errors.Is(err, log.ErrInDoubt) {
		p.dead = true
	}
	if err != nil {
		return log.Receipt{}, fmt.Errorf("commit as %q: %w", p.id, err)
	}
	return c.receipt, nil
}

// Bounds of what is taken.
const (
	maxBatch = 32 << 20
	maxTxn   = 1 << 30
)

// A commit is one call of Commit.
type commit struct {
	log      *Log
	producer *producer
	txn      *log.Txn
	fate     Fate
	places   []*partition // of the writes, in order
	receipt  log.Receipt
}

func (c *commit) run(ctx context.Context) error {
	if err := c.fate.before(c); err != nil {
		return err
	}
	size := c.size()
	if err := c.log.checkSpace(size); err != nil {
		return err
	}
	if err := c.log.writeSized(ctx, size, c.plan); err != nil {
		return err
	}
	return c.fate.after(c)
}

// size is about how large the Pebble batch becomes.
func (c *commit) size() int {
	const fixed, perWrite, perBatch = 512, 128, 128
	n := fixed
	for _, w := range c.txn.Writes {
		n += perWrite + w.Records.Bytes() + perBatch*w.Records.Batches()
	}
	return n
}

// plan admits the transaction, allots its places and writes its rows.
func (c *commit) plan(b *pebble.Batch) (func(), error) {
	l := c.log
	l.mu.Lock()
	t, err := c.admit()
	if err == nil {
		c.allot(t)
		l.hold(t)
	}
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	c.batchRows(b, t)
	if t.State != "" {
		set(b, textKey(kindOpen, t.id), encodeRow(t.txnRow))
		return func() { l.undecided[t.id] = t }, nil
	}
	t.positionRows(b)
	return func() { l.release(t, true) }, nil
}

// admit checks everything that can be wrong with a transaction, so that
// nothing is after it. l.mu is held.
func (c *commit) admit() (*txn, error) {
	l := c.log
	if l.producers[c.producer.id] != c.producer.row {
		return nil, log.ErrFenced
	}
	if err := l.checkClaim(c.txn); err != nil {
		return nil, err
	}
	if err := c.checkWrites(); err != nil {
		return nil, err
	}
	t := &txn{id: c.producer.id, txnRow: txnRow{Group: c.txn.Claim.Group}}
	c.fate.open(&t.txnRow, l.o.Now(), l.o.TransactionTimeout)
	for _, name := range slices.SortedFunc(maps.Keys(c.txn.Positions), comparePartitions) {
		p, err := l.partition(name)
		if err != nil {
			return nil, fmt.Errorf("position: %w", err)
		}
		t.Positions = append(t.Positions, position{p.topic.id, p.number, c.txn.Positions[name]})
	}
	return t, nil
}

func (c *commit) checkWrites() error {
	c.places = c.places[:0]
	total := 0
	for _, w := range c.txn.Writes {
		p, err := c.log.partition(w.Partition)
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		c.places = append(c.places, p)
		total += w.Records.Bytes()
		for i := range w.Records.Batches() {
			if n := w.Records.BatchLen(i); n > maxBatch {
				return fmt.Errorf("%w: a batch of %d bytes for %s/%d, at most %d", log.ErrTooLarge, n, w.Partition.Topic, w.Partition.Number, maxBatch)
			}
		}
	}
	if total > maxTxn {
		return fmt.Errorf("%w: a transaction of %d bytes, at most %d", log.ErrTooLarge, total, maxTxn)
	}
	return nil
}

// allot gives every write its places, and every partition written to one span.
// l.mu is held.
func (c *commit) allot(t *txn) {
	c.receipt.Next = make([]int64, len(c.txn.Writes))
	for i, w := range c.txn.Writes {
		p := c.places[i]
		n := slices.IndexFunc(t.Spans, func(s spanRow) bool { return s.place() == p.place() })
		if n < 0 {
			n = len(t.Spans)
			t.Spans = append(t.Spans, spanRow{Topic: p.topic.id, Partition: p.number, Base: p.next})
		}
		p.next += int64(w.Records.Count())
		p.bytes += int64(w.Records.Bytes())
		p.dirty += int64(w.Records.Bytes())
		t.Spans[n].Next = p.next
		t.Spans[n].Bytes += int64(w.Records.Bytes())
		c.receipt.Next[i] = p.next
	}
	for _, s := range t.Spans {
		c.log.byID[s.Topic].partitions[s.Partition].next += c.fate.Holes
	}
}

// batchRows writes the batches, what searches need of them, and the extents.
func (c *commit) batchRows(b *pebble.Batch, t *txn) {
	info := record.ProducerInfo{ID: c.producer.row.ID, Epoch: c.producer.row.Epoch, Sequence: -1, Transactional: true}
	var row [indexLen]byte
	var key [offsetKeyLen]byte
	for i, w := range c.txn.Writes {
		at := c.places[i].place()
		base := c.receipt.Next[i] - int64(w.Records.Count())
		for n := range w.Records.Batches() {
			op := b.SetDeferred(offsetKeyLen, w.Records.BatchLen(n))
			batch := w.Records.SealBatch(op.Value, n, base, info)
			offsetKey(op.Key[:0], kindBatch, at, batch.Base())
			finish(op)
			set(b, offsetKey(key[:0], kindIndex, at, batch.Base()), indexOf(batch).append(row[:0]))
		}
	}
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	for _, s := range t.Spans {
		set(b, placeKey(kindExtent, s.place()), c.log.byID[s.Topic].partitions[s.Partition].encode())
	}
}

func finish(op *pebble.DeferredBatchOp) {
	if err := op.Finish(); err != nil {
		panic(err) // it only fails for batches with an index, and ours have none
	}
}

// checkClaim checks what a transaction says of its membership. l.mu is held.
func (l *Log) checkClaim(t *log.Txn) error {
	c := t.Claim
	if c.Group == "" {
		if len(t.Positions) > 0 {
			return errors.New("positions without a group")
		}
		return nil
	}
	g := l.groups[c.Group]
	if c.Member == "" && c.Generation < 0 && (g == nil || len(g.members) == 0) {
		return nil
	}
	if g == nil || g.members[c.Member] == nil || g.generation != c.Generation {
		return fmt.Errorf("%w: group %q, member %q, generation %d", log.ErrGeneration, c.Group, c.Member, c.Generation)
	}
	return nil
}

func comparePartitions(a, b record.Partition) int {
	if a.Topic != b.Topic {
		if a.Topic < b.Topic {
			return -1
		}
		return 1
	}
	return int(a.Number) - int(b.Number)
}
