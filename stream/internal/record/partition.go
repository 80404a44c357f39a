package record

import "encoding/binary"

// A Partitioner spreads keys over the partitions of a topic. Whoever writes a
// topic and whoever looks for a key in it must use the same one.
type Partitioner uint8

// The partitioners.
const (
	FNV     Partitioner = iota // goka's: FNV-1a with 32 bits
	Murmur2                    // that of the Java client of Kafka
)

// String names the partitioner. Stores remember the name: a table whose keys
// were spread in another way is another table.
func (p Partitioner) String() string {
	if p == Murmur2 {
		return "murmur2"
	}
	return "fnv-1a-32"
}

// Of is the partition of a key, of so many.
func (p Partitioner) Of(key []byte, partitions int32) int32 {
	if p == Murmur2 {
		return int32(murmur2(key)&0x7fffffff) % partitions
	}
	return fnv1a(key, partitions)
}

// fnv1a is goka's formula, FNV-1a with 32 bits over the key, taken as a signed
// number modulo the partitions, without its sign.
func fnv1a(key []byte, partitions int32) int32 {
	const offset, prime = 2166136261, 16777619
	sum := uint32(offset)
	for _, c := range key {
		sum = (sum ^ uint32(c)) * prime
	}
	// The sign goes last: -(-1<<31) would still be negative.
	p := int32(sum) % partitions
	if p < 0 {
		p = -p
	}
	return p
}

// murmur2 is Austin Appleby's MurmurHash2 with 32 bits, reading numbers little
// end first, with the seed of Kafka's Java client.
func murmur2(key []byte) uint32 {
	const seed, m, r = 0x9747b28c, 0x5bd1e995, 24
	h := seed ^ uint32(len(key))
	for ; len(key) >= 4; key = key[4:] {
		k := binary.LittleEndian.Uint32(key) * m
		h = h*m ^ (k^k>>r)*m
	}
	if len(key) > 0 {
		for i, c := range key {
			h ^= uint32(c) << (8 * i)
		}
		h *= m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}
