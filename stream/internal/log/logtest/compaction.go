package logtest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

const deleteRetention = time.Hour

var compactionTests = []testCase{
	{"compaction keeps the last record of each key where it was", canCompact, func(f *fixture) {
		a, p := f.compactTopic(), f.producer("x")
		f.commit(p, a, "a=1", "b=1", "c=1")
		f.commit(p, a, "a=2", "a=3")
		f.commit(p, a, "b=2")
		before := f.bounds(a)
		last := latest(f.read(a, 0))
		f.Compact(f.T)
		f.equal("records", f.read(a, 0), last)
		f.equal("extent", f.bounds(a), before)
		f.commit(p, a, "c=2")
		f.equal("records go on at the end", f.read(a, before.End), []string{fmt.Sprintf("%d:c=2", before.End)})
	}},
	{"compaction forgets deletes in time, and not before", canCompact, func(f *fixture) {
		a, p := f.compactTopic(), f.producer("x")
		f.commit(p, a, "a=1", "b=1")
		f.commit(p, a, "a", "c=1")
		f.Compact(f.T)
		f.equal("soon", values(f.read(a, 0)), []string{"b=1", "a", "c=1"})
		f.Advance(deleteRetention + time.Minute)
		f.commit(p, a, "d=1")
		f.Compact(f.T)
		f.equal("later", values(f.read(a, 0)), []string{"b=1", "c=1", "d=1"})
		f.equal("end", f.bounds(a).Stable, f.bounds(a).End)
	}},
	{"a partition that compaction emptied is read to its end", canCompact, func(f *fixture) {
		a, p := f.compactTopic(), f.producer("x")
		f.commit(p, a, "a=1")
		f.commit(p, a, "a")
		f.Compact(f.T)
		f.Advance(deleteRetention + time.Minute)
		f.Compact(f.T)
		f.equal("records", f.read(a, 0), []string{})
	}},
	{"compaction leaves what is not decided, and what is behind it", canCompactAndAbandon, func(f *fixture) {
		a, p := f.compactTopic(), f.producer("x")
		f.commit(p, a, "a=1")
		f.Abandon(f.T, f.name("y"), &log.Txn{Writes: []log.Write{write(a, "a=undecided")}})
		f.commit(p, a, "a=2")
		f.Compact(f.T)
		f.equal("records", values(f.read(a, 0)), []string{"a=1"})
		f.producer("y")
		f.Compact(f.T)
		f.await("the end becomes stable", func() bool { b := f.bounds(a); return b.Stable == b.End })
		f.equal("latest", values(latest(f.read(a, 0))), []string{"a=2"})
	}},
	{"compaction changes nothing for who folds from the start", canCompact, func(f *fixture) {
		a, p := f.compactTopic(), f.producer("x")
		model := map[string]string{}
		for i := range 40 {
			var ws []string
			for j := range 5 {
				key, value := fmt.Sprintf("k%d", (i*7+j*j*3)%11), fmt.Sprintf("=%d.%d", i, j)
				if (i+j)%9 == 0 {
					value = ""
				}
				ws = append(ws, key+value)
				if model[key] = value; value == "" {
					delete(model, key)
				}
			}
			f.commit(p, a, ws...)
			if i%10 == 9 {
				f.Compact(f.T)
				f.Advance(deleteRetention * 2 / 3)
			}
			f.equal("fold", fold(f.read(a, 0)), model)
		}
	}},
	{"compacted records survive a crash", func(h Harness) bool { return canCompact(h) && canKill(h) }, func(f *fixture) {
		a, p := f.compactTopic(), f.producer("x")
		for i := range 20 {
			f.commit(p, a, fmt.Sprintf("a=%d", i), fmt.Sprintf("b=%d", i))
		}
		f.Compact(f.T)
		before := f.read(a, 0)
		f.Log = f.Kill(f.T)
		f.equal("records", f.read(a, 0), before)
	}},
}

func canCompactAndAbandon(h Harness) bool { return canCompact(h) && canAbandon(h) }

// compactTopic creates a topic that may be compacted as soon as anything in it is new.
func (f *fixture) compactTopic() record.Partition {
	f.Helper()
	return f.create(log.Topic{
		Name: f.name("compact"), Partitions: 1, Cleanup: log.Compact, MinDirtyRatio: 0.01, DeleteRetention: deleteRetention,
	})[0]
}

// latest keeps the last text of each key.
func latest(texts []string) (all []string) {
	last := map[string]string{}
	for _, s := range texts {
		key, _ := parse(s)
		last[key] = s
	}
	return slices.SortedFunc(maps.Values(last), byOffset)
}

// fold is the table that texts make.
func fold(texts []string) map[string]string {
	table := map[string]string{}
	for _, s := range texts {
		key, value := parse(s)
		if table[key] = value; value == "" {
			delete(table, key)
		}
	}
	return table
}

// parse takes "offset:key=value" apart; the value keeps its "=".
func parse(text string) (key, value string) {
	key = values([]string{text})[0]
	for i := range key {
		if key[i] == '=' {
			return key[:i], key[i:]
		}
	}
	return key, ""
}
