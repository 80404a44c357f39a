package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// ErrCorrupt: bytes that are no record batch, or not the one that was written.
var ErrCorrupt = errors.New("corrupt record batch")

// ErrCompressed: a sound batch whose records are compressed. Readers of foreign
// logs decompress before they parse; nothing in here ever compresses.
var ErrCompressed = errors.New("compressed record batch")

// The header of a batch; docs/formats/record-batch.md draws it.
const (
	posBase      = 0  // int64
	posLength    = 8  // int32, of what follows it
	posEpoch     = 12 // int32, of the partition's leader; not under the checksum
	posMagic     = 16 // int8
	posCRC       = 17 // uint32, Castagnoli, of everything from posAttrs on
	posAttrs     = 21 // int16
	posLastDelta = 23 // int32
	posBaseTime  = 27 // int64
	posMaxTime   = 35 // int64
	posProducer  = 43 // int64
	posProdEpoch = 51 // int16
	posSequence  = 53 // int32
	posCount     = 57 // int32
	headerLen    = 61

	lengthEnd = posLength + 4
	magic     = 2
	// minRecord is the size of a record with neither key, value nor headers.
	minRecord = 7
)

// The bits of the attributes.
const (
	attrCodec         = 0x07
	attrAppendTime    = 0x08 // every record has the batch's MaxTimestamp
	attrTransactional = 0x10
	attrControl       = 0x20
	attrHorizon       = 0x40 // the base timestamp is when the batch's deletes may go
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A Batch is an encoded record batch: a run of records of one partition with
// rising offsets. The zero Batch is empty. Batches are immutable.
type Batch struct{ data []byte }

// Parse takes data for a batch: exactly one, uncompressed, sound by length,
// magic, checksum and record count. It keeps data, which must never be
// written to again. It fails with [ErrCorrupt] or [ErrCompressed].
func Parse(data []byte) (Batch, error) {
	if len(data) < headerLen {
		return Batch{}, fmt.Errorf("%w: %d bytes are less than a header", ErrCorrupt, len(data))
	}
	if n := int64(int32(be.Uint32(data[posLength:]))); n != int64(len(data)-lengthEnd) {
		return Batch{}, fmt.Errorf("%w: header says %d bytes, there are %d", ErrCorrupt, n+lengthEnd, len(data))
	}
	if data[posMagic] != magic {
		return Batch{}, fmt.Errorf("%w: magic %d, want %d", ErrCorrupt, data[posMagic], magic)
	}
	if sum := crc32.Checksum(data[posAttrs:], castagnoli); sum != be.Uint32(data[posCRC:]) {
		return Batch{}, fmt.Errorf("%w: checksum %08x, want %08x", ErrCorrupt, sum, be.Uint32(data[posCRC:]))
	}
	b := Batch{data}
	if c := b.attrs() & attrCodec; c != 0 {
		return Batch{}, fmt.Errorf("%w: codec %d", ErrCompressed, c)
	}
	return b, b.checkCounts()
}

func (b Batch) checkCounts() error {
	base, last, count := b.Base(), int64(b.lastDelta()), int64(b.Count())
	switch {
	case base < 0 || last < 0 || base > math.MaxInt64-1-last:
		return fmt.Errorf("%w: base offset %d, last offset delta %d", ErrCorrupt, base, last)
	case count < 0 || count > last+1 || count > int64(len(b.data)-headerLen)/minRecord:
		return fmt.Errorf("%w: %d records in %d offsets and %d bytes", ErrCorrupt, count, last+1, len(b.data))
	}
	return nil
}

// Base is the offset of the batch's first place.
func (b Batch) Base() int64 {
	if b.data == nil {
		return 0
	}
	return int64(be.Uint64(b.data[posBase:]))
}

// Next is the position behind the batch's last place, whether or not a record
// still stands there.
func (b Batch) Next() int64 {
	if b.data == nil {
		return 0
	}
	return b.Base() + int64(b.lastDelta()) + 1
}

// Count is the number of records in the batch.
func (b Batch) Count() int {
	if b.data == nil {
		return 0
	}
	return int(int32(be.Uint32(b.data[posCount:])))
}

// Bytes is the whole batch, encoded. It must not be written to.
func (b Batch) Bytes() []byte { return b.data }

// MaxTimestamp is the greatest timestamp the batch had when it was sealed.
func (b Batch) MaxTimestamp() int64 {
	if b.data == nil {
		return 0
	}
	return int64(be.Uint64(b.data[posMaxTime:]))
}

// Control says that the records are markers of the log itself (the end of a
// transaction), not anybody's data.
func (b Batch) Control() bool { return b.attrs()&attrControl != 0 }

// Producer is who wrote the batch.
func (b Batch) Producer() ProducerInfo {
	if b.data == nil {
		return NoProducer
	}
	return ProducerInfo{
		ID:            int64(be.Uint64(b.data[posProducer:])),
		Epoch:         int16(be.Uint16(b.data[posProdEpoch:])),
		Sequence:      int32(be.Uint32(b.data[posSequence:])),
		Transactional: b.attrs()&attrTransactional != 0,
	}
}

// Horizon is the time (Unix milliseconds) from which compaction may remove the
// batch's deletes, and whether compaction has given it one yet.
func (b Batch) Horizon() (unixMilli int64, ok bool) {
	if b.attrs()&attrHorizon == 0 {
		return 0, false
	}
	return b.baseTime(), true
}

func (b Batch) attrs() uint16 {
	if b.data == nil {
		return 0
	}
	return be.Uint16(b.data[posAttrs:])
}

func (b Batch) lastDelta() int32 { return int32(be.Uint32(b.data[posLastDelta:])) }
func (b Batch) baseTime() int64  { return int64(be.Uint64(b.data[posBaseTime:])) }

var be = binary.BigEndian
