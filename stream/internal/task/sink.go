package task

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tagtide/tagtide/stream/internal/record"
)

// A Sink gathers what the tasks of one thread emit within one transaction: for
// each partition a builder, and for each combined loop the combined values,
// which become records when the transaction is sealed. It belongs to one
// goroutine at a time.
type Sink struct {
	topics    map[string]Topic // that may be written
	builders  map[record.Partition]*output
	order     []record.Partition // of the builders' first use, so that a seed replays
	combiners []Combiner         // by edge
	touched   []*output          // in the current step
	refused   Refused            // what is not to be emitted again; the owner of the sinks fills it
	mute      bool               // everything goes nowhere
	round     int32              // partition of the next record without key
	bytes     int
}

// An output is the builder of one partition.
type output struct {
	records record.Builder
	mark    record.Mark
	touched bool
}

// A Combiner folds what is sent to a loop, one value per key.
type Combiner interface {
	// Mark begins a step; Rollback undoes what was added since.
	Mark()
	Rollback()
	// Flush emits the combined values and empties the combiner. It passes on
	// an error of emit.
	Flush(emit func(key string, value []byte, timestamp int64) error) error
	// Bytes is about how much memory the values hold.
	Bytes() int
	// Reset empties the combiner without emitting.
	Reset()
}

// A Topic is how keys are spread in a topic that may be written.
type Topic struct {
	Partitions  int32
	Partitioner record.Partitioner
}

// NewSink returns a sink for topics by name. It has one combiner per edge, nil
// for edges that do not combine. Emitting what is refused, now or later, is an
// error; nil: nothing is.
func NewSink(topics map[string]Topic, combiners []Combiner, refused Refused) *Sink {
	return &Sink{topics: topics, builders: map[record.Partition]*output{}, combiners: combiners, refused: refused}
}

// Combiner returns the combiner of an edge, nil if there is none.
func (s *Sink) Combiner(edge int) Combiner {
	if edge < 0 || edge >= len(s.combiners) {
		return nil
	}
	return s.combiners[edge]
}

// MaxRecord is how many bytes a record that is written may have, its key, value
// and headers together. A batch has at least one record, and the embedded log
// takes batches of 32 MiB; what is refused here fails one step, what the log
// refuses at the commit would fail the group, and again after every restart.
const MaxRecord = 8 << 20

// CheckSize returns an error if a record for a topic is larger than MaxRecord.
func CheckSize(topic string, size int) error {
	if size > MaxRecord {
		return &TooLarge{Topic: topic, Size: size}
	}
	return nil
}

// sizeOf is the size that MaxRecord bounds.
func sizeOf(key, value []byte, headers []record.Header) int {
	const overhead = 10 // of a header's lengths
	return record.Size(key, value, headers) + overhead*len(headers)
}

// Refused are records that the log did not take, though no larger than
// [MaxRecord]: topics of others may be set to take less, and compression makes
// it impossible to say how much. A record is known again by its topic, its key
// and its size.
type Refused map[Emission]bool

// An Emission is a record that a step wants to write.
type Emission struct {
	Topic, Key string
	Size       int // as [record.Size] counts it
}

// refuses tells whether the log did not take such a record.
func (s *Sink) refuses(topic string, key, value []byte, headers []record.Header) bool {
	return len(s.refused) > 0 && s.refused[Emission{topic, string(key), record.Size(key, value, headers)}]
}

// Emit appends a record to the partition of its key; a nil key goes to the
// partitions in turn. All bytes are copied. A record over [MaxRecord], or that
// the log has refused, is an error, and one for a topic that the group does not know a [Fatal] one.
func (s *Sink) Emit(topic string, key, value []byte, timestamp int64, headers []record.Header) error {
	if s.mute {
		return nil
	}
	to := s.topics[topic]
	if to.Partitions <= 0 {
		return &Fatal{fmt.Errorf("a step writes to topic %s, which its group does not know: name its edge in DefineGroup", topic)}
	}
	if err := CheckSize(topic, sizeOf(key, value, headers)); err != nil {
		return err
	}
	if s.refuses(topic, key, value, headers) {
		return &TooLarge{Topic: topic, Size: record.Size(key, value, headers), Refused: true}
	}
	p := record.Partition{Topic: topic}
	if key != nil {
		p.Number = to.Partitioner.Of(key, to.Partitions)
	} else {
		s.round = (s.round + 1) % to.Partitions
		p.Number = s.round
	}
	s.append(p, key, value, timestamp, headers)
	return nil
}

func (s *Sink) append(p record.Partition, key, value []byte, timestamp int64, headers []record.Header) {
	o := s.builders[p]
	if o == nil {
		o = &output{}
		s.builders[p] = o
		s.order = append(s.order, p)
	}
	if !o.touched {
		o.mark, o.touched = o.records.Mark(), true
		s.touched = append(s.touched, o)
	}
	before := o.records.Bytes()
	o.records.Append(timestamp, key, value, headers...)
	s.bytes += o.records.Bytes() - before
}

// The headers of a dead letter, in this order. Those of the record itself
// follow, whatever their keys.
const (
	HeaderTopic     = "topic" // where the record lies
	HeaderPartition = "partition"
	HeaderOffset    = "offset"
	HeaderError     = "error"     // what is wrong with it
	HeaderDropped   = "dropped"   // none, or one for each of value, headers and key that was left out
	HeaderTimestamp = "timestamp" // the record's, in Unix milliseconds
)

// dead appends a record that could not be handled, with its bytes as they are
// and headers that say where it lies and what was wrong. The record's own
// headers follow, so that it can be replayed. Of a record that would be over
// MaxRecord so, or that the log refused so, headers "dropped" name what was left
// out.
func (s *Sink) dead(topic string, from record.Partition, r *record.Record, cause error) error {
	about := []record.Header{
		{Key: HeaderTopic, Value: []byte(from.Topic)},
		{Key: HeaderPartition, Value: strconv.AppendInt(nil, int64(from.Number), 10)},
		{Key: HeaderOffset, Value: strconv.AppendInt(nil, r.Offset, 10)},
		{Key: HeaderError, Value: []byte(Brief(cause))},
	}
	// It is the last of ours, and stands for itself where a topic is set to have
	// its records stamped by the broker.
	stamp := record.Header{Key: HeaderTimestamp, Value: strconv.AppendInt(nil, r.Timestamp, 10)}
	key, value, own := r.Key, r.Value, r.Headers
	headers := func() []record.Header { return slices.Concat(about, []record.Header{stamp}, own) }
	const room = 4 << 10 // for what about has and gets, and the log may add
	for _, drop := range []struct {
		what string
		do   func()
	}{
		{"value", func() { value = nil }},
		{"headers", func() { own = nil }},
		{"key", func() { key = nil }},
	} {
		if sizeOf(key, value, own)+room <= MaxRecord && !s.refuses(topic, key, value, headers()) {
			break
		}
		drop.do()
		about = append(about, record.Header{Key: HeaderDropped, Value: []byte(drop.what)})
	}
	return s.Emit(topic, key, value, r.Timestamp, headers())
}

// maxErrorText is how much of an error a dead letter or a line of the log has.
const maxErrorText = 1 << 10

// Brief is the beginning of an error's text: some quote what they are about.
func Brief(err error) string {
	text := err.Error()
	if len(text) <= maxErrorText {
		return text
	}
	return strings.ToValidUTF8(text[:maxErrorText], "")
}

func (s *Sink) mark() {
	for _, o := range s.touched {
		o.touched = false
	}
	s.touched = s.touched[:0]
	for _, c := range s.combiners {
		if c != nil {
			c.Mark()
		}
	}
}

func (s *Sink) rollback() {
	for _, o := range s.touched {
		before := o.records.Bytes()
		o.records.Rollback(o.mark)
		s.bytes += o.records.Bytes() - before
	}
	for _, c := range s.combiners {
		if c != nil {
			c.Rollback()
		}
	}
	s.mark()
}

// Bytes is about how much memory the sink holds.
func (s *Sink) Bytes() int {
	n := s.bytes
	for _, c := range s.combiners {
		if c != nil {
			n += c.Bytes()
		}
	}
	return n
}

// Flush turns combined values into records of their edge's topic.
func (s *Sink) Flush(topics []string) error {
	for edge, c := range s.combiners {
		if c == nil {
			continue
		}
		err := c.Flush(func(key string, value []byte, timestamp int64) error {
			return s.Emit(topics[edge], []byte(key), value, timestamp, nil)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Each calls f for every partition that has records, in the order of first use.
func (s *Sink) Each(f func(p record.Partition, b *record.Builder)) {
	for _, p := range s.order {
		if o := s.builders[p]; o.records.Count() > 0 {
			f(p, &o.records)
		}
	}
}

// Reset empties the sink and keeps its memory.
func (s *Sink) Reset() {
	for _, o := range s.builders {
		o.records.Reset()
		o.touched = false
	}
	s.touched, s.bytes = s.touched[:0], 0
	for _, c := range s.combiners {
		if c != nil {
			c.Reset()
		}
	}
}
