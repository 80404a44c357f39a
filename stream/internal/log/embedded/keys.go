package embedded

import "encoding/binary"

// The kinds of rows: the first byte of every key.
const (
	kindCounters = 'N' // ""                       → counters
	kindTopic    = 'T' // topic                    → topicRow
	kindExtent   = 'E' // topic partition          → extent
	kindIndex    = 'I' // topic partition base     → indexRow
	kindBatch    = 'B' // topic partition base     → record batch
	kindGroup    = 'G' // group                    → generation
	kindPosition = 'P' // topic partition group    → position
	kindProducer = 'D' // transactional id         → producerRow
	kindOpen     = 'O' // transactional id         → txnRow
)

// place is a partition as keys have it.
type place struct {
	topic     uint32
	partition int32
}

const placeKeyLen, offsetKeyLen = 1 + 4 + 4, placeKeyLen + 8

func textKey(kind byte, text string) []byte { return append([]byte{kind}, text...) }

func topicKey(kind byte, topic uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{kind}, topic)
}

func placeKey(kind byte, p place) []byte {
	k := append(make([]byte, 0, offsetKeyLen), kind)
	k = binary.BigEndian.AppendUint32(k, p.topic)
	return binary.BigEndian.AppendUint32(k, uint32(p.partition))
}

// offsetKey is the key of a batch or of its index row. It appends to dst, so
// that a loop can reuse its memory.
func offsetKey(dst []byte, kind byte, p place, base int64) []byte {
	dst = append(dst, kind)
	dst = binary.BigEndian.AppendUint32(dst, p.topic)
	dst = binary.BigEndian.AppendUint32(dst, uint32(p.partition))
	return binary.BigEndian.AppendUint64(dst, uint64(base))
}

// baseOf is the base offset in a key that offsetKey made.
func baseOf(key []byte) int64 { return int64(binary.BigEndian.Uint64(key[placeKeyLen:])) }

func positionKey(p place, group string) []byte { return append(placeKey(kindPosition, p), group...) }

// placeOf is the place in a key that begins with one.
func placeOf(key []byte) place {
	return place{binary.BigEndian.Uint32(key[1:]), int32(binary.BigEndian.Uint32(key[5:]))}
}

// after is the first key behind all that begin with prefix.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
