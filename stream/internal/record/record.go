// Package record holds the engine's smallest nouns: a record, its place in a
// partition, and a batch of records in the bytes Kafka uses for it (record
// batch, magic 2). The same bytes lie in the embedded log and go over the wire
// to a broker, so there is one encoder, one decoder and one checksum.
//
//	partition   0     1     2     3     4     5     6
//	            ├─────┼─────┼─────┼─────┼─────┼─────┤
//	            rec   rec   mark  rec   rec   .     .
//	                                          └ next: the first place not yet handled
//
// Offsets of a partition rise but need not be dense: markers, aborted
// transactions and compaction leave gaps. Nothing may be concluded from the
// offset of the last record seen; only positions ("next") say how far one is.
package record

// A Partition names one partition of one topic.
type Partition struct {
	Topic  string
	Number int32
}

// A Header is one header of a record. Value may be nil.
type Header struct {
	Key   string
	Value []byte
}

// A Record is one record of a partition.
//
// Key, Value and header values returned by a [Reader] point into the batch
// they were read from. Batches are never written to after they were sealed
// and never reused, so the bytes stay valid for as long as they are
// referenced; who keeps a key for long copies it, lest it pins its batch.
// A nil Value is a delete (Kafka's null), an empty one is not.
type Record struct {
	Offset    int64
	Timestamp int64 // Unix milliseconds
	Key       []byte
	Value     []byte
	Headers   []Header
}

// Size is how many bytes a record's key, value and headers have together,
// lengths and such not counted.
func Size(key, value []byte, headers []Header) int {
	n := len(key) + len(value)
	for i := range headers {
		n += len(headers[i].Key) + len(headers[i].Value)
	}
	return n
}
