package logtest

import (
	"fmt"
	"slices"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

var transactionTests = []testCase{
	{"records are read in the order of commits and writes", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		p := f.producer("x")
		var want []string
		for i := range 50 {
			w := []string{fmt.Sprintf("k=%d.a", i), fmt.Sprintf("k=%d.b", i)}
			_, err := p.Commit(ctx, &log.Txn{Writes: []log.Write{write(a, w[0]), write(a, w[1])}})
			f.must(err)
			want = append(want, w...)
		}
		got := f.read(a, 0)
		f.equal("records", values(got), want)
		f.equal("offsets rise", slices.IsSortedFunc(got, byOffset), true)
	}},
	{"a receipt says where each write went", nil, func(f *fixture) {
		ps := f.topic("t", 2)
		p := f.producer("x")
		f.commit(p, ps[0], "a=1")
		r, err := p.Commit(ctx, &log.Txn{Writes: []log.Write{
			write(ps[1], "b=1", "b=2"), write(ps[0], "a=2"), write(ps[1], "b=3"),
		}})
		f.must(err)
		last := func(at record.Partition, next int64) string { return values(f.read(at, next-1))[0] }
		f.equal("last records", []string{last(ps[1], r.Next[0]), last(ps[0], r.Next[1]), last(ps[1], r.Next[2])},
			[]string{"b=2", "a=2", "b=3"})
	}},
	{"the end of a transaction takes as many positions as it is said to", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		p := f.producer("x")
		for range 3 {
			r := f.commit(p, a, "k=1", "k=2")
			f.await("what is committed can be read", func() bool { b := f.bounds(a); return b.Stable == b.End && b.End >= r.Next[0]+f.Log.Markers() })
			f.equal("end", f.bounds(a).End, r.Next[0]+f.Log.Markers())
		}
	}},
	{"a transaction without anything commits", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		p := f.producer("x")
		_, err := p.Commit(ctx, &log.Txn{})
		f.must(err)
		r, err := p.Commit(ctx, &log.Txn{Writes: []log.Write{{Partition: a, Records: &record.Builder{}}}})
		f.must(err)
		f.equal("receipt", r.Next, []int64{0})
		f.equal("extent", f.bounds(a), log.Range{})
	}},
	{"a transaction that cannot be made leaves nothing", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		missing := record.Partition{Topic: f.name("missing")}
		p := f.producer("x")
		_, err := p.Commit(ctx, &log.Txn{Writes: []log.Write{write(a, "k=1"), write(missing, "k=1")}})
		f.wants(err, log.ErrUnknownTopic)
		_, err = p.Commit(ctx, &log.Txn{Writes: []log.Write{write(a, "k=2"), write(record.Partition{Topic: a.Topic, Number: 1}, "k=1")}})
		f.wants(err, log.ErrUnknownTopic)
		f.equal("records", f.read(a, 0), []string{})
		f.nothingOpen()
		f.commit(p, a, "k=3")
		f.equal("records", values(f.read(a, 0)), []string{"k=3"})
	}},
	{"a record that is too large is refused", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		b := &record.Builder{}
		b.Append(1, nil, make([]byte, 64<<20))
		p := f.producer("x")
		_, err := p.Commit(ctx, &log.Txn{Writes: []log.Write{write(a, "k=1"), {Partition: a, Records: b}}})
		f.wants(err, log.ErrTooLarge)
		f.equal("records", f.read(a, 0), []string{})
		f.nothingOpen()
	}},
	{"records come back as they were written", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		b := &record.Builder{MaxBatchBytes: 200}
		for i := range 20 {
			b.Append(int64(1000-i), fmt.Append(nil, i), nil, record.Header{Key: "h", Value: []byte{byte(i)}})
			b.Append(int64(i), nil, []byte{}, record.Header{})
		}
		var want []record.Record
		for _, batch := range b.Seal(0, record.NoProducer) {
			want = append(want, all(batch)...)
		}
		_, err := f.producer("x").Commit(ctx, &log.Txn{Writes: []log.Write{{Partition: a, Records: b}}})
		f.must(err)
		r := f.Log.NewReader(log.ReaderOptions{})
		defer r.Close()
		r.Seek(a, 0)
		var got []record.Record
		for _, x := range f.poll(r) {
			for _, batch := range x.Batches {
				got = append(got, all(batch)...)
			}
		}
		f.equal("records", got, want)
	}},
	{"a producer fences the one before it", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		old := f.producer("x")
		f.commit(old, a, "k=1")
		other := f.producer("y")
		fresh := f.producer("x")
		for range 2 {
			_, err := old.Commit(ctx, &log.Txn{Writes: []log.Write{write(a, "k=2")}})
			f.wants(err, log.ErrFenced)
		}
		f.commit(other, a, "k=3")
		f.commit(fresh, a, "k=4")
		f.equal("records", values(f.read(a, 0)), []string{"k=1", "k=3", "k=4"})
	}},
	{"a producer fences across a crash", canKill, func(f *fixture) {
		a := f.topic("t", 1)[0]
		f.commit(f.producer("x"), a, "k=1")
		f.Log = f.Kill(f.T)
		old := f.producer("x")
		f.producer("x")
		_, err := old.Commit(ctx, &log.Txn{Writes: []log.Write{write(a, "k=2")}})
		f.wants(err, log.ErrFenced)
	}},
	{"what was committed survives a crash whole", canKill, func(f *fixture) {
		ps := f.topic("t", 2)
		p := f.producer("x")
		for i := range 20 {
			_, err := p.Commit(ctx, &log.Txn{
				Writes:    []log.Write{write(ps[0], fmt.Sprintf("k=%d", i)), write(ps[1], fmt.Sprintf("k=%d", i))},
				Positions: map[record.Partition]int64{ps[0]: int64(i)},
				Claim:     log.GroupClaim{Group: f.name("g"), Generation: -1},
			})
			f.must(err)
		}
		before := []any{f.read(ps[0], 0), f.read(ps[1], 0), f.bounds(ps[0])}
		f.Log = f.Kill(f.T)
		f.equal("records and extent", []any{f.read(ps[0], 0), f.read(ps[1], 0), f.bounds(ps[0])}, before)
		f.equal("position", f.positions("g", ps[0])[ps[0]], 19)
	}},
	{"an open transaction holds readers back and is taken back by the next producer", canAbandon, func(f *fixture) {
		a := f.topic("t", 1)[0]
		other := f.producer("y")
		f.commit(other, a, "k=1")
		stable := f.bounds(a).Stable
		f.Abandon(f.T, f.name("x"), &log.Txn{Writes: []log.Write{write(a, "k=lost", "k=lost")}})
		f.commit(other, a, "k=2")

		held := f.bounds(a)
		f.equal("stable while it is open", held.Stable, stable)
		f.equal("end is behind it", held.End > stable, true)
		f.equal("records while it is open", values(f.read(a, 0)), []string{"k=1"})
		open := f.open()
		f.equal("open", len(open), 1)
		f.equal("open", []any{open[0].TransactionalID, open[0].Partitions}, []any{f.name("x"), []record.Partition{a}})
		f.wants(f.Log.Purge(ctx, map[record.Partition]int64{a: held.End}), log.ErrOutOfRange)

		fresh := f.producer("x")
		f.nothingOpen()
		f.commit(fresh, a, "k=3")
		f.await("the end becomes stable", func() bool { b := f.bounds(a); return b.Stable == b.End })
		f.equal("records", values(f.read(a, 0)), []string{"k=1", "k=2", "k=3"})
	}},
	{"a reader waits at an open transaction and moves over it when it is aborted", canAbandon, func(f *fixture) {
		a := f.topic("t", 1)[0]
		f.Abandon(f.T, f.name("x"), &log.Txn{Writes: []log.Write{write(a, "k=lost")}})
		r := f.Log.NewReader(log.ReaderOptions{})
		defer r.Close()
		r.Seek(a, 0)
		for range 3 {
			got, err := r.Poll()
			f.must(err)
			for _, x := range got {
				f.equal("progress while it is open", x.Next, 0)
			}
		}
		f.producer("x")
		var got []string
		f.await("the reader to move", func() bool {
			all, err := r.Poll()
			f.must(err)
			for _, x := range all {
				got = append(got, f.records(x)...)
				if x.Next == f.bounds(a).End {
					return true
				}
			}
			return false
		})
		f.equal("records", got, []string{})
	}},
	{"positions are unstable while an open transaction holds one", canAbandon, func(f *fixture) {
		ps := f.topic("t", 2)
		f.commitPositions("g", map[record.Partition]int64{ps[0]: 0, ps[1]: 0})
		f.Abandon(f.T, f.name("x"), &log.Txn{
			Positions: map[record.Partition]int64{ps[0]: 5},
			Claim:     log.GroupClaim{Group: f.name("g"), Generation: -1},
		})
		_, err := f.Log.Positions(ctx, f.name("g"), ps...)
		f.wants(err, log.ErrUnstable)
		f.producer("x")
		f.equal("positions", f.positions("g", ps...), map[record.Partition]int64{ps[0]: 0, ps[1]: 0})
	}},
	{"an open transaction survives a crash open", func(h Harness) bool { return canAbandon(h) && canKill(h) }, func(f *fixture) {
		a := f.topic("t", 1)[0]
		f.Abandon(f.T, f.name("x"), &log.Txn{
			Writes:    []log.Write{write(a, "k=lost")},
			Positions: map[record.Partition]int64{a: 5},
			Claim:     log.GroupClaim{Group: f.name("g"), Generation: -1},
		})
		f.Log = f.Kill(f.T)
		f.equal("stable", f.bounds(a).Stable, 0)
		_, err := f.Log.Positions(ctx, f.name("g"), a)
		f.wants(err, log.ErrUnstable)
		f.producer("x")
		f.nothingOpen()
		f.equal("records", f.read(a, 0), []string{})
		f.equal("positions", f.positions("g", a), map[record.Partition]int64{})
	}},
}

func byOffset(a, b string) int {
	var x, y int64
	fmt.Sscanf(a, "%d:", &x)
	fmt.Sscanf(b, "%d:", &y)
	return int(x - y)
}

func all(b record.Batch) (rs []record.Record) {
	for r := b.Reader(); r.Next(); {
		rs = append(rs, *r.Record())
	}
	return rs
}

func (f *fixture) nothingOpen() {
	f.Helper()
	f.equal("open transactions", f.open(), []log.OpenTransaction{})
}
