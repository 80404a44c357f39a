package kafkalog

import (
	"fmt"
	"math"
	"slices"
	"time"
	"unsafe"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// An out is a batch on its way to a partition.
type out struct {
	at    record.Partition
	batch *sarama.RecordBatch
	bytes int   // encoded, before compression
	ends  []end // of the writes that are in it, in order
	done  bool
	next  int64 // the position behind it, once it is done
}

// An end of a write: how many records of the batch belong to it and to those
// before it.
type end struct{ write, records int }

// Bounds of batches.
const (
	// defaultLimit is a little less than max.message.bytes of a topic that
	// nobody configured.
	defaultLimit = 1_000_000
	// maxRecord is what fits into a request (sarama.MaxRequestSize, and
	// socket.request.max.bytes of the brokers).
	maxRecord = 99 << 20
	// maxTime is the last time that sarama can write, in Unix milliseconds.
	maxTime = math.MaxInt64 / int64(time.Millisecond)
)

// slabs hold the records of one transaction in the shape that sarama wants
// them in, and are used again for the next: there is no allocation per record.
type slabs struct {
	bytes    []byte
	records  []sarama.Record
	pointers []*sarama.Record
	headers  []sarama.RecordHeader
	to       []*sarama.RecordHeader
}

// Larger slabs than these are not kept.
const (
	keepRecords = 1 << 17
	keepBytes   = 64 << 20
)

// prepare makes room for all of a transaction's records. What the slabs held
// before is gone. The room does not grow afterwards, so pointers into it stay.
func (s *slabs) prepare(writes []log.Write) {
	count, size := 0, 0
	for _, w := range writes {
		count += w.Records.Count()
		size += w.Records.Bytes()
	}
	if cap(s.records) > keepRecords || cap(s.bytes) > keepBytes {
		*s = slabs{}
	}
	s.records = slices.Grow(s.records[:0], count)
	s.pointers = slices.Grow(s.pointers[:0], count)
	s.bytes = slices.Grow(s.bytes[:0], size)
	s.headers, s.to = s.headers[:0], s.to[:0]
}

// outs encodes a transaction's writes, partition by partition. What goes to one
// partition shares batches, however many writes it is: a leader takes a few
// batches at a time, and each waits for its followers. limit is how many bytes a
// batch may have, unless it is of one record.
func (s *slabs) outs(writes []log.Write, limit func(topic string) int) (all []out, err error) {
	s.prepare(writes)
	var order []record.Partition
	of := map[record.Partition][]int{}
	for i, w := range writes {
		if of[w.Partition] == nil {
			order = append(order, w.Partition)
		}
		of[w.Partition] = append(of[w.Partition], i)
	}
	for _, p := range order {
		o, most := out{at: p}, limit(p.Topic)
		for _, i := range of[p] {
			if all, err = s.write(all, &o, i, writes[i].Records, most); err != nil {
				return nil, err
			}
		}
		all = o.appendTo(all)
	}
	return all, nil
}

// write appends a write to the batch o, and the batches that get full to all.
// What the builder has put into one batch stays in one if it fits.
func (s *slabs) write(all []out, o *out, write int, records *record.Builder, limit int) ([]out, error) {
	for i := range records.Batches() {
		from, size := len(s.bytes), records.BatchLen(i)
		s.bytes = s.bytes[:from+size]
		r := records.SealBatch(s.bytes[from:from+size:from+size], i, 0, record.NoProducer).Reader()
		fresh := o.batch == nil || o.bytes+size > limit
		for r.Next() {
			rec := r.Record()
			n := weight(rec)
			if n > maxRecord {
				return nil, tooLargeFor(o.at, n, rec.Key, rec.Value, rec.Headers)
			}
			if fresh || o.bytes+n > limit && size > limit {
				all = o.appendTo(all)
				*o, fresh = out{at: o.at, bytes: overhead, batch: s.batch(rec.Timestamp)}, false
			}
			o.bytes += n
			s.add(o.batch, rec)
			o.ended(write)
		}
		if err := r.Err(); err != nil {
			return nil, fmt.Errorf("records for %s/%d: %w", o.at.Topic, o.at.Number, err)
		}
	}
	return all, nil
}

// ended notes that a write ends, for now, with the last record.
func (o *out) ended(write int) {
	if n := len(o.ends); n == 0 || o.ends[n-1].write != write {
		o.ends = append(o.ends, end{write: write})
	}
	o.ends[len(o.ends)-1].records = len(o.batch.Records)
}

func (o out) appendTo(all []out) []out {
	if o.batch == nil {
		return all
	}
	return append(all, o)
}

// overhead is a batch without records; minRecord a record without anything.
const (
	overhead  = 61
	minRecord = 16
)

// weight is about how many bytes a record takes, rather more.
func weight(r *record.Record) int {
	n := minRecord + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += minRecord + len(h.Key) + len(h.Value)
	}
	return n
}

// batch begins a batch without records.
func (s *slabs) batch(timestamp int64) *sarama.RecordBatch {
	first := clamp(timestamp)
	return &sarama.RecordBatch{
		Version: 2, PartitionLeaderEpoch: -1, IsTransactional: true,
		CompressionLevel: sarama.CompressionLevelDefault,
		FirstTimestamp:   time.UnixMilli(first), MaxTimestamp: time.UnixMilli(first),
		Records: s.pointers[len(s.pointers):len(s.pointers)],
	}
}

// add appends a record to the batch begun last.
func (s *slabs) add(b *sarama.RecordBatch, r *record.Record) {
	at := clamp(r.Timestamp)
	s.records = append(s.records, sarama.Record{
		TimestampDelta: time.Duration(at-b.FirstTimestamp.UnixMilli()) * time.Millisecond,
		OffsetDelta:    int64(len(b.Records)),
		Key:            r.Key, Value: r.Value,
	})
	if rec := &s.records[len(s.records)-1]; len(r.Headers) > 0 {
		rec.Headers = s.heads(r.Headers)
	}
	// Invariant: b.Records is the end of pointers, which has room.
	s.pointers = append(s.pointers, &s.records[len(s.records)-1])
	b.Records = b.Records[:len(b.Records)+1]
	b.LastOffsetDelta = int32(len(b.Records) - 1)
	if at > b.MaxTimestamp.UnixMilli() {
		b.MaxTimestamp = time.UnixMilli(at)
	}
}

// heads are a record's headers. Full slabs are left to their records.
func (s *slabs) heads(all []record.Header) []*sarama.RecordHeader {
	const chunk = 256
	if cap(s.headers)-len(s.headers) < len(all) {
		s.headers = make([]sarama.RecordHeader, 0, max(chunk, len(all)))
		s.to = make([]*sarama.RecordHeader, 0, max(chunk, len(all)))
	}
	from := len(s.to)
	for _, h := range all {
		key := []byte{} // nil would be null, which a key must not be
		if h.Key != "" {
			key = unsafe.Slice(unsafe.StringData(h.Key), len(h.Key)) // sarama only reads it
		}
		s.headers = append(s.headers, sarama.RecordHeader{Key: key, Value: h.Value})
		s.to = append(s.to, &s.headers[len(s.headers)-1])
	}
	return s.to[from:len(s.to):len(s.to)]
}

// clamp is the nearest time that can be written.
func clamp(unixMilli int64) int64 { return min(max(unixMilli, 0), maxTime) }
