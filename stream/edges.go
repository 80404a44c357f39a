package stream

import (
	"fmt"

	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/task"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// A Step handles one record. An error undoes all it did, and the record is
// treated as the policy of its edge says, or else the processor's: by default it goes to the
// dead-letter topic and the group goes on. So does a panic.
//
// What a step writes is a record: key, value and headers may have 8 MiB
// together, in outputs, loops and tables, and more is an error. A record whose
// dead letter would be larger goes there without its value.
type Step[V any] func(ctx Context, value V) error

// An InputEdge is a topic the group reads.
type InputEdge[V any] struct {
	place
	source
}

// Input reads a topic, each record once. Values that do not decode are treated
// like a step that returned an error. The step may use the tables it names.
func Input[V any](topic string, c codec.Codec[V], step Step[V], tables ...Stateful) *InputEdge[V] {
	e := &InputEdge[V]{source: source{topic: topic, tables: tables}}
	e.Step = decoded(&e.place, c, step)
	return e
}

// OnDead sets a step for records of this input that become dead letters: it
// runs in their place, in the same transaction, with their bytes. It is for
// counting them, and should not fail. It comes before DefineGroup.
func (e *InputEdge[V]) OnDead(step Step[[]byte]) *InputEdge[V] {
	e.early("OnDead", "the input "+e.topic)
	e.Dead = decoded(&e.place, codec.Bytes, step)
	return e
}

// OnSkip does as OnDead, for records that [SkipFailed] leaves out.
func (e *InputEdge[V]) OnSkip(step Step[[]byte]) *InputEdge[V] {
	e.early("OnSkip", "the input "+e.topic)
	e.Skipped = decoded(&e.place, codec.Bytes, step)
	return e
}

// OnFailure sets what happens to records of this input whose step fails,
// whatever the processor's policy for others is. It comes before DefineGroup.
func (e *InputEdge[V]) OnFailure(f OnFailure) *InputEdge[V] {
	e.early("OnFailure", "the input "+e.topic)
	e.Policy, e.ownFailure = f.policy(), true
	return e
}

func (e *InputEdge[V]) addTo(g *GroupGraph) {
	if e.enter(g, "the input "+e.topic) {
		g.addSource(e.source)
	}
}

// decoded makes a step of typed values, of the edge at p, one of records.
func decoded[V any](p *place, c codec.Codec[V], step Step[V]) task.Step {
	return func(ctx *task.Context) error {
		value, err := c.Decode(ctx.Value())
		if err != nil {
			return Undecodable(err)
		}
		return step(Context{ctx, p.graph}, value)
	}
}

// A LoopEdge is the group's own topic, for handing work to another key: what is
// sent with Loopback comes back to the step of the loop, in the task that owns
// the key's partition.
type LoopEdge[V any] struct {
	place
	source
	codec   codec.Codec[V]
	combine func(a, b V) V
	edge    int // among the graph's combiners
}

// Loop makes the group's loop. A group has at most one.
func Loop[V any](c codec.Codec[V], step Step[V], tables ...Stateful) *LoopEdge[V] {
	e := &LoopEdge[V]{source: source{loop: true, tables: tables}, codec: c, edge: -1}
	e.Step = decoded(&e.place, c, step)
	return e
}

// OnFailure sets what happens to records of the loop whose step fails, whatever
// the processor's policy for others is. It comes before DefineGroup.
func (e *LoopEdge[V]) OnFailure(f OnFailure) *LoopEdge[V] {
	e.early("OnFailure", "the loop")
	e.Policy, e.ownFailure = f.policy(), true
	return e
}

// Combine folds what is sent to one key within one transaction into one value,
// so that a key in great demand costs one record per commit, not one per use.
// f must be associative, and values must not be changed after they were sent.
//
// What a key's values have come to is encoded each time it grows, so that one
// that cannot be encoded, or is too large, is the fault of the step that made
// it so, as without Combine: combined values should be small.
func (e *LoopEdge[V]) Combine(f func(a, b V) V) *LoopEdge[V] {
	e.combine = f
	return e
}

func (e *LoopEdge[V]) addTo(g *GroupGraph) {
	if !e.enter(g, "the loop") {
		return
	}
	e.topic = topology.LoopTopic(g.topology.Group)
	e.edge = len(g.combiners)
	g.combiners = append(g.combiners, func() task.Combiner {
		if e.combine == nil {
			return nil
		}
		return &combined[V]{topic: e.topic, codec: e.codec, combine: e.combine, index: map[string]int32{}}
	})
	g.addSource(e.source)
}

// Loopback sends a value to another key of the group. It copies key.
func (e *LoopEdge[V]) Loopback(ctx Context, key string, value V) error {
	if !e.of(ctx) {
		return missing("a loop")
	}
	switch {
	case ctx.c.Refolds():
		return nil
	case e.combine != nil:
		return ctx.c.Sink().Combiner(e.edge).(*combined[V]).add(key, value, ctx.c.Timestamp())
	}
	return emit(ctx, e.topic, e.codec, key, value)
}

// emit encodes a value into the sink. The key is copied there.
func emit[V any](ctx Context, topic string, c codec.Codec[V], key string, value V, headers ...Header) error {
	data, err := c.Append([]byte{}, value)
	if err != nil {
		return fmt.Errorf("encode for %s: %w", topic, err)
	}
	var hs []record.Header
	for _, h := range headers {
		hs = append(hs, record.Header(h))
	}
	return ctx.c.Sink().Emit(topic, []byte(key), data, ctx.c.Timestamp(), hs)
}

// An OutputEdge is a topic the group writes.
type OutputEdge[V any] struct {
	place
	topic       string
	codec       codec.Codec[V]
	partitioner Partitioner
}

// Output makes a topic that steps write to.
func Output[V any](topic string, c codec.Codec[V]) *OutputEdge[V] {
	return &OutputEdge[V]{topic: topic, codec: c}
}

func (e *OutputEdge[V]) addTo(g *GroupGraph) {
	if e.enter(g, "the output "+e.topic) {
		g.topology.Outputs = append(g.topology.Outputs, e.topic)
		g.spread(e.topic, e.partitioner)
	}
}

// Emit writes a record, in the transaction of the record being handled.
func (e *OutputEdge[V]) Emit(ctx Context, key string, value V, headers ...Header) error {
	if !e.of(ctx) {
		return missing("the output " + e.topic)
	}
	return emit(ctx, e.topic, e.codec, key, value, headers...)
}

// Visit names a step that goes over every key of a table when a processor is
// told to; see [Processor.VisitAll].
func Visit[V any](name string, t *Table[V], step Step[V]) Edge {
	return &visitEdge[V]{name: name, table: t, step: step}
}

type visitEdge[V any] struct {
	place
	name  string
	table *Table[V]
	step  Step[V]
}

func (e *visitEdge[V]) addTo(g *GroupGraph) {
	if !e.enter(g, "the visit "+e.name) {
		return
	}
	if _, twice := g.visitors[e.name]; twice {
		g.fail("two visits are named %q", e.name)
	}
	e.table.addTo(g)
	g.visitors[e.name] = visitor{table: e.table.index, step: func(c *task.Context) error {
		value, ok, err := e.table.Value(Context{c, g})
		if err != nil || !ok {
			return err
		}
		return e.step(Context{c, g}, value)
	}}
}

// A LookupEdge is another group's table, read whole by every instance: any key
// may be looked up, whatever the partition. What it shows may run ahead of, or
// behind, the record being handled.
type LookupEdge[V any] struct {
	lookupEdge
	codec codec.Codec[V]
}

type lookupEdge struct {
	place
	topic       string
	partitioner Partitioner
}

// Lookup reads the table with the given topic, as in "users-table".
func Lookup[V any](topic string, c codec.Codec[V]) *LookupEdge[V] {
	return &LookupEdge[V]{lookupEdge: lookupEdge{topic: topic}, codec: c}
}

func (e *LookupEdge[V]) addTo(g *GroupGraph) {
	if e.enter(g, "the lookup "+e.topic) {
		e.index = len(g.lookups)
		g.lookups = append(g.lookups, &e.lookupEdge)
		g.topology.Lookups = append(g.topology.Lookups, e.topic)
		g.spread(e.topic, e.partitioner)
	}
}

// Get looks a key up.
func (e *LookupEdge[V]) Get(ctx Context, key string) (value V, ok bool, err error) {
	if !e.of(ctx) {
		return value, false, missing("the lookup " + e.topic)
	}
	data, ok, err := ctx.c.Lookup(e.index, key)
	if err != nil || !ok {
		return value, false, err
	}
	value, err = e.codec.Decode(data)
	return value, err == nil, err
}
