package logtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

var readerTests = []testCase{
	{"a reader that was told nothing reads nothing", nil, func(f *fixture) {
		f.commit(f.producer("x"), f.topic("t", 1)[0], "k=v")
		r := f.Log.NewReader(log.ReaderOptions{})
		defer r.Close()
		got, err := r.Poll()
		f.must(err)
		f.equal("fetched", got, []log.Fetched{})
	}},
	{"a reader can begin inside a batch", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		f.commit(f.producer("x"), a, "k=0", "k=1", "k=2", "k=3")
		f.equal("records", f.read(a, 2), []string{"2:k=2", "3:k=3"})
	}},
	{"from and next enclose what was read, without gaps", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		p := f.producer("x")
		for i := range 10 {
			f.commit(p, a, fmt.Sprintf("k=%d", i))
		}
		r := f.Log.NewReader(log.ReaderOptions{MaxBytes: 1})
		defer r.Close()
		r.Seek(a, 0)
		var got []string
		for at := int64(0); at < f.bounds(a).End; {
			for _, x := range f.poll(r) {
				f.must(x.Err)
				f.equal("from", x.From, at)
				f.equal("moved", x.Next > at, true)
				got, at = append(got, f.records(x)...), x.Next
			}
		}
		f.equal("records", len(got), 10)
	}},
	{"a reader at the end has nothing until something is committed", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		p := f.producer("x")
		f.commit(p, a, "k=1")
		r := f.Log.NewReader(log.ReaderOptions{})
		defer r.Close()
		r.Seek(a, f.bounds(a).End)
		got, err := r.Poll()
		f.must(err)
		f.equal("fetched", got, []log.Fetched{})
		drain(r.Ready())
		f.commit(p, a, "k=2")
		f.equal("records", values(f.records(f.poll(r)[0])), []string{"k=2"})
	}},
	{"a reader is told of a topic that comes later", nil, func(f *fixture) {
		a := record.Partition{Topic: f.name("late")}
		r := f.Log.NewReader(log.ReaderOptions{})
		defer r.Close()
		r.Seek(a, 0)
		f.wants(f.poll(r)[0].Err, log.ErrUnknownTopic)
		drain(r.Ready())
		f.topic("late", 1)
		f.commit(f.producer("x"), a, "k=1")
		f.await("the record", func() bool {
			x := f.poll(r)[0]
			return x.Err == nil && len(f.records(x)) == 1
		})
	}},
	{"positions outside of the partition are out of range", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		f.commit(f.producer("x"), a, "k=0", "k=1", "k=2")
		f.must(f.Log.Purge(ctx, map[record.Partition]int64{a: 2}))
		r := f.Log.NewReader(log.ReaderOptions{})
		defer r.Close()
		for _, at := range []int64{0, 1, f.bounds(a).End + 1} {
			r.Seek(a, at)
			x := f.poll(r)[0]
			f.wants(x.Err, log.ErrOutOfRange)
			f.equal("it stays where it is", []int64{x.From, x.Next}, []int64{at, at})
		}
		r.Seek(a, 2)
		f.equal("records", f.records(f.poll(r)[0]), []string{"2:k=2"})
	}},
	{"a reader whose place is purged under it is out of range, or has read it before", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		p := f.producer("x")
		f.commit(p, a, "k=0")
		f.commit(p, a, "k=1")
		end := f.bounds(a).Stable
		r := f.Log.NewReader(log.ReaderOptions{})
		defer r.Close()
		r.Seek(a, 0)
		f.must(f.Log.Purge(ctx, map[record.Partition]int64{a: end}))
		var got []string
		for at := int64(0); at < end; {
			x := f.poll(r)[0]
			f.equal("from", x.From, at)
			if x.Err != nil {
				f.wants(x.Err, log.ErrOutOfRange)
				f.equal("it stays where it is", x.Next, at)
				return
			}
			got, at = append(got, f.records(x)...), x.Next
		}
		f.equal("records", values(got), []string{"k=0", "k=1"})
	}},
	{"a dropped partition is not read any more", nil, func(f *fixture) {
		ps := f.topic("t", 2)
		p := f.producer("x")
		f.commit(p, ps[0], "a=1")
		f.commit(p, ps[1], "b=1")
		r := f.Log.NewReader(log.ReaderOptions{})
		defer r.Close()
		r.Seek(ps[0], 0)
		r.Seek(ps[1], 0)
		r.Drop(ps[0])
		r.Drop(record.Partition{Topic: f.name("never sought")})
		got := f.poll(r)
		f.equal("fetched", len(got), 1)
		f.equal("partition", got[0].Partition, ps[1])
		r.Seek(ps[0], 0)
		f.await("the partition that is sought again", func() bool {
			return slices.ContainsFunc(f.poll(r), func(x log.Fetched) bool { return x.Partition == ps[0] })
		})
	}},
	{"a poll is bounded, per partition and in all, but never starves", nil, func(f *fixture) {
		const batch = 10_000
		ps := f.topic("t", 4)
		p := f.producer("x")
		big := "k=" + strings.Repeat("x", batch)
		for range 8 {
			for _, to := range ps {
				f.commit(p, to, big)
			}
		}
		r := f.Log.NewReader(log.ReaderOptions{MaxPartitionBytes: 2 * batch, MaxBytes: 3 * batch})
		defer r.Close()
		for _, at := range ps {
			r.Seek(at, 0)
		}
		read, left := map[record.Partition]int{}, 8*len(ps)
		for range 200 {
			total := 0
			for _, x := range f.poll(r) {
				f.must(x.Err)
				n := 0
				for _, b := range x.Batches {
					n += len(b.Bytes())
				}
				f.equal("a partition's bytes are bounded", n < 4*batch, true)
				total += n
				read[x.Partition] += len(f.records(x))
				left -= len(f.records(x))
			}
			f.equal("a poll's bytes are bounded", total < 6*batch, true)
			if left == 0 {
				break
			}
		}
		// How far one is ahead of another is up to those who lead them.
		for _, at := range ps {
			f.equal(fmt.Sprint("what was read of ", at), read[at], 8)
		}
	}},
	{"what was read stays as it is", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		p := f.producer("x")
		f.commit(p, a, "k=first")
		r := f.Log.NewReader(log.ReaderOptions{})
		defer r.Close()
		r.Seek(a, 0)
		first := f.poll(r)[0]
		for i := range 50 {
			f.commit(p, a, fmt.Sprintf("k=later %d", i))
			f.poll(r)
		}
		f.must(f.Log.Purge(ctx, map[record.Partition]int64{a: f.bounds(a).Stable}))
		f.equal("records", f.records(first), []string{"0:k=first"})
	}},
	{"a fetch says how far the partition reaches", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		f.commit(f.producer("x"), a, "k=0", "k=1")
		r := f.Log.NewReader(log.ReaderOptions{})
		defer r.Close()
		r.Seek(a, 0)
		f.equal("range", f.poll(r)[0].Range, f.bounds(a))
	}},
	{"a closed reader says so", nil, func(f *fixture) {
		r := f.Log.NewReader(log.ReaderOptions{})
		r.Seek(f.topic("t", 1)[0], 0)
		r.Close()
		_, err := r.Poll()
		f.wants(err, log.ErrClosed)
	}},
}

// drain takes a wake-up that may be there already.
func drain(ready <-chan struct{}) {
	select {
	case <-ready:
	default:
	}
}
