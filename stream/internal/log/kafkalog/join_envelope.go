package kafkalog

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// An envelope is what a member puts around its metadata when it joins, for the
// group's leader. Brokers do not tell the leader what members were given
// before, and not at all whether they have taken it up.
type envelope struct {
	// asks is another number when the member asks for a rebalance: who joins
	// with the same bytes as before is answered without one.
	asks uint64
	// assignment is the last that the member's Poll returned.
	assignment []byte
	metadata   []byte
}

// envelopeVersion is the first byte. Later versions only append, so that
// members of all versions understand one another.
const envelopeVersion = 1

var errEnvelope = errors.New("no envelope of a member")

// append writes the envelope; docs/formats/membership.md draws it.
func (e envelope) append(b []byte) []byte {
	b = append(b, envelopeVersion)
	b = binary.AppendUvarint(b, e.asks)
	b = binary.AppendUvarint(b, uint64(len(e.assignment)))
	b = append(b, e.assignment...)
	b = binary.AppendUvarint(b, uint64(len(e.metadata)))
	return append(b, e.metadata...)
}

// parseEnvelope reads what append wrote, in this version or a later one. The
// envelope keeps data.
func parseEnvelope(data []byte) (e envelope, err error) {
	if len(data) == 0 || data[0] < envelopeVersion {
		return e, fmt.Errorf("%w: %d bytes", errEnvelope, len(data))
	}
	rest := data[1:]
	asks, n := binary.Uvarint(rest)
	if n <= 0 {
		return e, fmt.Errorf("%w: cut off", errEnvelope)
	}
	e.asks, rest = asks, rest[n:]
	if e.assignment, rest, err = field(rest); err != nil {
		return envelope{}, err
	}
	if e.metadata, _, err = field(rest); err != nil {
		return envelope{}, err
	}
	return e, nil
}

// field takes bytes behind their length; nil if there are none.
func field(data []byte) (field, rest []byte, err error) {
	size, n := binary.Uvarint(data)
	if n <= 0 || size > uint64(len(data)-n) {
		return nil, nil, fmt.Errorf("%w: cut off", errEnvelope)
	}
	end := n + int(size)
	if size == 0 {
		return nil, data[end:], nil
	}
	return data[n:end:end], data[end:], nil
}
