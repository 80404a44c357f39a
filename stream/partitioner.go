package stream

import "github.com/tagtide/tagtide/stream/internal/record"

// A Partitioner spreads keys over the partitions of a topic. All who write keys
// to a topic, and all who look for them there, must use the same one; so must
// topics whose records are handled together. Its name is kept with local tables.
type Partitioner = record.Partitioner

// The partitioners.
const (
	// FNV is the default here, as in goka: FNV-1a with 32 bits.
	FNV = record.FNV
	// Murmur2 is the default of Kafka's Java client, and so of Kafka Streams,
	// Kafka Connect and the console producer: for topics that are shared with them.
	Murmur2 = record.Murmur2
)

// PartitionedBy tells how those who write the input spread its keys; default
// [FNV]. The group's own tables that its step uses have their keys in the same
// partitions. It comes before DefineGroup.
func (e *InputEdge[V]) PartitionedBy(p Partitioner) *InputEdge[V] {
	e.early("PartitionedBy", "the input "+e.topic)
	e.partitioner = p
	return e
}

// PartitionedBy sets how the keys of the loop are spread, and with them those of
// the tables that its step uses; default [FNV]. It comes before DefineGroup.
func (e *LoopEdge[V]) PartitionedBy(p Partitioner) *LoopEdge[V] {
	e.early("PartitionedBy", "the loop")
	e.partitioner = p
	return e
}

// PartitionedBy sets how the keys of the output are spread; default [FNV]. It
// comes before DefineGroup.
func (e *OutputEdge[V]) PartitionedBy(p Partitioner) *OutputEdge[V] {
	e.early("PartitionedBy", "the output "+e.topic)
	e.partitioner = p
	return e
}

// PartitionedBy tells how the keys of the table are spread; default [FNV]. It
// comes before DefineGroup.
func (e *LookupEdge[V]) PartitionedBy(p Partitioner) *LookupEdge[V] {
	e.early("PartitionedBy", "the lookup "+e.topic)
	e.partitioner = p
	return e
}

// PartitionedBy tells how the keys of a joined table are spread; default [FNV].
// Those of a group's own are spread as the records that its steps handle. It
// comes before DefineGroup.
func (t *Table[V]) PartitionedBy(p Partitioner) *Table[V] {
	t.early("PartitionedBy", "a table")
	t.partitioner = p
	return t
}

// spread notes how the keys of a topic are spread.
func (g *GroupGraph) spread(topic string, p Partitioner) {
	if before, known := g.topology.Partitioners[topic]; known && before != p {
		g.fail("topic %s is partitioned by %s and by %s", topic, before, p)
	}
	g.topology.Partitioners[topic] = p
}

// Partitioner returns how the keys of one of the group's topics are spread.
func (g *GroupGraph) Partitioner(topic string) Partitioner { return g.topology.Partitioner(topic) }
