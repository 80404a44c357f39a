package kafkalog

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// Records come back as they were written, however they were compressed, and
// however small batches must be.
func TestWhatIsWrittenComesBack(t *testing.T) {
	for _, limit := range []string{"1000", "1000000"} {
		brokers := fake(t, kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"message.max.bytes": limit}))
		for _, codec := range []Compression{None, Gzip, Snappy, LZ4, Zstd} {
			t.Run(fmt.Sprintf("%s/%s", codec, limit), func(t *testing.T) {
				b := newBench(t, brokers, Options{Compression: codec})
				p := b.producer(b.log)
				for range 2 {
					records := various(&record.Builder{})
					_, err := p.Commit(t.Context(), &log.Txn{Writes: []log.Write{{Partition: b.at[0], Records: records}}})
					b.must(err)
				}
				want := slices.Repeat(contents(various(&record.Builder{})), 2)
				r := b.sound.NewReader(log.ReaderOptions{})
				defer r.Close()
				r.Seek(b.at[0], 0)
				var got []string
				for len(got) < len(want) {
					for _, batch := range await(t, r).Batches {
						got = append(got, contentsOf(batch)...)
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("got\n%v\nwant\n%v", got, want)
				}
			})
		}
	}
}

// various appends records of all kinds, of a few hundred bytes at most.
func various(b *record.Builder) *record.Builder {
	for i := range 200 {
		at := int64(1_600_000_000_000 + (i%7-3)*1000)
		switch i % 5 {
		case 0:
			b.Append(at, []byte("key"), nil)
		case 1:
			b.Append(at, nil, []byte{})
		case 2:
			b.Append(at, []byte{}, bytes.Repeat([]byte{byte(i)}, i), record.Header{Key: "a", Value: []byte("b")}, record.Header{})
		case 3:
			b.Append(0, []byte("k"), fmt.Append(nil, i), record.Header{Key: "null"})
		default:
			b.Append(at, fmt.Append(nil, "key ", i), fmt.Append(nil, "value ", i))
		}
	}
	return b
}

func contents(b *record.Builder) (all []string) {
	for _, batch := range b.Seal(0, record.NoProducer) {
		all = append(all, contentsOf(batch)...)
	}
	return all
}

func contentsOf(batch record.Batch) (all []string) {
	for r := batch.Reader(); r.Next(); {
		c := *r.Record()
		c.Offset = 0
		all = append(all, show(&c))
	}
	return all
}

// A record that fits no batch is refused with topic and size, takes nothing
// with it, and the producer goes on.
func TestARecordThatIsTooLargeIsNamed(t *testing.T) {
	brokers := fake(t, kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"message.max.bytes": "2000"}))
	b := newBench(t, brokers, Options{})
	p := b.producer(b.log)
	x := b.txn("small", 1)
	x.Writes[1].Records.Append(2, []byte("key"), make([]byte, 3000), record.Header{Key: "h", Value: []byte("v")})
	_, err := p.Commit(t.Context(), x)
	var large *tooLarge
	if !errors.Is(err, log.ErrTooLarge) || !errors.As(err, &large) || large.records != 1 || large.bytes < 3000 || large.at != b.at[1] {
		t.Fatalf("got %v", err)
	}
	var one *log.TooLarge
	if !errors.As(err, &one) || *one != (log.TooLarge{Topic: b.at[1].Topic, Key: "key", Size: 3005}) {
		t.Errorf("the record is %v", one)
	}
	b.wants()
	b.must(ignoreReceipt(p.Commit(t.Context(), b.txn("1", 1))))
	b.wants("1")
}

// Times that Kafka has no room for are taken to the nearest that it has.
func TestTimesThatCannotBeWritten(t *testing.T) {
	for given, want := range map[int64]int64{-1: 0, -1 << 63: 0, 1<<63 - 1: maxTime, 5: 5} {
		if got := clamp(given); got != want {
			t.Errorf("%d becomes %d, want %d", given, got, want)
		}
	}
}

// Sequences wrap to 0, as brokers count them.
func TestSequencesWrap(t *testing.T) {
	const last = 1<<31 - 1
	if got := after(last, 1); got != 0 {
		t.Errorf("after the last comes %d", got)
	}
	if got := after(last-1, 5); got != 3 {
		t.Errorf("got %d, want 3", got)
	}
}

// The requests to one leader have each partition's batches in order, one a
// request, and none is too large.
func TestRequestsKeepTheOrderOfAPartition(t *testing.T) {
	var batches []*sent
	for p := range int32(3) {
		for i := range 10 {
			batches = append(batches, &sent{out: &out{at: record.Partition{Number: p}, next: int64(i), bytes: 3 << 20}})
		}
	}
	next := map[int32]int64{}
	for _, request := range requests(batches) {
		seen, size := map[int32]bool{}, 0
		for _, s := range request {
			if n := s.at.Number; seen[n] || s.next != next[n] {
				t.Fatalf("partition %d: batch %d, want %d, once a request", n, s.next, next[n])
			}
			seen[s.at.Number], size = true, size+s.bytes
			next[s.at.Number]++
		}
		if size > maxRequest {
			t.Errorf("a request of %d bytes", size)
		}
	}
	if len(next) != 3 || next[0]+next[1]+next[2] != int64(len(batches)) {
		t.Errorf("sent %v", next)
	}
}

// Writes to one partition share batches: a leader that waits for followers with
// each of them would take minutes for the thousands of a backlog. The receipt
// still tells where each write went.
func TestWritesToOnePartitionShareABatch(t *testing.T) {
	b := newBench(t, fake(t, kfake.NumBrokers(1)), Options{})
	var x log.Txn
	var want []int64
	var ends [2]int64
	for i := range 1000 {
		r := &record.Builder{}
		for range i % 3 {
			r.Append(int64(i), fmt.Append(nil, i), nil)
		}
		x.Writes = append(x.Writes, log.Write{Partition: b.at[i%2], Records: r})
		ends[i%2] += int64(i % 3)
		want = append(want, ends[i%2])
		if i%3 == 0 {
			want[i] = 0 // went nowhere
		}
	}
	var s slabs
	all, err := s.outs(x.Writes, func(string) int { return defaultLimit })
	b.must(err)
	if len(all) != 2 {
		t.Errorf("%d batches to two partitions", len(all))
	}
	got, err := b.producer(b.log).Commit(t.Context(), &x)
	b.must(err)
	if !slices.Equal(got.Next, want) {
		t.Errorf("got %v, want %v", got.Next, want)
	}
}

func BenchmarkBatches(b *testing.B) {
	const count = 10_000
	builder := &record.Builder{}
	for i := range count {
		builder.Append(int64(i), fmt.Append(nil, "hashtag", i), fmt.Append(nil, i))
	}
	writes := []log.Write{{Records: builder}}
	var s slabs
	b.ReportAllocs()
	for b.Loop() {
		all, err := s.outs(writes, func(string) int { return defaultLimit })
		if err != nil || len(all) == 0 {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/count, "ns/record")
}

// BenchmarkCommit is a transaction of 10,000 records to two partitions,
// against a broker that keeps nothing.
func BenchmarkCommit(b *testing.B) {
	const count = 10_000
	l := open(b, Options{Brokers: fake(b, kfake.NumBrokers(1), kfake.SeedTopics(2, "t"), kfake.BlackholeProduce())})
	p, err := l.Producer(b.Context(), "x")
	if err != nil {
		b.Fatal(err)
	}
	x := &log.Txn{}
	for n := range int32(2) {
		builder := &record.Builder{}
		for i := range count / 2 {
			builder.Append(int64(i), fmt.Append(nil, "hashtag", i), fmt.Append(nil, i))
		}
		x.Writes = append(x.Writes, log.Write{Partition: record.Partition{Topic: "t", Number: n}, Records: builder})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Commit(b.Context(), x); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/count, "ns/record")
}
