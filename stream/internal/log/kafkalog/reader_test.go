package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// Whatever lies in a log, the committed records come out as they were written,
// and the position comes to the end, from wherever one begins and however
// little is read at once.
func TestReaderMakesOfALogWhatTheModelDoes(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 0))
		s := randomScript(random)
		s.hole(3) // at the very end
		l, p := scriptedLog(t, s)
		for range 3 {
			from := random.Int64N(s.end + 1)
			o := log.ReaderOptions{MaxPartitionBytes: 1 + random.IntN(2000), MaxBytes: 1 + random.IntN(4000)}
			var want []string
			for _, r := range s.want {
				if r.Offset >= from {
					want = append(want, show(&r))
				}
			}
			got := readTo(t, l, p, o, from, s.end)
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d from %d of %d:\n got %v\nwant %v", seed, from, s.end, got, want)
			}
		}
	}
}

func show(r *record.Record) string {
	return fmt.Sprintf("%d@%d %q=%q nil %t/%t %v", r.Offset, r.Timestamp, r.Key, r.Value, r.Key == nil, r.Value == nil, r.Headers)
}

// readTo reads a partition from a position until it stands at end, and checks
// what the contract says of every step.
func readTo(t *testing.T, l *Log, p record.Partition, o log.ReaderOptions, from, end int64) (got []string) {
	t.Helper()
	r := l.NewReader(o)
	defer r.Close()
	r.Seek(p, from)
	for at := from; at < end; {
		f := await(t, r)
		if f.Err != nil || f.From != at || f.Next <= at {
			t.Fatalf("at %d: from %d next %d: %v", at, f.From, f.Next, f.Err)
		}
		for _, b := range f.Batches {
			parsed, err := record.Parse(b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			rs := parsed.Reader()
			for rs.Next() {
				if o := rs.Record().Offset; o < at || o >= f.Next {
					t.Fatalf("record %d in [%d, %d)", o, at, f.Next)
				}
				got = append(got, show(rs.Record()))
			}
			if rs.Err() != nil {
				t.Fatal(rs.Err())
			}
		}
		at = f.Next
	}
	return got
}

// await is the next thing a reader of one partition has to say.
func await(t *testing.T, r log.Reader) log.Fetched {
	t.Helper()
	return awaitAll(t, r)[0]
}

// awaitAll is what a reader has to say next.
func awaitAll(t *testing.T, r log.Reader) []log.Fetched {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	for {
		all, err := r.Poll()
		if err != nil {
			t.Fatal(err)
		}
		if len(all) > 0 {
			return all
		}
		select {
		case <-r.Ready():
		case <-deadline.C:
			t.Fatal("waited in vain for the reader")
		}
	}
}

// Bytes that are not what was written end the reading of their partition, with
// an error that says where.
func TestReaderNoticesDamage(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	s := &script{}
	for range 3 {
		s.records(random, record.NoProducer, true)
	}
	last := s.batches[2].data
	last[len(last)-1] ^= 1
	l, p := scriptedLog(t, s)
	r := l.NewReader(log.ReaderOptions{MaxPartitionBytes: len(s.batches[0].data)})
	defer r.Close()
	r.Seek(p, 0)
	for f := await(t, r); ; f = await(t, r) {
		if f.Err == nil {
			continue
		}
		if !strings.Contains(f.Err.Error(), "t/0") || !errors.Is(f.Err, log.ErrDamaged) || f.Next != s.batches[1].last+1 {
			t.Errorf("at %d: %v", f.Next, f.Err)
		}
		return
	}
}

// The first record of a time is a committed one, whatever stands before it.
func TestPositionAtCountsCommittedRecordsOnly(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	s := &script{}
	ghost := record.ProducerInfo{ID: 5, Transactional: true}
	s.hole(7)
	began := s.end
	s.records(random, ghost, false)
	s.marker(ghost, false)
	first := s.end
	s.records(random, record.NoProducer, true)
	s.abort(ghost, began)
	l, p := scriptedLog(t, s)
	at, err := l.cluster.positionAt(context.Background(), p, -1, log.Range{Stable: s.end, End: s.end})
	if err != nil || at < first || at != s.want[0].Offset {
		t.Errorf("found %d, want %d: %v", at, s.want[0].Offset, err)
	}
}
