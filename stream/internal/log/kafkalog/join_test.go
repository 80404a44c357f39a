package kafkalog

import (
	"bytes"
	"errors"
	"testing"

	"github.com/IBM/sarama"
)

func TestEnvelopesComeBack(t *testing.T) {
	for _, e := range []envelope{
		{},
		{asks: 1<<64 - 1, metadata: []byte("m")},
		{asks: 7, assignment: []byte("a"), metadata: bytes.Repeat([]byte("m"), 1000)},
	} {
		for _, later := range []string{"", "what a later version appends"} {
			got, err := parseEnvelope(append(e.append(nil), later...))
			if err != nil || got.asks != e.asks || !bytes.Equal(got.assignment, e.assignment) || !bytes.Equal(got.metadata, e.metadata) {
				t.Errorf("%+v comes back as %+v: %v", e, got, err)
			}
		}
	}
}

// The bytes of docs/formats/membership.md.
func TestTheEnvelopeIsTheOneDocumented(t *testing.T) {
	got := envelope{asks: 300, assignment: []byte("ab"), metadata: []byte("c")}.append(nil)
	if want := []byte{1, 0xac, 0x02, 2, 'a', 'b', 1, 'c'}; !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func FuzzParseEnvelope(f *testing.F) {
	f.Add([]byte{})
	f.Add(envelope{asks: 300, assignment: []byte("ab"), metadata: []byte("c")}.append(nil))
	f.Add([]byte{1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := parseEnvelope(data)
		if err != nil {
			if !errors.Is(err, errEnvelope) || e.metadata != nil || e.assignment != nil {
				t.Fatalf("%+v: %v", e, err)
			}
			return
		}
		again, err := parseEnvelope(e.append(nil))
		if err != nil || again.asks != e.asks || !bytes.Equal(again.assignment, e.assignment) || !bytes.Equal(again.metadata, e.metadata) {
			t.Fatalf("%+v comes back as %+v: %v", e, again, err)
		}
	})
}

// What another member says when it joins may be anything.
func FuzzInfoOf(f *testing.F) {
	f.Add([]byte{})
	var r sarama.JoinGroupRequest
	if err := r.AddGroupProtocolMetadata("p", &sarama.ConsumerGroupMemberMetadata{
		Topics: []string{"t"}, UserData: envelope{asks: 1, metadata: []byte("m")}.append(nil),
	}); err != nil {
		f.Fatal(err)
	}
	good := r.OrderedGroupProtocols[0].Metadata
	if info := infoOf("a", nil, good); string(info.Metadata) != "m" {
		f.Fatalf("read %+v", info)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, data []byte) {
		info := infoOf("a", nil, data)
		if info.ID != "a" || len(info.Metadata)+len(info.Assignment) > len(data) {
			t.Fatalf("read %+v from %d bytes", info, len(data))
		}
	})
}
