package pebblestore

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tagtide/tagtide/stream/internal/store"
)

// A gather is a map that remembers deletes, whatever runs it has, and stays what
// it was while others are made of it.
func TestGatherIsAMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	type was struct {
		g     *gather
		model map[string]string
	}
	for range 60 {
		g, model := &gather{}, map[string]string{}
		all := []was{{g, map[string]string{}}}
		counter, long := 0, 1+random.IntN(40)
		for range 50 {
			written := map[string]string{}
			for range random.IntN(long) {
				key := fmt.Sprintf("%04d", counter)
				if counter++; random.IntN(3) == 0 {
					key = fmt.Sprintf("%04d", random.IntN(counter))
				}
				written[key] = []string{deleted, "", key + "!"}[random.IntN(3)]
			}
			g = g.with(entriesOf(written))
			maps.Copy(model, written)
			all = append(all, was{g, maps.Clone(model)})
		}
		for _, w := range all {
			holdGather(t, w.g, w.model, fmt.Sprintf("%04d", random.IntN(counter+1)))
		}
		if most := 12; len(g.runs) > most {
			t.Errorf("%d rows are in %d runs", len(model), len(g.runs))
		}
	}
}

// deleted stands for the value of a deleted row.
const deleted = "deleted"

func entriesOf(written map[string]string) (entries []store.Entry) {
	for _, key := range slices.Sorted(maps.Keys(written)) {
		e := store.Entry{Key: []byte(key)}
		if written[key] != deleted {
			e.Value = []byte(written[key])
		}
		entries = append(entries, e)
	}
	return entries
}

func holdGather(t *testing.T, g *gather, model map[string]string, from string) {
	t.Helper()
	var keys []string
	for key, value := range g.all([]byte(from)) {
		keys = append(keys, string(key))
		if want := model[string(key)]; value == nil != (want == deleted) || value != nil && string(value) != want {
			t.Fatalf("%s is %q, want %q", key, value, want)
		}
		if got, there := g.get(key); !there || !bytes.Equal(got, value) || got == nil != (value == nil) {
			t.Fatalf("%s is %q when it is looked up, want %q", key, got, value)
		}
	}
	var want []string
	for _, key := range slices.Sorted(maps.Keys(model)) {
		if key >= from {
			want = append(want, key)
		}
	}
	if !slices.Equal(keys, want) {
		t.Fatalf("from %s there are %v, want %v", from, keys, want)
	}
	if _, there := g.get([]byte("none")); there {
		t.Error("a key that was never written is there")
	}
}

func openLazy(t *testing.T, o Options) (*Store, *table) {
	t.Helper()
	o.FS = vfs.NewMem()
	s, err := Open("store", o)
	if err != nil {
		t.Fatal(err)
	}
	tab, err := s.Open(partition(0), store.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, tab.(*table)
}

// What lazy changes did becomes durable by the clock, if nothing else happens.
func TestLazyChangesAreWrittenInTime(t *testing.T) {
	s, tab := openLazy(t, Options{gatherFor: time.Millisecond})
	for n := range int64(3) {
		c := store.Change{Table: tab, Lazy: true, Checkpoint: store.Checkpoint{Next: n + 1}}
		if n != 1 { // a position alone counts, too
			c.Entries = entriesOf(map[string]string{fmt.Sprint(n): "v"})
		}
		if err := s.Apply([]store.Change{c}, false); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); tab.Durable().Next != n+1; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("durable up to %d, want %d", tab.Durable().Next, n+1)
			}
		}
		if g := tab.gather.Load(); len(g.runs) > 0 {
			t.Errorf("what is durable is gathered still: %d runs", len(g.runs))
		}
	}
	if n := s.gathered.Load(); n != 0 {
		t.Errorf("%d bytes are gathered, want none", n)
	}
}

// Rows that come in the order of their keys are written once, and never compacted:
// all but the first go to the bottom, though another table is written beside them.
func TestGatheredRowsGoToTheBottom(t *testing.T) {
	const rows, rounds = 500, 60
	s, tab := openLazy(t, Options{GatherBytes: 100 * rows, largeGather: 10 * rows})
	beside, err := s.Open(partition(1), store.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	next := 0
	for round := range rounds {
		written := map[string]string{}
		for range rows {
			written[fmt.Sprintf("key %08d", next)] = "a value"
			next++
		}
		written[fmt.Sprintf("key %08d", max(0, next-3*rows))] = "a straggler's"
		at := store.Checkpoint{Next: int64(round + 1)}
		lazy := store.Change{Table: tab, Lazy: true, Entries: entriesOf(written), Checkpoint: at}
		eager := store.Change{Table: beside, Entries: entriesOf(map[string]string{fmt.Sprint(round % 7): "v"}), Checkpoint: at}
		if err := s.Apply([]store.Change{lazy, eager}, true); err != nil {
			t.Fatal(err)
		}
		if round%5 == 4 {
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	m := s.db.Metrics()
	bottom := m.Levels[len(m.Levels)-1]
	ingested, compacted := bottom.TableBytesIngested, bottom.TableBytesCompacted
	if ingested < 30*rows*rounds/4 || compacted > ingested/4 {
		t.Errorf("%d bytes went to the bottom at once, %d were compacted to there:\n%s", ingested, compacted, m)
	}
}

// However many tables there are, and whichever of them is written, their gathers
// take no more than they all may, and become files.
func TestGathersShareTheirMemory(t *testing.T) {
	const most = 64 << 10
	s, _ := openLazy(t, Options{GatherBytes: most, largeGather: most / 64})
	var all []store.Table
	for i := range 24 {
		tab, err := s.Open(partition(100+i), store.Identity{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tab)
	}
	for round := range 24 * 40 {
		tab := all[round/40] // one after the other
		if round%2 == 0 {
			tab = all[round%len(all)]
		}
		written := map[string]string{}
		for row := range 20 {
			written[fmt.Sprintf("%08d", 20*round+row)] = "some value that is not so short"
		}
		c := store.Change{Table: tab, Lazy: true, Entries: entriesOf(written), Checkpoint: store.Checkpoint{Next: int64(round + 1)}}
		if err := s.Apply([]store.Change{c}, false); err != nil {
			t.Fatal(err)
		}
		sum := 0
		for _, tab := range all {
			sum += tab.(*table).gather.Load().bytes()
		}
		if sum > most || int64(sum) != s.gathered.Load() {
			t.Fatalf("round %d: %d bytes are gathered, accounted %d, and there may be %d", round, sum, s.gathered.Load(), most)
		}
	}
	if m := s.db.Metrics(); m.Ingest.Count == 0 {
		t.Errorf("nothing became files:\n%s", m)
	}
}

// A scan sees what was there at one time, also while Pebble takes a gather over.
func TestScanSeesOneState(t *testing.T) {
	const keys, rounds = 20, 2000
	s, tab := openLazy(t, Options{GatherBytes: 300})
	done := make(chan error)
	go func() {
		for n := range rounds {
			written := map[string]string{}
			for k := range keys {
				written[fmt.Sprintf("%02d", k)] = fmt.Sprint(n)
			}
			c := store.Change{Table: tab, Lazy: true, Entries: entriesOf(written), Checkpoint: store.Checkpoint{Next: int64(n)}}
			if err := s.Apply([]store.Change{c}, false); err != nil {
				done <- err
				return
			}
		}
		close(done)
	}()
	for scans := 0; ; scans++ {
		before, seen := tab.Checkpoint().Next, map[int64]int{}
		err := tab.Scan(nil, func(_, value []byte) bool {
			n, _ := strconv.ParseInt(string(value), 10, 64)
			seen[n]++
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		for n, rows := range seen {
			if rows != keys || n < before {
				t.Fatalf("scan %d, begun at %d, sees %v, by state", scans, before, seen)
			}
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
	}
}

// Only what is synced is called durable.
func TestWhatIsNotSyncedIsNotDurable(t *testing.T) {
	s, tab := openLazy(t, Options{})
	for next, sync := range []bool{true, false, false, true} {
		at := store.Checkpoint{Next: int64(next + 1)}
		before := tab.Durable()
		if err := s.Apply([]store.Change{{Table: tab, Checkpoint: at}}, sync); err != nil {
			t.Fatal(err)
		}
		if got := tab.Durable(); sync && got != at || !sync && got != before {
			t.Errorf("after %d, synced %t, durable up to %d", at.Next, sync, got.Next)
		}
	}
}

// A store whose Pebble will never go on is closed all the same, whoever waits in it.
func TestCloseDoesNotWaitForAStuckPebble(t *testing.T) {
	stuck := errors.New("stuck")
	s, err := Open("store", Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	db, lock := s.db, s.lock
	tab, err := s.Open(partition(0), store.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	c := store.Change{Table: tab, Lazy: true, Checkpoint: store.Checkpoint{Next: 1}}
	if err := s.Apply([]store.Change{c}, false); err != nil {
		t.Fatal(err)
	}
	tab.(*table).hold() // as a call does that never returns
	ended := make(chan error)
	go func() { ended <- s.Close() }()
	s.fail(fault{err: stuck, stuck: true})
	select {
	case err := <-ended:
		if !errors.Is(err, stuck) {
			t.Errorf("closed with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Close waits")
	}
	if err := errors.Join(db.Close(), lock.Close()); err != nil { // which are not, really
		t.Error(err)
	}
}
