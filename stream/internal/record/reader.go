package record

import (
	"encoding/binary"
	"fmt"
	"unsafe"
)

// A Reader walks the records of one batch. It is a value: copying one copies
// how far it is. It never allocates but for headers, and those by the chunk.
type Reader struct {
	rest      []byte // what was not read yet
	base      int64
	baseTime  int64
	timestamp int64 // of every record, if appendTime
	left      int32 // records that should still come
	lastDelta int32 // of the batch
	delta     int32 // of the record read last, or -1
	// appendTime: the log gave all records its own time.
	appendTime bool
	rec        Record
	headers    []Header // free ones; never reused, because records keep them
	err        error
}

// Reader returns a reader in front of the batch's first record.
func (b Batch) Reader() Reader {
	if b.data == nil {
		return Reader{}
	}
	return Reader{
		rest:       b.data[headerLen:],
		base:       b.Base(),
		baseTime:   b.baseTime(),
		timestamp:  b.MaxTimestamp(),
		left:       int32(b.Count()),
		lastDelta:  b.lastDelta(),
		delta:      -1,
		appendTime: b.attrs()&attrAppendTime != 0,
	}
}

// Next goes to the next record and says whether there is one. After false, Err
// tells whether the batch ended or is corrupt.
func (r *Reader) Next() bool {
	if r.left == 0 {
		if len(r.rest) != 0 && r.err == nil {
			r.err = fmt.Errorf("%w: %d bytes behind the last record", ErrCorrupt, len(r.rest))
		}
		return false
	}
	if !r.record() {
		r.err = fmt.Errorf("%w: record after offset %d does not decode", ErrCorrupt, r.base+int64(r.delta))
		r.left, r.rest = 0, nil
		return false
	}
	r.left--
	return true
}

// Record is the current record: valid until the next Next, its bytes for as
// long as anybody refers to them. Nothing in it may be written to.
func (r *Reader) Record() *Record { return &r.rec }

// Err is nil, or an [ErrCorrupt] that ended the walk.
func (r *Reader) Err() error { return r.err }

// record decodes the next record into r.rec.
func (r *Reader) record() bool {
	c := cursor{data: r.rest}
	size := c.varint()
	if size < 0 || size > int64(len(c.data)-c.at) {
		return false
	}
	end := c.at + int(size)
	r.rest = c.data[end:]
	c.data = c.data[:end]
	c.at++ // attributes: none are defined
	time := c.varint()
	delta := c.varint()
	if delta <= int64(r.delta) || delta > int64(r.lastDelta) {
		return false
	}
	r.delta = int32(delta)
	r.rec.Offset = r.base + delta
	r.rec.Timestamp = r.baseTime + time
	if r.appendTime {
		r.rec.Timestamp = r.timestamp
	}
	r.rec.Key = c.bytes()
	r.rec.Value = c.bytes()
	r.rec.Headers = nil
	if n := c.varint(); n != 0 {
		r.readHeaders(&c, n)
	}
	return !c.bad && c.at == end
}

// readHeaders takes the record's headers from the free ones.
func (r *Reader) readHeaders(c *cursor, n int64) {
	const minHeader, chunk = 2, 64
	if n < 0 || n > int64(len(c.data)-c.at)/minHeader {
		c.bad = true
		return
	}
	if n > int64(cap(r.headers)) {
		r.headers = make([]Header, 0, max(n, chunk))
	}
	hs := r.headers[:n:n]
	for i := range hs {
		key := c.bytes()
		hs[i] = Header{Key: unsafe.String(unsafe.SliceData(key), len(key)), Value: c.bytes()}
	}
	r.headers = r.headers[n:n]
	r.rec.Headers = hs
}

// A cursor takes fields off data. Past the end, or at a field that makes no
// sense, it turns bad and yields zeros.
type cursor struct {
	data []byte
	at   int
	bad  bool
}

// varint takes a zigzag varint. One or two bytes is what nearly all have.
func (c *cursor) varint() int64 {
	if c.at+1 < len(c.data) {
		u := uint64(c.data[c.at])
		if u < 0x80 {
			c.at++
			return int64(u>>1) ^ -int64(u&1)
		}
		if v := uint64(c.data[c.at+1]); v < 0x80 {
			c.at += 2
			u = u&0x7f | v<<7
			return int64(u>>1) ^ -int64(u&1)
		}
	}
	return c.longVarint()
}

func (c *cursor) longVarint() int64 {
	v, n := binary.Varint(c.data[min(c.at, len(c.data)):])
	if n <= 0 {
		c.at, c.bad = len(c.data), true
		return 0
	}
	c.at += n
	return v
}

// bytes takes bytes behind their length; nil for length -1 (Kafka's null).
func (c *cursor) bytes() []byte {
	n := c.varint()
	if n < 0 || n > int64(len(c.data)-c.at) {
		c.bad = c.bad || n != -1
		return nil
	}
	end := c.at + int(n)
	b := c.data[c.at:end:end]
	c.at = end
	return b
}
