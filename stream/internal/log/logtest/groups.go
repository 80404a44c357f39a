package logtest

import (
	"slices"
	"sync"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

var abcd = []string{"a", "b", "c", "d"}

// shortest is the least session that brokers take.
const shortest = 6 * time.Second

var groupTests = []testCase{
	{"a lone member is given all the work", nil, func(f *fixture) {
		w := f.work("g", log.JoinOptions{Assign: deal(abcd...)})
		f.settle(abcd, w)
		f.equal("group", w.claim.Group, f.name("g"))
		f.equal("it has an id", w.claim.Member != "", true)
		claim, changed, err := w.Poll()
		f.must(err)
		f.equal("another poll", []any{claim, changed}, []any{w.claim, false})
	}},
	{"work moves from member to member without two owners", nil, func(f *fixture) {
		first := f.work("g", log.JoinOptions{Assign: deal(abcd...)})
		f.settle(abcd, first)
		second := f.work("g", log.JoinOptions{Assign: deal(abcd...)})
		f.settle(abcd, first, second)
		f.equal("shares", []int{len(first.owns), len(second.owns)}, []int{2, 2})
		third := f.work("g", log.JoinOptions{Assign: deal(abcd...)})
		kept := first.own()
		f.settle(abcd, second, third, first)
		f.equal("what first had stays", first.own(), kept)
	}},
	{"what a member leaves goes to the others at once", nil, func(f *fixture) {
		first := f.work("g", log.JoinOptions{Assign: deal(abcd...)})
		second := f.work("g", log.JoinOptions{Assign: deal(abcd...)})
		f.settle(abcd, first, second)
		f.must(first.Leave(ctx))
		f.settle(abcd, second)
		f.must(second.Leave(ctx))
		if _, _, err := first.Poll(); err == nil {
			f.Error("a member that left can be polled")
		}
		third := f.work("g", log.JoinOptions{Assign: deal(abcd...)})
		f.settle(abcd, third)
	}},
	{"generations rise", nil, func(f *fixture) {
		first := f.work("g", log.JoinOptions{Assign: deal(abcd...)})
		f.settle(abcd, first)
		before := first.claim.Generation
		second := f.work("g", log.JoinOptions{Assign: deal(abcd...)})
		f.settle(abcd, first, second)
		f.equal("rose", first.claim.Generation > before, true)
		f.equal("the same for all", first.claim.Generation, second.claim.Generation)
	}},
	{"generations do not go back over a crash", canKill, func(f *fixture) {
		w := f.work("g", log.JoinOptions{Assign: deal(abcd...), SessionTimeout: shortest})
		f.settle(abcd, w)
		before := w.claim.Generation
		f.Log = f.Kill(f.T)
		w = f.work("g", log.JoinOptions{Assign: deal(abcd...)})
		f.settle(abcd, w)
		f.equal("rose", w.claim.Generation > before, true)
	}},
	{"the assignor sees all members, in order, with what they said and were given", nil, func(f *fixture) {
		var mu sync.Mutex
		seen := map[string]log.MemberInfo{}
		spy := func(members []log.MemberInfo) map[string][]byte {
			mu.Lock()
			defer mu.Unlock()
			clear(seen)
			for _, m := range members {
				seen[string(m.Metadata)] = m
			}
			if !slices.IsSortedFunc(members, func(a, b log.MemberInfo) int { return compare(a.ID, b.ID) }) {
				seen["not sorted"] = log.MemberInfo{}
			}
			plan := map[string][]byte{}
			for _, m := range members {
				if m.InstanceID != "" {
					plan[m.ID] = []byte("x")
				}
			}
			return plan
		}
		one := f.work("g", log.JoinOptions{Assign: spy, Metadata: []byte("one"), InstanceID: "static"})
		two := f.work("g", log.JoinOptions{Assign: spy, Metadata: []byte("two")})
		see := func(what string, a, b string) {
			f.await(what, func() bool {
				one.Poll()
				two.Poll()
				mu.Lock()
				defer mu.Unlock()
				_, hasA := seen[a]
				_, hasB := seen[b]
				return hasA && hasB && len(seen) == 2
			})
		}
		see("both members", "one", "two")
		f.await("what they are given", func() bool {
			a, _, err := one.Poll()
			f.must(err)
			b, _, err := two.Poll()
			f.must(err)
			return string(a.Assignment) == "x" && a.Generation == b.Generation
		})
		one.Update([]byte("updated"))
		two.Rejoin([]byte("rejoined"))
		see("what they say now", "updated", "rejoined")
		mu.Lock()
		defer mu.Unlock()
		f.equal("instance", seen["updated"].InstanceID, "static")
		f.equal("given before", string(seen["updated"].Assignment)+string(seen["rejoined"].Assignment), "x")
	}},
	{"a stale generation cannot commit, and can under the new one", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		first := f.work("g", log.JoinOptions{Assign: deal(abcd...)})
		f.settle(abcd, first)
		stale := first.claim.GroupClaim
		second := f.work("g", log.JoinOptions{Assign: deal(abcd...)})
		f.settle(abcd, first, second)
		p := f.producer("x")
		x := &log.Txn{
			Writes:    []log.Write{write(a, "k=v")},
			Positions: map[record.Partition]int64{a: 7},
			Claim:     stale,
		}
		_, err := p.Commit(ctx, x)
		f.wants(err, log.ErrGeneration)
		f.equal("records", f.read(a, 0), []string{})
		f.equal("positions", f.positions("g", a), map[record.Partition]int64{})
		x.Claim = first.claim.GroupClaim
		_, err = p.Commit(ctx, x)
		f.must(err)
		f.equal("records", values(f.read(a, 0)), []string{"k=v"})
		f.equal("positions", f.positions("g", a), map[record.Partition]int64{a: 7})
	}},
	{"a claim is checked though no position moved", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		w := f.work("g", log.JoinOptions{Assign: deal(abcd...)})
		f.settle(abcd, w)
		p := f.producer("x")
		for _, wrong := range []log.GroupClaim{
			{Group: w.claim.Group, Member: w.claim.Member, Generation: w.claim.Generation + 1},
			{Group: w.claim.Group, Member: "nobody", Generation: w.claim.Generation},
			{Group: f.name("other"), Member: w.claim.Member, Generation: w.claim.Generation},
			{Group: w.claim.Group, Generation: -1}, // a tool's, but the group has members
		} {
			_, err := p.Commit(ctx, &log.Txn{Writes: []log.Write{write(a, "k=wrong")}, Claim: wrong})
			f.wants(err, log.ErrGeneration)
		}
		_, err := p.Commit(ctx, &log.Txn{Writes: []log.Write{write(a, "k=right")}, Claim: w.claim.GroupClaim})
		f.must(err)
		f.equal("records", values(f.read(a, 0)), []string{"k=right"})
	}},
	{"positions without a group are refused", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		if _, err := f.producer("x").Commit(ctx, &log.Txn{Positions: map[record.Partition]int64{a: 1}}); err == nil {
			f.Error("committed")
		}
		f.nothingOpen()
	}},
	{"a static member is replaced at once", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		old := f.work("g", log.JoinOptions{Assign: deal(abcd...), InstanceID: "i"})
		other := f.work("g", log.JoinOptions{Assign: deal(abcd...)})
		f.settle(abcd, old, other)
		fresh := f.work("g", log.JoinOptions{Assign: deal(abcd...), InstanceID: "i"})
		f.await("the old one to be fenced", func() bool {
			_, _, err := old.Poll()
			if err != nil {
				f.wants(err, log.ErrFenced)
			}
			return err != nil
		})
		f.settle(abcd, fresh, other)
		_, err := f.producer("x").Commit(ctx, &log.Txn{Writes: []log.Write{write(a, "k=v")}, Claim: old.claim.GroupClaim})
		f.wants(err, log.ErrGeneration)
		f.must(old.Leave(ctx))
		f.settle(abcd, fresh, other)
	}},
	{"claims that are kept go to the next life of their instance, and nobody else moves", nil, func(f *fixture) {
		old := f.work("g", log.JoinOptions{Assign: deal(abcd...), InstanceID: "i", KeepClaims: true})
		other := f.work("g", log.JoinOptions{Assign: deal(abcd...)})
		f.settle(abcd, old, other)
		had, generation := old.own(), old.claim.Generation
		f.must(old.Leave(ctx))
		fresh := f.work("g", log.JoinOptions{Assign: deal(abcd...), InstanceID: "i", KeepClaims: true})
		f.settle(abcd, fresh, other)
		f.equal("work", fresh.own(), had)
		f.equal("generations", []int32{fresh.claim.Generation, other.claim.Generation}, []int32{generation, generation})
		f.equal("another member", fresh.claim.Member != old.claim.Member, true)
	}},
	{"a claim waits to be polled while members come and go that do not matter", nil, func(f *fixture) {
		old := f.join("g", log.JoinOptions{Assign: deal(abcd...), InstanceID: "i", SessionTimeout: shortest})
		f.await("the old one to be a member", func() bool {
			all, err := f.Log.Members(ctx, f.name("g"))
			f.must(err)
			return len(all) == 1
		})
		w := f.work("g", log.JoinOptions{Assign: deal(abcd...), InstanceID: "i", SessionTimeout: shortest})
		f.must(old.Leave(ctx))
		w.Update(nil)
		f.settle(abcd, w)
	}},
	{"a silent member is lost, and comes back as another", canSilence, func(f *fixture) {
		a := f.topic("t", 1)[0]
		const timeout = 10 * time.Second
		zombie := f.work("g", log.JoinOptions{Assign: deal(abcd...), SessionTimeout: timeout})
		alive := f.work("g", log.JoinOptions{Assign: deal(abcd...), SessionTimeout: timeout})
		f.settle(abcd, zombie, alive)
		p := f.producer("x")
		before := zombie.claim
		f.Silence(f.T, timeout+time.Second, members(alive)...)
		f.settle(abcd, alive)

		_, err := p.Commit(ctx, &log.Txn{
			Writes: []log.Write{write(a, "k=v")}, Positions: map[record.Partition]int64{a: 1}, Claim: before.GroupClaim,
		})
		f.wants(err, log.ErrGeneration)
		claim, changed, err := zombie.Poll()
		f.must(err)
		f.equal("lost", []bool{claim.Lost, changed}, []bool{true, true})

		clear(zombie.owns)
		zombie.Rejoin(nil)
		f.settle(abcd, zombie, alive)
		f.equal("a new member", zombie.claim.Member != before.Member, true)
		f.equal("shares", []int{len(zombie.owns), len(alive.owns)}, []int{2, 2})
	}},
	{"the members of a group are told with what they were given", nil, func(f *fixture) {
		members := func() []log.MemberInfo {
			all, err := f.Log.Members(ctx, f.name("g"))
			f.must(err)
			return all
		}
		f.equal("before", members(), []log.MemberInfo{})
		one := f.work("g", log.JoinOptions{Assign: deal(abcd...), InstanceID: "i"})
		two := f.work("g", log.JoinOptions{Assign: deal(abcd...)})
		f.settle(abcd, one, two)
		var all []log.MemberInfo
		f.await("both members with their work", func() bool {
			all = members()
			return len(all) == 2 && len(all[0].Assignment) > 0 && len(all[1].Assignment) > 0
		})
		f.equal("sorted", all[0].ID < all[1].ID, true)
		for _, info := range all {
			w, instance := one, "i"
			if info.ID == two.claim.Member {
				w, instance = two, ""
			}
			f.equal("member", info.ID, w.claim.Member)
			f.equal("instance", info.InstanceID, instance)
			f.equal("work", words(info.Assignment), words(w.claim.Assignment))
		}
		f.must(one.Leave(ctx))
		f.must(two.Leave(ctx))
		f.equal("after", members(), []log.MemberInfo{})
	}},
	{"groups are listed while they have members or positions", nil, func(f *fixture) {
		a := f.topic("t", 1)[0]
		has := func() bool {
			all, err := f.Log.Groups(ctx)
			f.must(err)
			return slices.Contains(all, f.name("g"))
		}
		f.equal("before", has(), false)
		f.equal("positions", f.positions("g", a), map[record.Partition]int64{})
		w := f.work("g", log.JoinOptions{Assign: deal(abcd...)})
		f.settle(abcd, w)
		f.equal("with a member", has(), true)
		f.wants(f.Log.DeleteGroup(ctx, f.name("g")), log.ErrGroupActive)
		f.must(w.Leave(ctx))
		f.commitPositions("g", map[record.Partition]int64{a: 3})
		f.equal("with positions", has(), true)
		f.must(f.Log.DeleteGroup(ctx, f.name("g")))
		f.equal("deleted", has(), false)
		f.equal("positions", f.positions("g", a), map[record.Partition]int64{})
	}},
	{"positions are per group and partition", nil, func(f *fixture) {
		ps := f.topic("t", 3)
		f.commitPositions("g", map[record.Partition]int64{ps[0]: 1, ps[1]: 2})
		f.commitPositions("g", map[record.Partition]int64{ps[1]: 3})
		f.commitPositions("h", map[record.Partition]int64{ps[2]: 4})
		f.equal("g", f.positions("g", ps...), map[record.Partition]int64{ps[0]: 1, ps[1]: 3})
		f.equal("h", f.positions("h", ps...), map[record.Partition]int64{ps[2]: 4})
		f.equal("asked for one", f.positions("g", ps[0]), map[record.Partition]int64{ps[0]: 1})
	}},
	{"positions survive a crash", canKill, func(f *fixture) {
		a := f.topic("t", 1)[0]
		f.commitPositions("g", map[record.Partition]int64{a: 3})
		f.Log = f.Kill(f.T)
		f.equal("positions", f.positions("g", a), map[record.Partition]int64{a: 3})
	}},
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
