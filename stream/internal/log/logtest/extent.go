package logtest

import (
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

var extentTests = []testCase{
	{"an empty partition begins and ends at 0", nil, func(f *fixture) {
		f.equal("extent", f.bounds(f.topic("t", 1)[0]), log.Range{})
	}},
	{"the end is where the next record goes", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		p := f.producer("x")
		f.commit(p, a, "k=0", "k=1")
		before := f.bounds(a)
		f.equal("stable and start", []int64{before.Start, before.Stable}, []int64{0, before.End})
		r := f.commit(p, a, "k=2")
		f.equal("place", r.Next[0], before.End+1)
	}},
	{"ends of a partition that does not exist", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		_, err := f.Log.Ends(ctx, a, record.Partition{Topic: a.Topic, Number: 1})
		f.wants(err, log.ErrUnknownTopic)
		_, err = f.Log.Ends(ctx, record.Partition{Topic: f.name("missing")})
		f.wants(err, log.ErrUnknownTopic)
	}},
	{"a purge moves the start and nothing else", nil, func(f *fixture) {
		ps := f.topic("t", 2)
		p := f.producer("x")
		for _, at := range ps {
			f.commit(p, at, "k=0", "k=1", "k=2")
			f.commit(p, at, "k=3", "k=4")
		}
		end := f.bounds(ps[0]).End
		f.must(f.Log.Purge(ctx, map[record.Partition]int64{ps[0]: 1}))
		f.equal("extent", f.bounds(ps[0]), log.Range{Start: 1, Stable: end, End: end})
		f.equal("records", values(f.read(ps[0], 1)), []string{"k=1", "k=2", "k=3", "k=4"})
		f.must(f.Log.Purge(ctx, map[record.Partition]int64{ps[0]: 0}))
		f.equal("start does not go back", f.bounds(ps[0]).Start, 1)
		f.must(f.Log.Purge(ctx, map[record.Partition]int64{ps[0]: end}))
		f.equal("extent when all is purged", f.bounds(ps[0]), log.Range{Start: end, Stable: end, End: end})
		f.commit(p, ps[0], "k=5")
		f.equal("records", values(f.read(ps[0], end)), []string{"k=5"})
		f.equal("the other partition", len(f.read(ps[1], 0)), 5)
	}},
	{"a purge beyond what is readable is refused whole", nil, func(f *fixture) {
		ps := f.topic("t", 2)
		f.commit(f.producer("x"), ps[0], "k=0")
		f.wants(f.Log.Purge(ctx, map[record.Partition]int64{ps[1]: f.bounds(ps[1]).End + 1}), log.ErrOutOfRange)
		f.equal("start", f.bounds(ps[0]).Start, 0)
	}},
	{"a purge of a topic that does not exist", nil, func(f *fixture) {
		f.wants(f.Log.Purge(ctx, map[record.Partition]int64{{Topic: f.name("missing")}: 0}), log.ErrUnknownTopic)
	}},
	{"a purge survives a crash", canKill, func(f *fixture) {
		a := f.topic("t", 1)[0]
		f.commit(f.producer("x"), a, "k=0", "k=1")
		f.must(f.Log.Purge(ctx, map[record.Partition]int64{a: 1}))
		f.Log = f.Kill(f.T)
		f.equal("start", f.bounds(a).Start, 1)
		f.equal("records", f.read(a, 1), []string{"1:k=1"})
	}},
	{"the position at a time is the first record that is not older", nil, func(f *fixture) {
		ps := f.topic("t", 2)
		p := f.producer("x")
		var nexts []int64
		for _, times := range [][]int64{{100, 200}, {150, 120}, {300}} {
			b := &record.Builder{}
			for _, at := range times {
				b.Append(at, []byte("k"), []byte("v"))
			}
			r, err := p.Commit(ctx, &log.Txn{Writes: []log.Write{{Partition: ps[0], Records: b}}})
			f.must(err)
			nexts = append(nexts, r.Next[0])
		}
		end := f.bounds(ps[0]).End
		for at, want := range map[int64]int64{0: 0, 100: 0, 101: 1, 200: 1, 201: nexts[2] - 1, 300: nexts[2] - 1, 301: end} {
			got, err := f.Log.PositionAt(ctx, at, ps...)
			f.must(err)
			f.equal("positions", got, map[record.Partition]int64{ps[0]: want, ps[1]: 0})
		}
		_, err := f.Log.PositionAt(ctx, 0, record.Partition{Topic: f.name("missing")})
		f.wants(err, log.ErrUnknownTopic)
	}},
	{"the position at a time is never before the start", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		f.commit(f.producer("x"), a, "k=0", "k=1", "k=2")
		f.must(f.Log.Purge(ctx, map[record.Partition]int64{a: 2}))
		got, err := f.Log.PositionAt(ctx, 0, a)
		f.must(err)
		f.equal("position", got[a], 2)
	}},
}
