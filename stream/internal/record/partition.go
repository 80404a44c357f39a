package record

// FNV is the partition of a key: goka's formula, FNV-1a with 32 bits over the
// key, taken as a signed number modulo the partitions, without its sign. So
// topics can be shared with programs that use goka.
func FNV(key []byte, partitions int32) int32 {
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
