package logtest

import (
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

var topicTests = []testCase{
	{"a topic is described as it was created", nil, func(f *fixture) {
		want := log.Topic{
			Name: f.name("t"), Partitions: 3, Cleanup: log.Compact, Retention: time.Hour,
			MinDirtyRatio: 0.25, DeleteRetention: 2 * time.Hour,
		}
		f.create(want)
		got, err := f.Log.Topics(ctx, want.Name)
		f.must(err)
		f.equal("topics", len(got), 1)
		t := got[0]
		f.equal("topic", []any{t.Name, t.Partitions, t.Cleanup, t.MinDirtyRatio, t.DeleteRetention},
			[]any{want.Name, want.Partitions, want.Cleanup, want.MinDirtyRatio, want.DeleteRetention})
	}},
	{"topics that do not exist are left out", nil, func(f *fixture) {
		f.topic("b", 1)
		f.topic("a", 1)
		f.equal("named", f.names(f.name("a"), f.name("missing")), []string{f.name("a")})
		f.equal("none of those named", f.names(f.name("missing")), []string{})
		all := map[string]bool{}
		for _, name := range f.names() {
			all[name] = true
		}
		f.equal("all", all[f.name("a")] && all[f.name("b")] && !all[f.name("missing")], true)
	}},
	{"a topic exists once", nil, func(f *fixture) {
		f.topic("t", 2)
		f.wants(f.Log.CreateTopic(ctx, log.Topic{Name: f.name("t"), Partitions: 1}), log.ErrTopicExists)
	}},
	{"a deleted topic is gone with its records and positions", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		keep := f.topic("keep", 1)[0]
		f.commit(f.producer("x"), a, "k=1", "k=2")
		f.commitPositions("g", map[record.Partition]int64{a: 1, keep: 0})
		f.must(f.Log.DeleteTopic(ctx, a.Topic))
		f.equal("topics", f.names(a.Topic), []string{})
		_, err := f.Log.Ends(ctx, a)
		f.wants(err, log.ErrUnknownTopic)
		f.wants(f.Log.DeleteTopic(ctx, a.Topic), log.ErrUnknownTopic)

		f.topic("t", 1)
		f.equal("records after creating it again", f.bounds(a), log.Range{})
		f.equal("positions", f.positions("g", a, keep), map[record.Partition]int64{keep: 0})
	}},
	{"a topic created again has another id", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		before := f.id(a.Topic)
		f.must(f.Log.DeleteTopic(ctx, a.Topic))
		f.topic("t", 1)
		if after := f.id(a.Topic); after == before {
			f.Errorf("both have id %q", after)
		}
	}},
	{"topics and their ids survive a crash", canKill, func(f *fixture) {
		f.topic("a", 2)
		f.topic("b", 1)
		f.must(f.Log.DeleteTopic(ctx, f.name("b")))
		id, logID := f.id(f.name("a")), f.Log.ID()
		f.Log = f.Kill(f.T)
		f.equal("topics", f.names(f.name("a"), f.name("b")), []string{f.name("a")})
		f.equal("ids", []string{f.id(f.name("a")), f.Log.ID()}, []string{id, logID})
	}},
	{"partitions that are added are empty, and nothing else changes", nil, func(f *fixture) {
		ps, other := f.topic("t", 2), f.topic("other", 1)
		p := f.producer("x")
		f.commit(p, ps[1], "k=1")
		f.commitPositions("g", map[record.Partition]int64{ps[1]: 1})
		id := f.id(ps[0].Topic)
		f.must(f.Log.AddPartitions(ctx, ps[0].Topic, 4))
		f.equal("partitions", f.count(ps[0].Topic, other[0].Topic), []int32{4, 1})
		f.equal("id", f.id(ps[0].Topic), id)
		f.equal("what was there", f.read(ps[1], 0), []string{"0:k=1"})
		late := record.Partition{Topic: ps[0].Topic, Number: 3}
		f.equal("extent of a new one", f.bounds(late), log.Range{})
		f.equal("positions", f.positions("g", ps[0], ps[1], late), map[record.Partition]int64{ps[1]: 1})

		f.commit(p, late, "k=2")
		f.equal("what is written there", f.read(late, 0), []string{"0:k=2"})
		f.commitPositions("g", map[record.Partition]int64{late: 1})
		f.equal("positions", f.positions("g", late), map[record.Partition]int64{late: 1})
	}},
	{"partitions are never taken away, and adding those that are there does nothing", nil, func(f *fixture) {
		name := f.topic("t", 3)[0].Topic
		f.must(f.Log.AddPartitions(ctx, name, 3))
		f.must(f.Log.AddPartitions(ctx, name, 1))
		f.equal("partitions", f.count(name), []int32{3})
		f.wants(f.Log.AddPartitions(ctx, f.name("missing"), 2), log.ErrUnknownTopic)
	}},
	{"several may add the same partitions at once", nil, func(f *fixture) {
		name := f.topic("t", 1)[0].Topic
		answers := make(chan error)
		for range 3 {
			go func() { answers <- f.Log.AddPartitions(ctx, name, 5) }()
		}
		for range 3 {
			f.must(<-answers)
		}
		f.equal("partitions", f.count(name), []int32{5})
	}},
	{"topics that do not exist have no number of partitions", nil, func(f *fixture) {
		name := f.topic("t", 2)[0].Topic
		counts, err := f.Log.Partitions(ctx, name, f.name("missing"))
		f.must(err)
		f.equal("counts", counts, map[string]int32{name: 2})
		counts, err = f.Log.Partitions(ctx)
		f.must(err)
		f.equal("none asked for", len(counts), 0)
	}},
	{"a reader is told of a partition that is added later", nil, func(f *fixture) {
		name := f.topic("t", 1)[0].Topic
		late := record.Partition{Topic: name, Number: 1}
		r := f.Log.NewReader(log.ReaderOptions{})
		defer r.Close()
		r.Seek(late, 0)
		f.wants(f.poll(r)[0].Err, log.ErrUnknownTopic)
		drain(r.Ready())
		f.must(f.Log.AddPartitions(ctx, name, 2))
		f.commit(f.producer("x"), late, "k=1")
		f.await("the record", func() bool {
			x := f.poll(r)[0]
			return x.Err == nil && len(f.records(x)) == 1
		})
	}},
	{"added partitions survive a crash", canKill, func(f *fixture) {
		name := f.topic("t", 1)[0].Topic
		late := record.Partition{Topic: name, Number: 2}
		f.must(f.Log.AddPartitions(ctx, name, 3))
		f.commit(f.producer("x"), late, "k=1")
		f.Log = f.Kill(f.T)
		f.equal("partitions", f.count(name), []int32{3})
		f.equal("records", f.read(late, 0), []string{"0:k=1"})
		f.must(f.Log.DeleteTopic(ctx, name))
		f.topic("t", 3)
		f.equal("records after creating it again", f.bounds(late), log.Range{})
	}},
	{"a closed log says so", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		p := f.producer("x")
		m := f.join("g", log.JoinOptions{})
		r := f.Log.NewReader(log.ReaderOptions{})
		f.must(f.Log.Close())
		_, err := f.Log.Topics(ctx)
		f.wants(err, log.ErrClosed)
		_, err = p.Commit(ctx, &log.Txn{Writes: []log.Write{write(a, "k=v")}})
		f.wants(err, log.ErrClosed)
		_, err = r.Poll()
		f.wants(err, log.ErrClosed)
		_, _, err = m.Poll()
		f.wants(err, log.ErrClosed)
		f.wants(f.Log.CreateTopic(ctx, log.Topic{Name: f.name("u")}), log.ErrClosed)
		f.wants(f.Log.AddPartitions(ctx, a.Topic, 2), log.ErrClosed)
		_, err = f.Log.Partitions(ctx, a.Topic)
		f.wants(err, log.ErrClosed)
	}},
	{"a log that is closed while it is read says so, and nothing worse", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		for range 20 {
			f.commit(f.producer("x"), a, "k=0", "k=1", "k=2")
		}
		ended, started := make(chan error), make(chan struct{}, 2)
		go func() {
			r := f.Log.NewReader(log.ReaderOptions{})
			defer r.Close()
			for {
				r.Seek(a, 0)
				if _, err := r.Poll(); err != nil {
					ended <- err
					return
				}
				tell(started)
			}
		}()
		go func() {
			for {
				if _, err := f.Log.PositionAt(ctx, 1, a); err != nil {
					ended <- err
					return
				}
				tell(started)
			}
		}()
		<-started
		<-started
		f.must(f.Log.Close())
		f.wants(<-ended, log.ErrClosed)
		f.wants(<-ended, log.ErrClosed)
	}},
}

// tell tells, if somebody has room for it.
func tell(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// count is how many partitions topics have, by both who tell.
func (f *fixture) count(names ...string) (counts []int32) {
	f.Helper()
	cheap, err := f.Log.Partitions(ctx, names...)
	f.must(err)
	for _, name := range names {
		topics, err := f.Log.Topics(ctx, name)
		f.must(err)
		f.equal("topics", len(topics), 1)
		f.equal("partitions by both", cheap[name], topics[0].Partitions)
		counts = append(counts, topics[0].Partitions)
	}
	return counts
}

// id is a topic's id.
func (f *fixture) id(name string) string {
	f.Helper()
	topics, err := f.Log.Topics(ctx, name)
	f.must(err)
	if len(topics) != 1 {
		f.Fatalf("topic %s: found %v", name, topics)
	}
	return topics[0].ID
}

// commitPositions commits positions for a group that has no members.
func (f *fixture) commitPositions(group string, positions map[record.Partition]int64) {
	f.Helper()
	p := f.producer(group + "-positions")
	_, err := p.Commit(ctx, &log.Txn{
		Positions: positions,
		Claim:     log.GroupClaim{Group: f.name(group), Generation: -1},
	})
	f.must(err)
}
