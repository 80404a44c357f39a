package kafkalog

import (
	"cmp"
	"reflect"
	"slices"
	"unsafe"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/record"
)

// A decoder turns what was fetched into batches of committed records: the one
// place where sarama's records become ours. It belongs to one goroutine, and
// reuses its memory; what it returns is new.
//
// sarama has decompressed and taken apart the records already, and they point
// into its buffers. They are copied once, into batches without compression
// that keep offsets as they are.
type decoder struct {
	out     record.Rewriter
	rec     record.Record
	headers []record.Header
	// dropped are the producers whose transaction at this place was aborted.
	dropped map[int64]bool
}

// block decodes what was fetched of one partition from a position on: the
// committed records at or after it, and the position behind all that was
// looked at, markers, aborted records and holes included. It stays where it is
// if the block has not even one whole batch.
func (d *decoder) block(b *sarama.FetchResponseBlock, from int64) (batches []record.Batch, next int64) {
	next = from
	aborted := b.AbortedTransactions
	slices.SortFunc(aborted, func(x, y *sarama.AbortedTransaction) int { return cmp.Compare(x.FirstOffset, y.FirstOffset) })
	clear(d.dropped)
	for _, r := range b.RecordsSet {
		if r.MsgSet != nil {
			next = max(next, d.messages(r.MsgSet, from))
			continue
		}
		batch := r.RecordBatch
		if batch.PartialTrailingRecord {
			next = max(next, batch.FirstOffset) // all before it is empty
			continue
		}
		for len(aborted) > 0 && aborted[0].FirstOffset <= batch.LastOffset() {
			d.drop(aborted[0].ProducerID, true)
			aborted = aborted[1:]
		}
		switch {
		case batch.Control:
			d.marker(batch)
		case !batch.IsTransactional || !d.dropped[batch.ProducerID]:
			d.records(batch, from)
		}
		next = max(next, batch.LastOffset()+1)
	}
	if next == from && !b.Partial {
		next = max(from, behindHoles(b))
	}
	if d.out.Bytes() > 0 {
		batches = d.out.Seal()
	}
	return batches, next
}

// behindHoles is the position behind batches that compaction emptied, or 0.
// sarama leaves such batches out, and keeps where they end to itself; without
// it, a partition that begins with one could never be read.
func behindHoles(b *sarama.FetchResponseBlock) int64 {
	if len(b.RecordsSet) > 0 {
		return 0
	}
	next := reflect.ValueOf(b).Elem().FieldByName("recordsNextOffset")
	if next.IsNil() {
		return 0
	}
	return next.Elem().Int()
}

// drop begins or ends the dropping of a producer's records.
func (d *decoder) drop(producer int64, begin bool) {
	if d.dropped == nil {
		d.dropped = map[int64]bool{}
	}
	if begin {
		d.dropped[producer] = true
	} else {
		delete(d.dropped, producer)
	}
}

// marker ends a producer's transaction. After an abort, what follows is of
// another one.
func (d *decoder) marker(b *sarama.RecordBatch) {
	const abort = 0
	if len(b.Records) == 0 || len(b.Records[0].Key) < 4 {
		return
	}
	key := b.Records[0].Key // version int16, type int16
	if int(key[2])<<8|int(key[3]) == abort {
		d.drop(b.ProducerID, false)
	}
}

// records copies a batch's records at or after a position.
func (d *decoder) records(b *sarama.RecordBatch, from int64) {
	base, maxTime := int64(-1), int64(-1)
	if !b.FirstTimestamp.IsZero() {
		base = b.FirstTimestamp.UnixMilli()
	}
	if !b.MaxTimestamp.IsZero() {
		maxTime = b.MaxTimestamp.UnixMilli()
	}
	for _, r := range b.Records {
		d.rec.Offset = b.FirstOffset + r.OffsetDelta
		if d.rec.Offset < from {
			continue
		}
		d.rec.Timestamp = base + r.TimestampDelta.Milliseconds()
		if b.LogAppendTime {
			d.rec.Timestamp = maxTime
		}
		d.rec.Key, d.rec.Value, d.rec.Headers = r.Key, r.Value, nil
		if len(r.Headers) > 0 {
			d.rec.Headers = d.headersOf(r)
		}
		d.out.Add(&d.rec)
	}
}

// headersOf is a record's headers, until the next call. The keys are not
// copied here, because whoever gets them copies them.
func (d *decoder) headersOf(r *sarama.Record) []record.Header {
	d.headers = d.headers[:0]
	for _, h := range r.Headers {
		key := unsafe.String(unsafe.SliceData(h.Key), len(h.Key))
		d.headers = append(d.headers, record.Header{Key: key, Value: h.Value})
	}
	return d.headers
}

// messages copies records in the formats of before Kafka 0.11, at or after a
// position, and returns the position behind them.
func (d *decoder) messages(set *sarama.MessageSet, from int64) (next int64) {
	for _, outer := range set.Messages {
		inner := outer.Messages()
		// In version 1, inner offsets count from the first; the outer one is the last's.
		var first int64
		if n := len(inner); outer.Msg.Set != nil && outer.Msg.Version >= 1 && n > 0 {
			first = outer.Offset - inner[n-1].Offset
		}
		for _, m := range inner {
			d.rec = record.Record{Offset: first + m.Offset, Timestamp: -1, Key: m.Msg.Key, Value: m.Msg.Value}
			switch stamp := m.Msg.Timestamp; {
			case outer.Msg.LogAppendTime && !outer.Msg.Timestamp.IsZero():
				d.rec.Timestamp = outer.Msg.Timestamp.UnixMilli()
			case !stamp.IsZero():
				d.rec.Timestamp = stamp.UnixMilli()
			}
			if next = d.rec.Offset + 1; d.rec.Offset >= from {
				d.out.Add(&d.rec)
			}
		}
	}
	return next
}
