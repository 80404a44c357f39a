package stream

import (
	"fmt"
	"time"

	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// A Table is keyed state. Those that [Persist] and [NamedTable] make are the
// group's own: written only by its steps, kept on this machine and backed by a
// compacted topic, from which any instance can restore it. One that [Join]
// makes is another group's and can only be read.
type Table[V any] struct {
	tableEdge
	codec codec.Codec[V]
}

type tableEdge struct {
	place
	name  string // of a further table; "" for the group's own
	topic string
	owned bool
	// perPartition as in topology.Table.
	perPartition bool
	fold         *topology.Fold // of a folded one

	partitioner Partitioner // of a joined one
}

// Persist makes the group's table, topic GROUP-table. A group has at most one.
func Persist[V any](c codec.Codec[V]) *Table[V] {
	return &Table[V]{tableEdge: tableEdge{owned: true}, codec: c}
}

// NamedTable makes a further table of the group, topic GROUP-name-table.
func NamedTable[V any](name string, c codec.Codec[V]) *Table[V] {
	return &Table[V]{tableEdge: tableEdge{owned: true, name: name}, codec: c}
}

// PerPartition tells that the table's rows belong to the partition of the
// record that wrote them, whatever their keys: totals of each partition, say.
// Then partitions can be added to the inputs of its steps, also while the group
// runs: the table's topic is given as many, and no row has to move. Keys of a
// table without it belong to partitions by their hash, so that its inputs keep
// the number they began with. It comes before DefineGroup.
func (t *Table[V]) PerPartition() *Table[V] {
	if t.graph != nil {
		t.graph.fail("PerPartition of the table %s comes too late: call it before DefineGroup", t.topic)
	}
	t.perPartition = true
	return t
}

// FoldOptions say how long a folded table remembers.
type FoldOptions struct {
	// Keep is how long a row lives since it was last set, by stream time: the
	// largest timestamp of the partition's records so far. No clock has a say.
	Keep time.Duration
	// Replay is how much of the input makes the table anew, back from the
	// stream time. Default: Keep.
	Replay time.Duration
}

// Fold makes a table whose changelog is the input of the step that uses it. Its
// own topic, GROUP-name-table, holds no more than where the group has begun. So
// its rows cost nothing on the wire. Only one input may use it.
//
// Where a machine has lost the table, the step is run once more over the last
// FoldOptions.Replay of what was handled, with everything off but the table:
// other tables and lookups are empty then, and what else the step writes goes
// nowhere. So what it sets must be a function of the record, of stream time and
// of the rows that it sees, and of nothing that is longer ago than Replay; and
// the input must keep its records for as long.
func Fold[V any](name string, c codec.Codec[V], o FoldOptions) *Table[V] {
	if o.Replay == 0 {
		o.Replay = o.Keep
	}
	fold := &topology.Fold{Keep: o.Keep, Replay: o.Replay}
	return &Table[V]{tableEdge: tableEdge{owned: true, perPartition: true, name: name, fold: fold}, codec: c}
}

// Join makes another group's table readable for steps whose records are
// partitioned as it is, by the key of the record: with topic "users-table", the
// user of the record's key.
func Join[V any](topic string, c codec.Codec[V]) *Table[V] {
	return &Table[V]{tableEdge: tableEdge{topic: topic}, codec: c}
}

func (e *tableEdge) state() *tableEdge { return e }

func (e *tableEdge) addTo(g *GroupGraph) {
	if !e.enter(g, "a table") {
		return
	}
	switch {
	case !e.owned && e.perPartition:
		g.fail("the table %s is joined: how its rows are spread is its own group's affair", e.topic)
	case !e.owned:
		g.spread(e.topic, e.partitioner)
	case e.partitioner != FNV:
		g.fail("PartitionedBy is for joined tables; the keys of the group's own are spread as those of the input or loop whose step uses them")
	}
	switch {
	case !e.owned:
	case e.name == "":
		e.topic = topology.GroupTable(g.topology.Group)
	default:
		e.topic = topology.NamedTable(g.topology.Group, e.name)
	}
	e.index = len(g.topology.Tables)
	t := topology.Table{Topic: e.topic, Owned: e.owned, PerPartition: e.perPartition}
	if e.fold != nil {
		t.Fold = *e.fold
	}
	g.topology.Tables = append(g.topology.Tables, t)
}

// Topic returns the table's topic, once it is part of a group.
func (e *tableEdge) Topic() string { return e.topic }

// Value returns what the table has under the record's key.
func (t *Table[V]) Value(ctx Context) (V, bool, error) { return t.Get(ctx, ctx.Key()) }

// SetValue writes under the record's key.
func (t *Table[V]) SetValue(ctx Context, value V) error { return t.Set(ctx, ctx.Key(), value) }

// Delete removes the record's key.
func (t *Table[V]) Delete(ctx Context) error { return t.Remove(ctx, ctx.Key()) }

// Get returns what the table has under a key, in the partition of the record
// being handled: keys of other partitions are not seen here.
func (t *Table[V]) Get(ctx Context, key string) (value V, ok bool, err error) {
	if !t.of(ctx) {
		return value, false, missing("a table")
	}
	data, ok, err := ctx.c.Get(t.index, t.topic, key)
	if err != nil || !ok {
		return value, false, err
	}
	value, err = t.codec.Decode(data)
	if err != nil {
		return value, false, fmt.Errorf("decode from %s under key %.100q: %w", t.topic, key, err)
	}
	return value, true, nil
}

// Set writes under a key, in the partition of the record being handled. Unless
// the key belongs there by its hash, readers of the topic cannot find it by
// key; that is right for totals of a partition, say, see [Table.PerPartition].
// It copies key.
func (t *Table[V]) Set(ctx Context, key string, value V) error {
	if err := t.writable(ctx); err != nil {
		return err
	}
	data, err := t.codec.Append(ctx.c.Scratch(), value)
	if err != nil {
		return fmt.Errorf("encode for %s: %w", t.topic, err)
	}
	return ctx.c.Set(t.index, t.topic, key, data)
}

// Prefix returns the keys that begin with prefix, in order, in the partition of
// the record being handled. It takes time with how much was written lately.
func (t *Table[V]) Prefix(ctx Context, prefix string) ([]string, error) {
	if !t.of(ctx) {
		return nil, missing("a table")
	}
	return ctx.c.Prefix(t.index, t.topic, prefix)
}

// Remove deletes a key, in the partition of the record being handled.
func (t *Table[V]) Remove(ctx Context, key string) error {
	if err := t.writable(ctx); err != nil {
		return err
	}
	return ctx.c.Set(t.index, t.topic, key, nil)
}

func (t *Table[V]) writable(ctx Context) error {
	switch {
	case !t.of(ctx):
		return missing("a table")
	case !t.owned:
		return fmt.Errorf("table %s is joined: only its own group can write it", t.topic)
	}
	return nil
}
