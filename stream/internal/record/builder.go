package record

import (
	"hash/crc32"
	"math"
	"math/bits"
	"slices"
)

// DefaultBatchBytes is after how many bytes a [Builder] begins a new batch.
const DefaultBatchBytes = 512 << 10

// NoProducer is the producer of batches that nobody has numbered.
var NoProducer = ProducerInfo{ID: -1, Epoch: -1, Sequence: -1}

// ProducerInfo says who wrote a batch: the broker's name for a producer, its
// epoch, and how many records it has written to the partition before.
type ProducerInfo struct {
	ID            int64
	Epoch         int16
	Sequence      int32 // of the batch's first record; -1: not numbered
	Transactional bool
}

// A Builder gathers records and encodes them on the way in, so that sealing
// copies them and writes a few headers. The zero Builder is ready. It reuses
// its memory: appending allocates nothing once it has grown.
type Builder struct {
	// MaxBatchBytes after which a new batch is begun. A record that is larger
	// becomes a batch of its own. Default [DefaultBatchBytes].
	MaxBatchBytes int

	// Invariant: buf is the batches one behind the other, each with
	// headerLen bytes of room in front of its records.
	buf   []byte
	spans []span
	count int
}

// A span is one batch in a builder.
type span struct {
	start    int // in buf
	before   int // records in front of it
	count    int32
	baseTime int64 // the first record's
	maxTime  int64
}

// A Mark remembers how full a builder was.
type Mark struct {
	bytes, spans, count int
	last                span
}

// Append adds a record. It copies everything it is given.
func (b *Builder) Append(timestamp int64, key, value []byte, headers ...Header) {
	n := len(key) + len(value)
	for i := range headers {
		n += len(headers[i].Key) + len(headers[i].Value)
	}
	s := b.spanFor(timestamp, n)
	delta := timestamp - s.baseTime
	size := bodySize(delta, int64(s.count), key, value, headers)
	b.buf = appendRecord(b.buf, size, delta, int64(s.count), key, value, headers)
	s.maxTime = max(s.maxTime, timestamp)
	s.count++
	b.count++
}

// spanFor returns the span for a record of about n bytes.
func (b *Builder) spanFor(timestamp int64, n int) *span {
	limit := b.MaxBatchBytes
	if limit <= 0 {
		limit = DefaultBatchBytes
	}
	if i := len(b.spans) - 1; i >= 0 && len(b.buf)-b.spans[i].start+minRecord+n <= limit {
		return &b.spans[i]
	}
	b.spans = append(b.spans, span{start: len(b.buf), before: b.count, baseTime: timestamp, maxTime: timestamp})
	b.buf = append(b.buf, make([]byte, headerLen)...)
	return &b.spans[len(b.spans)-1]
}

// Count is the number of records in the builder.
func (b *Builder) Count() int { return b.count }

// Bytes is the size of all batches, sealed.
func (b *Builder) Bytes() int { return len(b.buf) }

// Reset empties the builder and keeps its memory.
func (b *Builder) Reset() { b.Rollback(Mark{}) }

// Mark remembers how full the builder is now.
func (b *Builder) Mark() Mark {
	m := Mark{bytes: len(b.buf), spans: len(b.spans), count: b.count}
	if m.spans > 0 {
		m.last = b.spans[m.spans-1]
	}
	return m
}

// Rollback drops what was appended after the mark. The mark must be of this
// builder, and nothing before it may have been dropped since.
func (b *Builder) Rollback(m Mark) {
	b.buf, b.spans, b.count = b.buf[:m.bytes], b.spans[:m.spans], m.count
	if m.spans > 0 {
		b.spans[m.spans-1] = m.last
	}
}

// Seal returns the records as batches that follow one another from base on.
// They share no memory with the builder, which stays as it is: it can be
// sealed again, after a retry with another base and producer. An empty builder
// has no batches.
func (b *Builder) Seal(base int64, p ProducerInfo) []Batch {
	if b.count == 0 {
		return nil
	}
	data := make([]byte, len(b.buf))
	batches := make([]Batch, len(b.spans))
	for i, s := range b.spans {
		end := b.end(i)
		batches[i] = b.SealBatch(data[s.start:end:end], i, base, p)
	}
	return batches
}

// Batches is how many batches Seal makes.
func (b *Builder) Batches() int { return len(b.spans) }

// BatchLen is the size of batch i, sealed.
func (b *Builder) BatchLen(i int) int { return b.end(i) - b.spans[i].start }

// SealBatch is Seal for one batch and into memory of the caller's: dst, of
// BatchLen(i) bytes, which the batch keeps. Base and p are the same for all i.
func (b *Builder) SealBatch(dst []byte, i int, base int64, p ProducerInfo) Batch {
	s := b.spans[i]
	copy(dst, b.buf[s.start:b.end(i)])
	p.Sequence = advance(p.Sequence, s.before)
	sealHeader(dst, header{
		base: base + int64(s.before), lastDelta: s.count - 1, count: s.count,
		baseTime: s.baseTime, maxTime: s.maxTime, producer: p,
	})
	return Batch{dst}
}

// end is where span i ends in buf.
func (b *Builder) end(i int) int {
	if i+1 < len(b.spans) {
		return b.spans[i+1].start
	}
	return len(b.buf)
}

// advance counts a producer's sequence on; Kafka's wraps to 0.
func advance(sequence int32, n int) int32 {
	if sequence < 0 {
		return sequence
	}
	return int32((int64(sequence) + int64(n)) & math.MaxInt32)
}

// A header is what is written in front of a batch's records.
type header struct {
	base             int64
	lastDelta, count int32
	baseTime         int64
	maxTime          int64
	producer         ProducerInfo
	attrs            uint16
}

// sealHeader writes the header of the batch d, whose records are in place.
func sealHeader(d []byte, h header) {
	if h.producer.Transactional {
		h.attrs |= attrTransactional
	}
	be.PutUint64(d[posBase:], uint64(h.base))
	be.PutUint32(d[posLength:], uint32(len(d)-lengthEnd))
	be.PutUint32(d[posEpoch:], math.MaxUint32) // -1: no leader
	d[posMagic] = magic
	be.PutUint16(d[posAttrs:], h.attrs)
	be.PutUint32(d[posLastDelta:], uint32(h.lastDelta))
	be.PutUint64(d[posBaseTime:], uint64(h.baseTime))
	be.PutUint64(d[posMaxTime:], uint64(h.maxTime))
	be.PutUint64(d[posProducer:], uint64(h.producer.ID))
	be.PutUint16(d[posProdEpoch:], uint16(h.producer.Epoch))
	be.PutUint32(d[posSequence:], uint32(h.producer.Sequence))
	be.PutUint32(d[posCount:], uint32(h.count))
	be.PutUint32(d[posCRC:], crc32.Checksum(d[posAttrs:], castagnoli))
}

// appendRecord appends a record whose body has the given size.
func appendRecord(buf []byte, size int, timeDelta, offsetDelta int64, key, value []byte, headers []Header) []byte {
	const maxSizeLen = 10
	buf = slices.Grow(buf, size+maxSizeLen)
	buf = appendVarint(buf, int64(size))
	buf = append(buf, 0) // attributes
	buf = appendVarint(buf, timeDelta)
	buf = appendVarint(buf, offsetDelta)
	buf = appendBytes(buf, key)
	buf = appendBytes(buf, value)
	buf = appendVarint(buf, int64(len(headers)))
	for i := range headers {
		buf = appendVarint(buf, int64(len(headers[i].Key)))
		buf = append(buf, headers[i].Key...)
		buf = appendBytes(buf, headers[i].Value)
	}
	return buf
}

// bodySize is how many bytes a record takes behind its own size.
func bodySize(timeDelta, offsetDelta int64, key, value []byte, headers []Header) int {
	n := 1 + varintSize(timeDelta) + varintSize(offsetDelta) +
		bytesSize(key) + bytesSize(value) + varintSize(int64(len(headers)))
	for i := range headers {
		n += varintSize(int64(len(headers[i].Key))) + len(headers[i].Key) + bytesSize(headers[i].Value)
	}
	return n
}

func appendBytes(buf, b []byte) []byte {
	if b == nil {
		return append(buf, 1) // -1 in zigzag
	}
	return append(appendVarint(buf, int64(len(b))), b...)
}

func bytesSize(b []byte) int {
	if b == nil {
		return 1
	}
	return varintSize(int64(len(b))) + len(b)
}

func appendVarint(buf []byte, v int64) []byte {
	u := uint64(v<<1) ^ uint64(v>>63)
	for u >= 0x80 {
		buf = append(buf, byte(u)|0x80)
		u >>= 7
	}
	return append(buf, byte(u))
}

func varintSize(v int64) int {
	u := uint64(v<<1) ^ uint64(v>>63)
	return (bits.Len64(u|1) + 6) / 7
}
