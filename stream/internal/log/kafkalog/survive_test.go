package kafkalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// A network is what lies between a log and its brokers: it can be cut, and be
// down.
type network struct {
	mu    sync.Mutex
	conns []net.Conn
	down  bool
}

func (n *network) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil && n.down {
		c.Close()
		err = errors.New("the network is down")
	}
	if err != nil {
		return nil, err
	}
	n.conns = append(n.conns, c)
	return c, nil
}

// cut ends all connections, and says whether new ones can be made.
func (n *network) cut(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		c.Close()
	}
	n.conns, n.down = nil, down
}

// disturbed is a kfake of three brokers with a topic t, a client that writes to
// it, and a log with a network between.
func disturbed(t *testing.T, partitions int32) (*kfake.Cluster, *kgo.Client, *network, *Log) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(partitions, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	n := &network{}
	return c, writer(t, c), n, open(t, Options{Brokers: c.ListenAddrs(), Dial: n.dial})
}

// writer is a client that writes to a kfake.
func writer(t *testing.T, c *kfake.Cluster, o ...kgo.Opt) *kgo.Client {
	t.Helper()
	w, err := kgo.NewClient(append(o, kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func produce(t *testing.T, w *kgo.Client, rs ...*kgo.Record) {
	t.Helper()
	if err := w.ProduceSync(context.Background(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// Connections that are cut, leaders that move and brokers that are all away
// cost a reader time, and nothing else: every record comes once, in order, and
// nobody is told.
func TestReaderGoesOnWhateverHappens(t *testing.T) {
	const rounds, partitions = 30, 3
	c, w, n, l := disturbed(t, partitions)
	r := l.NewReader(log.ReaderOptions{})
	defer r.Close()
	next := map[record.Partition]int64{}
	for p := range int32(partitions) {
		at := record.Partition{Topic: "t", Number: p}
		next[at] = 0
		r.Seek(at, 0)
	}
	for round := range rounds {
		for p := range int32(partitions) {
			produce(t, w, &kgo.Record{Topic: "t", Partition: p, Value: fmt.Append(nil, round)})
		}
		switch round % 3 {
		case 0:
			n.cut(false)
		case 1:
			c.ShufflePartitionLeaders()
		case 2:
			n.cut(true)
			time.AfterFunc(50*time.Millisecond, func() { n.cut(false) })
		}
		for behind(next, int64(round+1)) {
			for _, f := range awaitAll(t, r) {
				if f.Err != nil || f.From != next[f.Partition] {
					t.Fatalf("%v at %d, not at %d: %v", f.Partition, f.From, next[f.Partition], f.Err)
				}
				next[f.Partition] = inOrder(t, f)
			}
		}
	}
}

func behind(next map[record.Partition]int64, end int64) bool {
	for _, n := range next {
		if n < end {
			return true
		}
	}
	return false
}

// inOrder checks that each record's value is its offset, and none is missing.
func inOrder(t *testing.T, f log.Fetched) (next int64) {
	t.Helper()
	next = f.From
	for _, b := range f.Batches {
		for r := b.Reader(); r.Next(); next++ {
			if got := r.Record(); got.Offset != next || string(got.Value) != fmt.Sprint(next) {
				t.Fatalf("record %d is %q, want %d", got.Offset, got.Value, next)
			}
		}
	}
	return next
}

// Calls too go on when connections are cut, leaders and coordinators move.
func TestCallsGoOnWhateverHappens(t *testing.T) {
	ctx := context.Background()
	c, w, n, l := disturbed(t, 3)
	at := record.Partition{Topic: "t", Number: 1}
	for round := range int64(20) {
		produce(t, w, &kgo.Record{Topic: "t", Partition: 1})
		switch round % 3 {
		case 0:
			n.cut(false)
		case 1:
			c.ShufflePartitionLeaders()
			c.RehashCoordinators()
		case 2:
			n.cut(true)
			time.AfterFunc(50*time.Millisecond, func() { n.cut(false) })
		}
		ends, err := l.Ends(ctx, at)
		if err != nil || ends[at].End != round+1 {
			t.Fatalf("end %d, want %d: %v", ends[at].End, round+1, err)
		}
		if _, err := l.Positions(ctx, "g", at); err != nil {
			t.Fatal(err)
		}
		if _, err := l.OpenTransactions(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// A call gives up in time when nobody is there, and says so.
func TestCallsGiveUp(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	addr := c.ListenAddrs()[0]
	l := open(t, Options{Brokers: []string{addr}, Timeout: 300 * time.Millisecond})
	c.Close()
	if _, err := l.Topics(context.Background()); !errors.Is(err, log.ErrUnavailable) || !strings.Contains(err.Error(), addr) {
		t.Errorf("got %v", err)
	}
}

// A topic that was deleted and made again is another one: what was read of the
// first does not continue in the second.
func TestReaderStopsAtATopicThatWasMadeAgain(t *testing.T) {
	ctx := context.Background()
	c, w, _, l := disturbed(t, 1)
	at := record.Partition{Topic: "t"}
	produce(t, w, &kgo.Record{Topic: "t", Value: []byte("0")})
	r := l.NewReader(log.ReaderOptions{})
	defer r.Close()
	r.Seek(at, 0)
	if f := await(t, r); f.Err != nil {
		t.Fatal(f.Err)
	}
	if err := errors.Join(l.DeleteTopic(ctx, "t"), l.CreateTopic(ctx, log.Topic{Name: "t", Partitions: 1})); err != nil {
		t.Fatal(err)
	}
	for {
		f := await(t, r)
		if errors.Is(f.Err, log.ErrOutOfRange) || f.Err != nil && !errors.Is(f.Err, log.ErrUnknownTopic) {
			t.Fatal(f.Err)
		}
		if f.Err != nil && strings.Contains(f.Err.Error(), "deleted and recreated") {
			break
		}
	}
	r.Seek(at, 0) // whoever means the new one says so
	produce(t, writer(t, c), &kgo.Record{Topic: "t", Value: []byte("0")})
	if f := await(t, r); f.Err != nil || inOrder(t, f) != 1 {
		t.Errorf("after seeking anew: %+v", f)
	}
}

// Batches come through whatever their size and codec, beside small ones.
func TestReaderTakesEveryBatch(t *testing.T) {
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "t"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			w := writer(t, c, kgo.ProducerBatchCompression(codec))
			big := bytes.Repeat([]byte("0123456789"), 50_000)
			produce(t, w, &kgo.Record{Topic: "t", Key: []byte("k"), Value: big, Timestamp: time.UnixMilli(7),
				Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("x")}, {Key: "nil"}}})
			produce(t, w, &kgo.Record{Topic: "t", Partition: 1, Key: []byte("k"), Timestamp: time.UnixMilli(8)})
			l := open(t, Options{Brokers: c.ListenAddrs()})
			for number, want := range []record.Record{
				{Timestamp: 7, Key: []byte("k"), Value: big, Headers: []record.Header{{Key: "h", Value: []byte("x")}, {Key: "nil"}}},
				{Timestamp: 8, Key: []byte("k")},
			} {
				p := record.Partition{Topic: "t", Number: int32(number)}
				got := readTo(t, l, p, log.ReaderOptions{MaxPartitionBytes: 1000}, 0, 1)
				if len(got) != 1 || got[0] != show(&want) {
					t.Errorf("partition %d: got %.200v", number, got)
				}
			}
		})
	}
}
