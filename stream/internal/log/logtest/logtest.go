// Package logtest holds keepers of the log's contract to it: every sentence of
// package log that a program could notice the breach of is a test here.
package logtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// A Harness is an open log, and what the suite needs to get at the rarer
// sentences of the contract. Nil functions mean that the keeper or its test
// bed cannot do it; what needs them is left out.
type Harness struct {
	// Log is fresh, or at least free of names that begin with Prefix. The
	// harness closes it when the test ends.
	Log    log.Log
	Prefix string

	// Kill ends the keeper's storage as a crash would, and returns the log as
	// it is found afterwards.
	Kill func(t *testing.T) log.Log
	// Abandon makes a transaction up to its end, as the transactional id's
	// next producer, and then neither commits nor aborts it.
	Abandon func(t *testing.T, transactionalID string, x *log.Txn)
	// Silence lets everybody but the members given be silent for d.
	Silence func(t *testing.T, d time.Duration, but ...log.Member)
	// Compact compacts everything that compaction may touch at this time.
	Compact func(t *testing.T)
	// Advance lets time pass for compaction.
	Advance func(d time.Duration)
	// Deviates says of properties why the test bed (not the keeper) does not
	// have them. They are left out, and tested on another bed.
	Deviates map[string]string
}

// Run runs the suite. open is called once for every test.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, part := range []struct {
		name  string
		tests []testCase
	}{
		{"topics", topicTests},
		{"transactions", transactionTests},
		{"readers", readerTests},
		{"extent", extentTests},
		{"groups", groupTests},
		{"compaction", compactionTests},
	} {
		t.Run(part.name, func(t *testing.T) {
			for _, c := range part.tests {
				t.Run(strings.ReplaceAll(c.property, " ", "-"), func(t *testing.T) {
					h := open(t)
					switch why, deviates := h.Deviates[c.property]; {
					case deviates:
						t.Logf("left out here: %s", why)
					case c.needs != nil && !c.needs(h):
						t.Log("left out here: the test bed has no way to bring it about")
					default:
						c.test(&fixture{T: t, Harness: h})
					}
				})
			}
		})
	}
}

// A testCase is one property.
type testCase struct {
	property string
	needs    func(Harness) bool // of the harness; nil: nothing
	test     func(*fixture)
}

func canKill(h Harness) bool    { return h.Kill != nil }
func canAbandon(h Harness) bool { return h.Abandon != nil }
func canSilence(h Harness) bool { return h.Silence != nil }
func canCompact(h Harness) bool { return h.Compact != nil && h.Advance != nil }

// A fixture is one test's log, with verbs.
type fixture struct {
	*testing.T
	Harness
}

var ctx = context.Background()

// must ends the test on an error.
func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// wants checks that an error is the one that is wanted.
func (f *fixture) wants(err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Fatalf("got error %v, want %v", err, want)
	}
}

// equal checks that two values print alike.
func (f *fixture) equal(what string, got, want any) {
	f.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		f.Fatalf("%s:\n got %s\nwant %s", what, g, w)
	}
}

// name is a name that is free for this test.
func (f *fixture) name(s string) string { return f.Prefix + s }

// topic creates a topic and returns its partitions. It keeps records for ever:
// those of the tests are from 1970.
func (f *fixture) topic(name string, partitions int32) []record.Partition {
	f.Helper()
	return f.create(log.Topic{Name: f.name(name), Partitions: partitions, Cleanup: log.Delete})
}

func (f *fixture) create(t log.Topic) (all []record.Partition) {
	f.Helper()
	f.must(f.Log.CreateTopic(ctx, t))
	for n := range t.Partitions {
		all = append(all, record.Partition{Topic: t.Name, Number: n})
	}
	return all
}

// producer takes over a transactional id.
func (f *fixture) producer(id string) log.Producer {
	f.Helper()
	p, err := f.Log.Producer(ctx, f.name(id))
	f.must(err)
	return p
}

// write builds a write from records as "key=value": "key" alone is a delete.
// Their timestamps are 1, 2, 3, …
func write(p record.Partition, records ...string) log.Write {
	b := &record.Builder{}
	for i, r := range records {
		key, value, ok := strings.Cut(r, "=")
		v := []byte(value)
		if !ok {
			v = nil
		}
		b.Append(int64(i+1), []byte(key), v)
	}
	return log.Write{Partition: p, Records: b}
}

// commit commits records to one partition, and waits until they can be read,
// unless an open transaction stands before them.
func (f *fixture) commit(p log.Producer, to record.Partition, records ...string) log.Receipt {
	f.Helper()
	r, err := p.Commit(ctx, &log.Txn{Writes: []log.Write{write(to, records...)}})
	f.must(err)
	f.bounds(to)
	return r
}

// text is a record as "offset:key=value".
func text(r *record.Record) string {
	if r.Value == nil {
		return fmt.Sprintf("%d:%s", r.Offset, r.Key)
	}
	return fmt.Sprintf("%d:%s=%s", r.Offset, r.Key, r.Value)
}

// values drops the offsets of texts: keepers may leave gaps.
func values(texts []string) (all []string) {
	for _, s := range texts {
		_, v, _ := strings.Cut(s, ":")
		all = append(all, v)
	}
	return all
}

// patience is how long something may take that should happen.
const patience = 20 * time.Second

// await tries until something is so.
func (f *fixture) await(what string, so func() bool) {
	f.Helper()
	const pause = 2 * time.Millisecond
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for !so() {
		select {
		case <-deadline.C:
			f.Fatalf("waited in vain: %s", what)
		case <-time.After(pause):
		}
	}
}

// records are the texts of what a Fetched has at or after its From.
func (f *fixture) records(from log.Fetched) (all []string) {
	f.Helper()
	for _, b := range from.Batches {
		parsed, err := record.Parse(bytes.Clone(b.Bytes()))
		f.must(err)
		r := parsed.Reader()
		for r.Next() {
			if r.Record().Offset >= from.From {
				all = append(all, text(r.Record()))
			}
		}
		f.must(r.Err())
	}
	return all
}

// read reads a partition from a position to where committed reading ends now.
func (f *fixture) read(p record.Partition, from int64) (all []string) {
	f.Helper()
	r := f.Log.NewReader(log.ReaderOptions{})
	defer r.Close()
	r.Seek(p, from)
	end := f.bounds(p).Stable
	for next := from; next < end; {
		for _, x := range f.poll(r) {
			f.must(x.Err)
			all, next = append(all, f.records(x)...), x.Next
		}
	}
	return all
}

// poll waits until a reader has something.
func (f *fixture) poll(r log.Reader) []log.Fetched {
	f.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		all, err := r.Poll()
		f.must(err)
		if len(all) > 0 {
			return all
		}
		select {
		case <-r.Ready():
		case <-deadline.C:
			f.Fatal("waited in vain for a reader")
		}
	}
}

// open are the transactions of this test that are open.
func (f *fixture) open() []log.OpenTransaction {
	f.Helper()
	all, err := f.Log.OpenTransactions(ctx)
	f.must(err)
	return slices.DeleteFunc(all, func(o log.OpenTransaction) bool { return !strings.HasPrefix(o.TransactionalID, f.Prefix) })
}

// bounds is a partition's extent, once nothing that is decided stands behind
// its stable end: a keeper may take a moment to show what it has committed.
func (f *fixture) bounds(p record.Partition) (r log.Range) {
	f.Helper()
	f.await("what is committed to be stable", func() bool {
		open := f.open()
		ends, err := f.Log.Ends(ctx, p)
		f.must(err)
		r = ends[p]
		return r.Stable == r.End || slices.ContainsFunc(open, func(o log.OpenTransaction) bool {
			return slices.Contains(o.Partitions, p)
		})
	})
	return r
}

// positions are a group's positions, once they are stable.
func (f *fixture) positions(group string, of ...record.Partition) (all map[record.Partition]int64) {
	f.Helper()
	f.await("stable positions", func() bool {
		var err error
		all, err = f.Log.Positions(ctx, f.name(group), of...)
		if err != nil {
			f.wants(err, log.ErrUnstable)
		}
		return err == nil
	})
	return all
}

// names are the topics that exist of those given.
func (f *fixture) names(of ...string) (all []string) {
	f.Helper()
	topics, err := f.Log.Topics(ctx, of...)
	f.must(err)
	for _, t := range topics {
		all = append(all, t.Name)
	}
	slices.Sort(all)
	return all
}
