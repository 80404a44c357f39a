package embedded_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/errgroup"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/log/embedded"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// Producers that commit at once, each to a partition of its own and to one
// they share, under one group whose generation moves, beside purges and
// compaction: everybody's transactions must be there once, in order and whole.
func TestManyAtOnce(t *testing.T) {
	const producers, commits = 4, 150
	l := open(t, "log", embedded.Options{FS: vfs.NewMem()})
	shared := record.Partition{Topic: "shared"}
	own := func(n int) record.Partition { return record.Partition{Topic: "own", Number: int32(n)} }
	err := errors.Join(
		l.CreateTopic(ctx, log.Topic{Name: "own", Partitions: producers, Cleanup: log.Compact}),
		l.CreateTopic(ctx, log.Topic{Name: "shared"}),
		l.CreateTopic(ctx, log.Topic{Name: "purged"}),
	)
	if err != nil {
		t.Fatal(err)
	}
	done, stop := context.WithCancel(ctx)
	var background, foreground errgroup.Group
	for n := range producers {
		foreground.Go(func() error { return produce(l, n, commits, []record.Partition{own(n), shared, {Topic: "purged"}}) })
	}
	background.Go(func() error { return purgeUntil(done, l, record.Partition{Topic: "purged"}) })
	var seen map[uint32]uint32
	foreground.Go(func() (err error) {
		seen, err = consume(l, shared, producers, producers*commits)
		return err
	})
	if err := foreground.Wait(); err != nil {
		t.Error(err)
	}
	stop()
	if err := background.Wait(); err != nil {
		t.Error(err)
	}
	for n := range producers {
		if seen[uint32(n)] != commits {
			t.Errorf("producer %d: %d of %d seen", n, seen[uint32(n)], commits)
		}
		at, err := l.Positions(ctx, "g", own(n))
		if err != nil || at[own(n)] != commits {
			t.Errorf("producer %d: positions %v, %v", n, at, err)
		}
	}
}

// produce makes commits whose records are numbered, and tries again whenever
// the group has moved on.
func produce(l log.Log, n, commits int, to []record.Partition) error {
	m, err := l.Join("g", log.JoinOptions{Assign: func([]log.MemberInfo) map[string][]byte { return nil }})
	if err != nil {
		return err
	}
	p, err := l.Producer(ctx, fmt.Sprint("p", n))
	if err != nil {
		return err
	}
	for i := range commits {
		x := log.Txn{Positions: map[record.Partition]int64{to[0]: int64(i + 1)}}
		for _, at := range to {
			b := &record.Builder{}
			b.Append(1, fmt.Append(nil, n), binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(n)), uint32(i)))
			x.Writes = append(x.Writes, log.Write{Partition: at, Records: b})
		}
		if i%50 == 25 {
			m.Rejoin(nil)
		}
		for err = log.ErrGeneration; errors.Is(err, log.ErrGeneration); {
			claim, _, err2 := m.Poll()
			if err2 != nil {
				return err2
			}
			x.Claim = claim.GroupClaim
			_, err = p.Commit(ctx, &x)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// consume reads until it has n records, and checks that everybody's numbers
// come one after the other.
func consume(l log.Log, from record.Partition, producers, n int) (map[uint32]uint32, error) {
	r := l.NewReader(log.ReaderOptions{})
	defer r.Close()
	r.Seek(from, 0)
	next := map[uint32]uint32{}
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for count := 0; count < n; {
		all, err := r.Poll()
		if err != nil {
			return nil, err
		}
		for _, f := range all {
			for _, b := range f.Batches {
				for it := b.Reader(); it.Next(); count++ {
					who, number := binary.BigEndian.Uint32(it.Record().Value), binary.BigEndian.Uint32(it.Record().Value[4:])
					if next[who] != number {
						return nil, fmt.Errorf("producer %d: %d after %d", who, number, next[who])
					}
					next[who]++
				}
			}
		}
		if len(all) > 0 {
			continue
		}
		select {
		case <-r.Ready():
		case <-deadline.C:
			return nil, fmt.Errorf("%d of %d records after a minute", count, n)
		}
	}
	return next, nil
}

// purgeUntil removes all that is readable, again and again.
func purgeUntil(done context.Context, l log.Log, p record.Partition) error {
	for done.Err() == nil {
		ends, err := l.Ends(ctx, p)
		if err == nil {
			err = l.Purge(ctx, map[record.Partition]int64{p: ends[p].Stable})
		}
		if err != nil {
			return err
		}
		select {
		case <-done.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{100, 10_000, 1 << 20, 8 << 20} {
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			l := open(b, b.TempDir(), embedded.Options{})
			benchCommit(b, l, size)
		})
	}
}

func benchCommit(b *testing.B, l log.Log, size int) {
	at := record.Partition{Topic: "t"}
	err := l.CreateTopic(ctx, log.Topic{Name: "t"})
	p, err2 := l.Producer(ctx, "x")
	if err := errors.Join(err, err2); err != nil {
		b.Fatal(err)
	}
	records := &record.Builder{}
	for records.Bytes() < size {
		records.Append(1, []byte("covid19"), make([]byte, min(350, size)))
	}
	x := &log.Txn{Writes: []log.Write{{Partition: at, Records: records}}}
	b.SetBytes(int64(records.Bytes()))
	for b.Loop() {
		if _, err := p.Commit(ctx, x); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPoll(b *testing.B) {
	for _, size := range []int{10_000, 512 << 10} {
		b.Run(fmt.Sprintf("batches of %d bytes", size), func(b *testing.B) { benchPoll(b, size) })
	}
}

// benchPoll reads 24 MiB, which the cache holds, over and over.
func benchPoll(b *testing.B, size int) {
	const total = 24 << 20
	l := open(b, "log", embedded.Options{FS: vfs.NewMem()})
	at := record.Partition{Topic: "t"}
	err := l.CreateTopic(ctx, log.Topic{Name: "t"})
	p, err2 := l.Producer(ctx, "x")
	if err := errors.Join(err, err2); err != nil {
		b.Fatal(err)
	}
	records := &record.Builder{}
	for records.Bytes() < size {
		records.Append(1, []byte("covid19"), make([]byte, 350))
	}
	written := 0
	for ; written < total; written += records.Bytes() {
		if _, err := p.Commit(ctx, &log.Txn{Writes: []log.Write{{Partition: at, Records: records}}}); err != nil {
			b.Fatal(err)
		}
	}
	r := l.NewReader(log.ReaderOptions{})
	defer r.Close()
	b.SetBytes(int64(written))
	b.ReportAllocs()
	for b.Loop() {
		r.Seek(at, 0)
		for {
			all, err := r.Poll()
			if err != nil {
				b.Fatal(err)
			}
			if len(all) == 0 {
				break
			}
		}
	}
}
