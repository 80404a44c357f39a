package streamtest

import (
	"errors"
	"strconv"
	"time"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// A Topic is a handle for writing to a topic and reading from it.
type Topic[V any] struct {
	t     *Tester
	name  string
	codec codec.Codec[V]
}

// NewTopic returns a handle for a topic, which Emit creates if it is missing.
// A topic may have several handles: with [codec.Bytes] a test can write what no
// other codec would.
func NewTopic[V any](t *Tester, name string, c codec.Codec[V]) *Topic[V] {
	return &Topic[V]{t: t, name: name, codec: c}
}

// AddPartitions makes a topic have n partitions. Members find them within two
// seconds of the clock; Settle waits for that.
func (t *Tester) AddPartitions(topic string, n int32) {
	t.tb.Helper()
	t.must(t.log.AddPartitions(t.ctx, topic, n), "topic %s", topic)
}

// A Record of a topic.
type Record[V any] struct {
	Partition int32
	Offset    int64
	Timestamp time.Time
	Key       string
	Value     V
	Null      bool // it has no value
	Headers   []stream.Header
}

// Emit writes a record, which is there when Emit returns, but handled only by
// Settle or Advance.
func (p *Topic[V]) Emit(key string, value V, headers ...stream.Header) {
	p.t.tb.Helper()
	p.EmitAt(p.t.now, key, value, headers...)
}

// EmitAt is Emit with a timestamp.
func (p *Topic[V]) EmitAt(timestamp time.Time, key string, value V, headers ...stream.Header) {
	p.t.tb.Helper()
	p.emit(timestamp, []byte(key), value, headers)
}

// EmitKeyless writes a record without a key. Such records go to the partitions
// in turn.
func (p *Topic[V]) EmitKeyless(value V, headers ...stream.Header) {
	p.t.tb.Helper()
	p.emit(p.t.now, nil, value, headers)
}

func (p *Topic[V]) emit(timestamp time.Time, key []byte, value V, headers []stream.Header) {
	p.t.tb.Helper()
	data, err := p.codec.Append([]byte{}, value)
	p.t.must(err, "encode a value for %s", p.name)
	p.t.write(p.name, timestamp, key, data, headers)
}

// EmitNull writes a record without a value: in a table, a delete.
func (p *Topic[V]) EmitNull(key string) {
	p.t.tb.Helper()
	p.t.write(p.name, p.t.now, []byte(key), nil, nil)
}

// Records returns what is committed in the topic, partition by partition.
func (p *Topic[V]) Records() []Record[V] {
	p.t.tb.Helper()
	var all []Record[V]
	p.t.read(p.name, func(r stream.Record) error {
		out := Record[V]{Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp, Key: string(r.Key), Null: r.Value == nil, Headers: r.Headers}
		var err error
		if !out.Null {
			out.Value, err = p.codec.Decode(r.Value)
		}
		all = append(all, out)
		return err
	})
	return all
}

// A Table is a handle for reading a table, of the group or of another one.
type Table[V any] struct{ topic *Topic[V] }

// NewTable returns a handle for the table with the given topic, as in
// "wordcount-table".
func NewTable[V any](t *Tester, topic string, c codec.Codec[V]) *Table[V] {
	return &Table[V]{NewTopic(t, topic, c)}
}

// All returns the committed rows.
func (p *Table[V]) All() map[string]V {
	p.topic.t.tb.Helper()
	rows := map[string]V{}
	for _, r := range p.topic.Records() {
		if r.Null {
			delete(rows, r.Key)
		} else {
			rows[r.Key] = r.Value
		}
	}
	return rows
}

// Get returns the committed value of a key, and whether there is one.
func (p *Table[V]) Get(key string) (value V, ok bool) {
	p.topic.t.tb.Helper()
	value, ok = p.All()[key]
	return value, ok
}

// A DeadLetter is a record that the group could not handle.
type DeadLetter struct {
	Topic     string // where it lies
	Partition int32
	Offset    int64
	Error     string
	Key       string
	Value     []byte
}

// DeadLetters returns the records that the group set aside, in order.
func (t *Tester) DeadLetters() []DeadLetter {
	t.tb.Helper()
	var dead []DeadLetter
	t.read(stream.DeadTopic(t.graph.Group()), func(r stream.Record) error {
		d := DeadLetter{Key: string(r.Key), Value: r.Value}
		for _, h := range r.Headers[:min(4, len(r.Headers))] {
			d.take(h)
		}
		dead = append(dead, d)
		return nil
	})
	return dead
}

// take takes what a header says.
func (d *DeadLetter) take(h stream.Header) {
	switch value := string(h.Value); h.Key {
	case "topic":
		d.Topic = value
	case "partition":
		n, _ := strconv.ParseInt(value, 10, 32) // the engine wrote it
		d.Partition = int32(n)
	case "offset":
		d.Offset, _ = strconv.ParseInt(value, 10, 64)
	case "error":
		d.Error = value
	}
}

// read hands the committed records of a topic to f.
func (t *Tester) read(topic string, f func(stream.Record) error) {
	t.tb.Helper()
	t.must(stream.ReadTopic(t.ctx, t.Log(), topic, f), "read %s", topic)
}

// write writes a record in a transaction of its own.
func (t *Tester) write(topic string, timestamp time.Time, key, value []byte, headers []stream.Header) {
	t.tb.Helper()
	var hs []record.Header
	for _, h := range headers {
		hs = append(hs, record.Header(h))
	}
	b := &record.Builder{}
	b.Append(timestamp.UnixMilli(), key, value, hs...)
	write := log.Write{Partition: record.Partition{Topic: topic, Number: t.place(topic, key)}, Records: b}
	_, err := t.producer.Commit(t.ctx, &log.Txn{Writes: []log.Write{write}})
	t.must(err, "write to %s", topic)
}

// place finds the partition for a key, in a topic that is created if need be.
func (t *Tester) place(topic string, key []byte) int32 {
	t.tb.Helper()
	infos, err := stream.DescribeTopics(t.ctx, t.Log(), topic)
	partitions := t.opts.Partitions
	if errors.Is(err, stream.ErrUnknownTopic) {
		err = t.log.CreateTopic(t.ctx, log.Topic{Name: topic, Partitions: partitions, Cleanup: log.Delete})
	} else if err == nil {
		partitions = int32(len(infos[0].Partitions))
	}
	t.must(err, "topic %s", topic)
	if key != nil {
		return t.graph.Partitioner(topic).Of(key, partitions)
	}
	t.turn++
	return t.turn % partitions
}
