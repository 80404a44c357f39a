package kafkalog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tagtide/tagtide/stream/internal/record"
)

// A script is a partition of which a test decides every byte, as brokers may
// have it after transactions, aborts, compaction and old producers. The model
// beside it is what a reader must make of it.
type script struct {
	mu      sync.Mutex
	batches []scripted
	aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction
	end     int64
	// want are the committed records.
	want []record.Record
}

// A scripted is one batch, or one old message, as it lies in the log.
type scripted struct {
	data []byte
	last int64
}

var be = binary.BigEndian

func (s *script) append(data []byte, places int64) {
	s.batches = append(s.batches, scripted{data, s.end + places - 1})
	s.end += places
}

// records appends a batch with gaps where compaction took records.
func (s *script) records(random *rand.Rand, p record.ProducerInfo, committed bool) {
	var w record.Rewriter
	places := int64(0)
	for range 1 + random.IntN(5) {
		places += int64(random.IntN(3))
		r := record.Record{Offset: s.end + places, Timestamp: 1000 + random.Int64N(1000), Key: fmt.Append(nil, "k", s.end, places)}
		if random.IntN(4) > 0 {
			r.Value = make([]byte, random.IntN(300))
		}
		for range random.IntN(3) {
			r.Headers = append(r.Headers, record.Header{Key: "h", Value: fmt.Append(nil, places)})
		}
		w.Add(&r)
		if committed {
			s.want = append(s.want, r)
		}
		places++
	}
	data := append([]byte(nil), w.Seal()[0].Bytes()...)
	gap := be.Uint64(data) - uint64(s.end) // the batch begins where its first place was
	shift(data, gap)
	be.PutUint64(data, uint64(s.end))
	places += int64(random.IntN(3))
	be.PutUint32(data[23:], uint32(places-1))
	be.PutUint64(data[43:], uint64(p.ID))
	be.PutUint16(data[51:], uint16(p.Epoch))
	if p.Transactional {
		data[22] |= 0x10
	}
	s.append(sealed(data), places)
}

// shift moves records up within their batch, by changing nothing but the
// deltas of their offsets, which take one byte here.
func shift(data []byte, by uint64) {
	at := 61
	for at < len(data) {
		size, n := binary.Varint(data[at:])
		body := at + n
		_, t := binary.Varint(data[body+1:])
		data[body+1+t] += byte(by) * 2 // zigzag
		at = body + int(size)
	}
}

// sealed puts the checksum right.
func sealed(data []byte) []byte {
	be.PutUint32(data[17:], crc32.Checksum(data[21:], crc32.MakeTable(crc32.Castagnoli)))
	return data
}

// marker appends the end of a transaction.
func (s *script) marker(p record.ProducerInfo, commit bool) {
	b := &record.Builder{}
	key := []byte{0, 0, 0, 0}
	if commit {
		key[3] = 1
	}
	b.Append(1000, key, make([]byte, 6))
	data := append([]byte(nil), b.Seal(s.end, record.ProducerInfo{ID: p.ID, Epoch: p.Epoch, Sequence: -1, Transactional: true})[0].Bytes()...)
	data[22] |= 0x20
	s.append(sealed(data), 1)
}

// hole appends a batch that compaction emptied but kept.
func (s *script) hole(places int64) {
	b := &record.Builder{}
	b.Append(1000, nil, nil)
	data := append([]byte(nil), b.Seal(s.end, record.NoProducer)[0].Bytes()[:61]...)
	be.PutUint32(data[8:], 61-12)
	be.PutUint32(data[23:], uint32(places-1))
	be.PutUint32(data[57:], 0)
	s.append(sealed(data), places)
}

// gap leaves places with nothing at all.
func (s *script) gap(places int64) { s.end += places }

// old appends a message as producers before Kafka 0.11 wrote it.
func (s *script) old(random *rand.Rand) {
	m := kmsg.MessageV1{Offset: s.end, Magic: 1, Timestamp: 1000 + random.Int64N(1000), Key: []byte("old"), Value: fmt.Append(nil, s.end)}
	data := m.AppendTo(nil)
	be.PutUint32(data[8:], uint32(len(data)-12))
	be.PutUint32(data[12:], crc32.ChecksumIEEE(data[16:]))
	s.want = append(s.want, record.Record{Offset: s.end, Timestamp: m.Timestamp, Key: m.Key, Value: m.Value})
	s.append(data, 1)
}

// randomScript is a log with some of everything.
func randomScript(random *rand.Rand) *script {
	s := &script{}
	for producer := int64(1); producer < 30; producer++ {
		switch random.IntN(6) {
		case 0:
			s.hole(1 + random.Int64N(50))
		case 1:
			s.gap(random.Int64N(20))
		case 2:
			s.records(random, record.NoProducer, true)
		case 3:
			s.old(random)
		default:
			s.transactions(random, producer)
		}
	}
	return s
}

// transactions appends two that overlap, of which any may be aborted.
func (s *script) transactions(random *rand.Rand, producer int64) {
	ps := []record.ProducerInfo{{ID: producer*2 + 1000, Transactional: true}, {ID: producer*2 + 1001, Transactional: true}}
	commit := []bool{random.IntN(2) > 0, random.IntN(2) > 0}
	began := []int64{-1, -1}
	for range 1 + random.IntN(4) {
		i := random.IntN(2)
		if began[i] < 0 {
			began[i] = s.end
		}
		s.records(random, ps[i], commit[i])
	}
	for i, p := range ps {
		if began[i] < 0 {
			continue
		}
		if !commit[i] {
			s.abort(p, began[i])
		}
		s.marker(p, commit[i])
	}
}

// abort lists a transaction as aborted, as brokers do.
func (s *script) abort(p record.ProducerInfo, first int64) {
	a := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
	a.ProducerID, a.FirstOffset = p.ID, first
	s.aborted = append(s.aborted, a)
}

// serve lets a kfake answer every fetch from the script.
func (s *script) serve(c *kfake.Cluster) {
	c.ControlKey(1, func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		s.mu.Lock()
		defer s.mu.Unlock()
		in := req.(*kmsg.FetchRequest)
		out := in.ResponseKind().(*kmsg.FetchResponse)
		for _, t := range in.Topics {
			topic := kmsg.NewFetchResponseTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				topic.Partitions = append(topic.Partitions, s.answer(p))
			}
			out.Topics = append(out.Topics, topic)
		}
		return out, nil, true
	})
}

// answer is what a broker reads from a position on: one batch at least, then
// as many bytes as there may be, cut where that is.
func (s *script) answer(in kmsg.FetchRequestTopicPartition) kmsg.FetchResponseTopicPartition {
	out := kmsg.NewFetchResponseTopicPartition()
	out.Partition, out.HighWatermark, out.LastStableOffset, out.LogStartOffset = in.Partition, s.end, s.end, 0
	for _, b := range s.batches {
		if b.last < in.FetchOffset {
			continue
		}
		room := int(in.PartitionMaxBytes) - len(out.RecordBatches)
		if len(out.RecordBatches) > 0 && room < len(b.data) {
			out.RecordBatches = append(out.RecordBatches, b.data[:max(0, room)]...)
			break
		}
		out.RecordBatches = append(out.RecordBatches, b.data...)
	}
	out.AbortedTransactions = s.aborted
	return out
}

// scriptedLog is a log with one partition that a script decides.
func scriptedLog(t *testing.T, s *script) (*Log, record.Partition) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s.serve(c)
	return open(t, Options{Brokers: c.ListenAddrs()}), record.Partition{Topic: "t"}
}
