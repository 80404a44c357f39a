package kafkalog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// Whatever a broker sends of a partition, what becomes of it is whole batches
// of records in order, at or after the position asked for and before the next,
// and costs memory as what was sent does.
func FuzzBlock(f *testing.F) {
	random := rand.New(rand.NewPCG(7, 7))
	for range 20 {
		s := randomScript(random)
		var all []byte
		for _, b := range s.batches {
			all = append(all, b.data...)
		}
		f.Add(all, random.Int64N(s.end+1))
	}
	fetch := fetchOf(f)
	var d decoder
	f.Fuzz(func(t *testing.T, data []byte, from int64) {
		resealed(data)
		block, err := fetch(data)
		if err != nil || from < 0 {
			return // sarama has refused it
		}
		batches, next := d.block(block, from)
		if next < from {
			t.Fatalf("from %d to %d", from, next)
		}
		ordered(t, batches, from, next)
	})
}

// ordered checks that batches are whole, and their records in order and within
// the bounds.
func ordered(t *testing.T, batches []record.Batch, from, next int64) {
	t.Helper()
	for _, b := range batches {
		parsed, err := record.Parse(bytes.Clone(b.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		r := parsed.Reader()
		for r.Next() {
			if o := r.Record().Offset; o < from || o >= next {
				t.Fatalf("record %d in [%d, %d)", o, from, next)
			}
			from = r.Record().Offset + 1
		}
		if r.Err() != nil {
			t.Fatal(r.Err())
		}
	}
}

// fetchOf lets a kfake answer a fetch with any bytes, and sarama decode them.
func fetchOf(f *testing.F) func(data []byte) (*sarama.FetchResponseBlock, error) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(c.Close)
	var answer atomic.Pointer[[]byte]
	c.ControlKey(1, func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		s := &script{batches: []scripted{{data: *answer.Load(), last: 1 << 62}}}
		out := req.ResponseKind().(*kmsg.FetchResponse)
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic = "t"
		topic.Partitions = append(topic.Partitions, s.answer(kmsg.NewFetchRequestTopicPartition()))
		out.Topics = append(out.Topics, topic)
		return out, nil, true
	})
	ctx := context.Background()
	l := open(f, Options{Brokers: c.ListenAddrs(), Logger: slog.New(slog.DiscardHandler)})
	x, err := l.cluster.dial(ctx, c.ListenAddrs()[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = x.Close() })
	return func(data []byte) (*sarama.FetchResponseBlock, error) {
		answer.Store(&data)
		req := &sarama.FetchRequest{Version: 11, MinBytes: 1, MaxBytes: 1 << 30, Isolation: sarama.ReadCommitted, SessionEpoch: -1}
		req.AddBlock("t", 0, 0, 1<<30, -1)
		res, err := x.Fetch(req)
		if err != nil {
			return nil, err
		}
		return res.GetBlock("t", 0), nil
	}
}

// resealed puts the checksums right of as many batches as there are.
func resealed(data []byte) {
	for len(data) > 61 && data[16] == 2 {
		size := int64(be.Uint32(data[8:])) + 12
		if size <= 61 || size > int64(len(data)) {
			return
		}
		sealed(data[:size])
		data = data[size:]
	}
}

// What a group's leader gives a member may be anything, and what is understood
// is what was sent.
func FuzzAssignmentIn(f *testing.F) {
	f.Add([]byte{})
	f.Add(assigned(f, []byte("work")).MemberAssignment)
	f.Fuzz(func(t *testing.T, data []byte) {
		work, err := assignmentIn(&sarama.SyncGroupResponse{MemberAssignment: data})
		if err != nil {
			if !errors.Is(err, log.ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		if len(work) > len(data) {
			t.Fatalf("%d bytes of %d", len(work), len(data))
		}
		again, err := assignmentIn(assigned(t, work))
		if err != nil || !bytes.Equal(again, work) {
			t.Fatalf("%x comes back as %x: %v", work, again, err)
		}
	})
}

// assigned is the answer to a member that is given work.
func assigned(t testing.TB, work []byte) *sarama.SyncGroupResponse {
	t.Helper()
	var r sarama.SyncGroupRequest
	if err := r.AddGroupAssignmentMember("a", &sarama.ConsumerGroupMemberAssignment{UserData: work}); err != nil {
		t.Fatal(err)
	}
	return &sarama.SyncGroupResponse{MemberAssignment: r.GroupAssignments[0].Assignment}
}

// Of a first answer in any pieces everything passes, unless it begins with a
// length that no Kafka's has; then nothing behind the length does.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x05hello"), []byte{1, 2})
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n"), []byte{3})
	f.Add([]byte("\x15\x03\x03\x00\x02\x02\x0a"), []byte{100})
	f.Add([]byte("\x00\x00"), []byte{1})
	f.Fuzz(func(t *testing.T, data, pieces []byte) {
		conn := &frames{Conn: &inPieces{data: data, pieces: pieces}}
		got, err := io.ReadAll(conn)
		kafka := len(data) < 4 || binary.BigEndian.Uint32(data) < maxFirst
		switch {
		case kafka && (err != nil || !bytes.Equal(got, data)):
			t.Fatalf("read %q of %q: %v", got, data, err)
		case !kafka && (err == nil || len(got) > 3 || !bytes.HasPrefix(data, got)):
			t.Fatalf("read %q of what is no Kafka's %q: %v", got, data, err)
		}
	})
}

// An inPieces is a connection that gives data in pieces of these sizes, and
// then the rest.
type inPieces struct {
	net.Conn
	data, pieces []byte
}

// Read implements [net.Conn].
func (c *inPieces) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	size := len(c.data)
	if len(c.pieces) > 0 {
		size, c.pieces = min(size, 1+int(c.pieces[0])), c.pieces[1:]
	}
	n := copy(p, c.data[:size])
	c.data = c.data[n:]
	return n, nil
}
