package task

import (
	"strconv"

	"github.com/tagtide/tagtide/stream/internal/record"
)

// A Sink gathers what the tasks of one thread emit within one transaction: for
// each partition a builder, and for each combined loop the combined values,
// which become records when the transaction is sealed. It belongs to one
// goroutine at a time.
type Sink struct {
	partitions map[string]int32 // of each topic that may be written
	builders   map[record.Partition]*output
	order      []record.Partition // of the builders' first use, so that a seed replays
	combiners  []Combiner         // by edge
	touched    []*output          // in the current step
	round      int32              // partition of the next record without key
	bytes      int
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
	// Flush emits the combined values and empties the combiner.
	Flush(emit func(key string, value []byte, timestamp int64)) error
	// Bytes is about how much memory the values hold.
	Bytes() int
	// Reset empties the combiner without emitting.
	Reset()
}

// NewSink returns a sink for topics with the given numbers of partitions. It
// has one combiner per edge, nil for edges that do not combine.
func NewSink(partitions map[string]int32, combiners []Combiner) *Sink {
	return &Sink{partitions: partitions, builders: map[record.Partition]*output{}, combiners: combiners}
}

// Combiner returns the combiner of an edge.
func (s *Sink) Combiner(edge int) Combiner { return s.combiners[edge] }

// Partitions returns the number of partitions of a topic that may be written.
func (s *Sink) Partitions(topic string) int32 { return s.partitions[topic] }

// Emit appends a record to the partition of its key; a nil key goes to the
// partitions in turn. All bytes are copied.
func (s *Sink) Emit(topic string, key, value []byte, timestamp int64, headers []record.Header) {
	n := s.partitions[topic]
	p := record.Partition{Topic: topic}
	if key != nil {
		p.Number = record.FNV(key, n)
	} else {
		s.round = (s.round + 1) % n
		p.Number = s.round
	}
	s.append(p, key, value, timestamp, headers)
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

// dead appends a record that could not be handled, with its bytes as they are
// and headers that say where it lies and what was wrong. The record's own
// headers follow, so that it can be replayed.
func (s *Sink) dead(topic string, from record.Partition, r *record.Record, cause error) {
	headers := append([]record.Header{
		{Key: "topic", Value: []byte(from.Topic)},
		{Key: "partition", Value: strconv.AppendInt(nil, int64(from.Number), 10)},
		{Key: "offset", Value: strconv.AppendInt(nil, r.Offset, 10)},
		{Key: "error", Value: []byte(cause.Error())},
	}, r.Headers...)
	s.Emit(topic, r.Key, r.Value, r.Timestamp, headers)
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
		err := c.Flush(func(key string, value []byte, timestamp int64) {
			s.Emit(topics[edge], []byte(key), value, timestamp, nil)
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
