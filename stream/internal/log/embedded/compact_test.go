package embedded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// A follower folds a partition into a table, as the engine's tables do.
type follower struct {
	reader log.Reader
	table  map[string]string
	next   int64
}

func (l *Log) follow(p record.Partition) *follower {
	f := &follower{reader: l.NewReader(log.ReaderOptions{MaxBytes: 300}), table: map[string]string{}}
	f.reader.Seek(p, 0)
	return f
}

// poll reads a little, and says whether there was anything.
func (f *follower) poll() (bool, error) {
	all, err := f.reader.Poll()
	if err != nil {
		return false, err
	}
	for _, x := range all {
		if x.Err != nil {
			return false, x.Err
		}
		for _, b := range x.Batches {
			for it := b.Reader(); it.Next(); {
				r := it.Record()
				if r.Offset < x.From {
					continue
				}
				if f.table[string(r.Key)] = string(r.Value); r.Value == nil {
					delete(f.table, string(r.Key))
				}
			}
		}
		f.next = x.Next
	}
	return len(all) > 0, nil
}

// A tableModel is what a compacted partition means: the table after every
// position.
type tableModel struct {
	end     int64
	changes []change
}

type change struct {
	offset     int64
	key, value string
}

func (m *tableModel) at(next int64) map[string]string {
	table := map[string]string{}
	for _, c := range m.changes {
		if c.offset >= next {
			break
		}
		if table[c.key] = c.value; c.value == "" {
			delete(table, c.key)
		}
	}
	return table
}

// Followers that stand anywhere, for however long, must fold to the table that
// the whole history folds to, whatever compaction took out meanwhile. One that
// is slower than the deletes' retention is safe because it is open.
func TestCompactionIsInvisibleToFollowers(t *testing.T) {
	table := record.Partition{Topic: "t"}
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		now := time.Unix(1600000000, 0)
		l, err := Open("log", Options{FS: vfs.NewMem(), Deterministic: true, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		l.maxKeys = rapid.IntRange(1, 10).Draw(t, "keys of a pass")
		err = l.CreateTopic(ctx, log.Topic{Name: "t", Cleanup: log.Compact, DeleteRetention: time.Hour})
		p, err2 := l.Producer(ctx, "x")
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		var m tableModel
		followers := []*follower{l.follow(table)}
		t.Repeat(map[string]func(*rapid.T){
			"commit": func(t *rapid.T) {
				b := &record.Builder{MaxBatchBytes: 150}
				for range rapid.IntRange(1, 10).Draw(t, "records") {
					c := change{m.end, rapid.StringMatching("[a-f]").Draw(t, "key"), rapid.StringMatching("[x-z]{0,2}").Draw(t, "value")}
					var value []byte
					if c.value != "" {
						value = []byte(c.value)
					}
					b.Append(now.UnixMilli(), []byte(c.key), value)
					m.changes, m.end = append(m.changes, c), m.end+1
				}
				if _, err := p.Commit(ctx, &log.Txn{Writes: []log.Write{{Partition: table, Records: b}}}); err != nil {
					t.Fatal(err)
				}
			},
			"compact": func(t *rapid.T) {
				if err := l.Compact(ctx); err != nil {
					t.Fatal(err)
				}
			},
			"time":   func(t *rapid.T) { now = now.Add(45 * time.Minute) },
			"follow": func(t *rapid.T) { followers = append(followers, l.follow(table)) },
			"poll": func(t *rapid.T) {
				f := rapid.SampledFrom(followers).Draw(t, "follower")
				if _, err := f.poll(); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) { checkExtent(t, l) },
		})
		for _, f := range followers {
			for more := true; more; {
				if more, err = f.poll(); err != nil {
					t.Fatal(err)
				}
			}
			if want := m.at(m.end); f.next != m.end || !maps.Equal(f.table, want) {
				t.Fatalf("follower at %d has %v, want %v at %d", f.next, f.table, want, m.end)
			}
		}
	})
}

// checkExtent checks the books: what an extent says of bytes is what there is.
func checkExtent(t *rapid.T, l *Log) {
	for _, topic := range l.topics {
		for _, p := range topic.partitions {
			var bytes, dirty int64
			err := l.eachIndex(p.place(), 0, 1<<62, func(base int64, row indexRow) bool {
				bytes += int64(row.bytes)
				if base >= p.clean {
					dirty += int64(row.bytes)
				}
				return true
			})
			if err != nil || bytes != p.bytes || dirty != p.dirty {
				t.Fatalf("extent %+v, found %d bytes, %d dirty, %v", p.extent, bytes, dirty, err)
			}
		}
	}
}

func TestCompactionKeepsDeletesForOpenReaders(t *testing.T) {
	ctx := context.Background()
	now := time.Unix(1600000000, 0)
	l, p := compacted(t, Options{FS: vfs.NewMem(), Deterministic: true, Now: func() time.Time { return now }})
	table := record.Partition{Topic: "t"}
	put := func(value []byte) {
		t.Helper()
		b := &record.Builder{}
		b.Append(1, []byte("k"), value)
		if _, err := p.Commit(ctx, &log.Txn{Writes: []log.Write{{Partition: table, Records: b}}}); err != nil {
			t.Fatal(err)
		}
	}
	put([]byte("old"))
	f := l.follow(table)
	if _, err := f.poll(); err != nil || f.table["k"] != "old" {
		t.Fatal(f.table, err)
	}
	put(nil)
	for range 3 {
		now = now.Add(30 * time.Hour)
		if err := l.Compact(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.topics["t"].partitions[0].bytes; n == 0 {
		t.Fatal("the delete is gone while a reader stands before it")
	}
	if _, err := f.poll(); err != nil || len(f.table) != 0 {
		t.Fatal(f.table, err)
	}
	if err := l.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	if n := l.topics["t"].partitions[0].bytes; n != 0 {
		t.Fatalf("%d bytes are left once the reader is past the delete", n)
	}
}

// compacted opens a log with one compacted topic, and a producer.
func compacted(t testing.TB, o Options) (*Log, log.Producer) {
	t.Helper()
	l, err := Open("log", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	err = l.CreateTopic(context.Background(), log.Topic{Name: "t", Partitions: 1, Cleanup: log.Compact, MinDirtyRatio: 0.1})
	p, err2 := l.Producer(context.Background(), "x")
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return l, p
}

// A pass must not bring back what was purged or deleted while it ran.
func TestCompactionYieldsToPurgeAndDelete(t *testing.T) {
	ctx := context.Background()
	table := record.Partition{Topic: "t"}
	for name, overtake := range map[string]func(l *Log) error{
		"purge":  func(l *Log) error { return l.Purge(ctx, map[record.Partition]int64{table: 20}) },
		"delete": func(l *Log) error { return l.DeleteTopic(ctx, "t") },
	} {
		t.Run(name, func(t *testing.T) {
			l, p := compacted(t, Options{FS: vfs.NewMem(), Deterministic: true})
			for i := range 30 {
				b := &record.Builder{}
				b.Append(1, fmt.Append(nil, i%10), []byte("v"))
				if _, err := p.Commit(ctx, &log.Txn{Writes: []log.Write{{Partition: table, Records: b}}}); err != nil {
					t.Fatal(err)
				}
			}
			x := l.newPass(l.topics["t"].partitions[0])
			if _, err := x.readKeys(ctx, x.upTo); err != nil {
				t.Fatal(err)
			}
			if err := overtake(l); err != nil {
				t.Fatal(err)
			}
			x.changed = true
			if err := x.step(ctx, &run{batches: 1}); !errors.Is(err, errOvertaken) {
				t.Errorf("the step ended with %v", err)
			}
		})
	}
}

func TestTableOfFewKeysStaysSmall(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewMem()
	l, p := compacted(t, Options{FS: fs})
	table := record.Partition{Topic: "t"}
	b := &record.Builder{}
	const commits, perCommit = 200, 5000 // a million records
	for i := range commits {
		b.Reset()
		for j := range perCommit {
			b.Append(int64(i), fmt.Appendf(nil, "key-%d", j%100), fmt.Append(nil, i*perCommit+j))
		}
		if _, err := p.Commit(ctx, &log.Txn{Writes: []log.Write{{Partition: table, Records: b}}}); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for {
		l.mu.Lock()
		bytes := l.topics["t"].partitions[0].bytes
		l.mu.Unlock()
		if bytes < 2*minDirty {
			break
		}
		select {
		case <-deadline.C:
			t.Fatalf("%d bytes are left", bytes)
		case <-time.After(20 * time.Millisecond):
		}
	}
	f := l.follow(table)
	for more := true; more; {
		var err error
		if more, err = f.poll(); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.table) != 100 || f.table["key-99"] != fmt.Sprint(commits*perCommit-1) {
		t.Errorf("%d keys, the last is %s", len(f.table), f.table["key-99"])
	}
}

func TestRetentionRemovesWhatIsOld(t *testing.T) {
	ctx := context.Background()
	now := time.Unix(1600000000, 0)
	l, err := Open("log", Options{FS: vfs.NewMem(), Deterministic: true, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = l.CreateTopic(ctx, log.Topic{Name: "t", Retention: 24 * time.Hour})
	p, err2 := l.Producer(ctx, "x")
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	at := record.Partition{Topic: "t"}
	for hour := range 72 {
		b := &record.Builder{}
		b.Append(now.UnixMilli(), nil, []byte("v"))
		if _, err := p.Commit(ctx, &log.Txn{Writes: []log.Write{{Partition: at, Records: b}}}); err != nil {
			t.Fatal(err)
		}
		if err := l.Tick(ctx); err != nil {
			t.Fatal(err)
		}
		ends, err := l.Ends(ctx, at)
		if err != nil {
			t.Fatal(err)
		}
		kept := ends[at].End - ends[at].Start
		if want := int64(min(hour+1, 25)); kept < want || kept > want+2 {
			t.Fatalf("hour %d: %d records are kept, want about %d", hour, kept, want)
		}
		now = now.Add(time.Hour)
	}
}

func TestRetentionSparesWhatAGroupHasNotHandled(t *testing.T) {
	ctx := context.Background()
	now := time.Unix(1600000000, 0)
	l, err := Open("log", Options{FS: vfs.NewMem(), Deterministic: true, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = l.CreateTopic(ctx, log.Topic{Name: "t", Retention: time.Hour})
	p, err2 := l.Producer(ctx, "x")
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	at := record.Partition{Topic: "t"}
	nobody := log.GroupClaim{Group: "g", Generation: -1}
	for n := range int64(10) {
		b := &record.Builder{}
		b.Append(now.UnixMilli(), nil, []byte("v"))
		txn := &log.Txn{Writes: []log.Write{{Partition: at, Records: b}}, Positions: map[record.Partition]int64{at: min(n, 4)}, Claim: nobody}
		if _, err := p.Commit(ctx, txn); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
	}
	now = now.Add(100 * time.Hour)
	if err := l.Tick(ctx); err != nil {
		t.Fatal(err)
	}
	ends, err := l.Ends(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	if ends[at].Start != 4 {
		t.Errorf("the partition begins at %d; all is old, but the group is at 4", ends[at].Start)
	}
}
