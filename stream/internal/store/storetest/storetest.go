// Package storetest holds keepers of tables to every sentence of package
// store. A keeper's own test calls [Run] and [RunHistories], and [RunDurable]
// if its tables outlive the process.
package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// A Place is where one test's store lies.
type Place interface {
	// Open opens the store, the same one each time.
	Open() (store.Store, error)
}

// Run holds a keeper to what every keeper gives, with changes that are lazy and
// such that are not. place makes a new, empty place.
func Run(t *testing.T, place func(t *testing.T) Place) {
	t.Run("eager", func(t *testing.T) { run(t, place) })
	t.Run("lazy", func(t *testing.T) {
		run(t, func(t *testing.T) Place { return lazily{place(t)} })
	})
	t.Run("a checkpoint is durable when it says so", func(t *testing.T) { durable(t, open(t, place(t))) })
}

// lazily makes all changes of a store lazy.
type lazily struct{ Place }

func (l lazily) Open() (store.Store, error) {
	s, err := l.Place.Open()
	return lazyStore{s}, err
}

type lazyStore struct{ store.Store }

func (s lazyStore) Apply(changes []store.Change, sync bool) error {
	changes = slices.Clone(changes)
	for i := range changes {
		changes[i].Lazy = true
	}
	return s.Store.Apply(changes, sync)
}

func run(t *testing.T, place func(t *testing.T) Place) {
	for name, test := range map[string]func(t *testing.T, s store.Store){
		"a new table is empty":                         newTableIsEmpty,
		"another identity wipes and says why":          otherIdentityWipes,
		"a table is open once at a time":               openOnce,
		"a closed table keeps its content":             closedTableKeepsContent,
		"apply sets and deletes":                       applySetsAndDeletes,
		"apply takes any number of tables":             applyTakesManyTables,
		"apply copies the bytes":                       applyCopies,
		"apply refuses entries out of order":           applyRefusesDisorder,
		"get appends":                                  getAppends,
		"scan goes in key order from a key until told": scanInOrder,
		"scan reads a snapshot":                        scanReadsSnapshot,
		"wipe empties one table":                       wipeEmptiesOne,
		"tables of awkward keys and names do not mix":  tablesDoNotMix,
		"the list shows tables that are open or not":   listShowsAll,
		"a large change is a change":                   largeChange,
		"after close nothing works, and says so":       closedSaysSo,
		"all methods are safe for concurrent use":      concurrentUse,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, place(t))
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			test(t, s)
		})
	}
}

// RunDurable holds a keeper to what outlives Close.
func RunDurable(t *testing.T, place func(t *testing.T) Place) {
	t.Run("everything is there after reopening", func(t *testing.T) { reopenKeeps(t, place(t)) })
	t.Run("so is what lazy changes did", func(t *testing.T) { reopenKeeps(t, lazily{place(t)}) })
	t.Run("a store is open once at a time", func(t *testing.T) { storeOpenOnce(t, place(t)) })
}

var (
	identity = store.Identity{LogID: "log", TopicID: "topic", Partitions: 4, Partitioner: "murmur2"}
	counts   = record.Partition{Topic: "hashtags-table", Number: 1}
	totals   = record.Partition{Topic: "hashtags-totals-table", Number: 1}
)

func newTableIsEmpty(t *testing.T, s store.Store) {
	table := openTable(t, s, counts)
	if table.Changelog() != counts || table.Wiped() != "" || table.Checkpoint() != (store.Checkpoint{}) {
		t.Errorf("got %v, wiped %q, checkpoint %v", table.Changelog(), table.Wiped(), table.Checkpoint())
	}
	want(t, table)
}

func otherIdentityWipes(t *testing.T, s store.Store) {
	other := identity
	for what, change := range map[string]func(){
		"log":         func() { other.LogID = "log 2" },
		"topic":       func() { other.TopicID = "topic 2" },
		"partitions":  func() { other.Partitions = 8 },
		"partitioner": func() { other.Partitioner = "crc32" },
	} {
		before, neighbour := openTable(t, s, counts), openTable(t, s, totals)
		apply(t, s, change1(before, "a", "1"), change1(neighbour, "n", "1"))
		closeTables(t, before, neighbour)
		change()
		table, err := s.Open(counts, other)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(table.Wiped(), what) || table.Checkpoint() != (store.Checkpoint{}) {
			t.Errorf("%s changed: wiped %q, checkpoint %v", what, table.Wiped(), table.Checkpoint())
		}
		want(t, table)
		neighbour = openTable(t, s, totals)
		want(t, neighbour, "n", "1")
		closeTables(t, table, neighbour)
		table, err = s.Open(counts, other)
		if err != nil || table.Wiped() != "" {
			t.Errorf("wiped %q again, error %v", table.Wiped(), err)
		}
		closeTables(t, table)
		other = identity
		table, _ = s.Open(counts, other)
		closeTables(t, table)
	}
}

func openOnce(t *testing.T, s store.Store) {
	table := openTable(t, s, counts)
	if _, err := s.Open(counts, identity); err == nil || !strings.Contains(err.Error(), "open already") {
		t.Errorf("opened twice: %v", err)
	}
	closeTables(t, table, table) // closing twice does nothing
	closeTables(t, openTable(t, s, counts))
}

func closedTableKeepsContent(t *testing.T, s store.Store) {
	table := openTable(t, s, counts)
	apply(t, s, change1(table, "a", "1", "b", "2"))
	checkpoint := table.Checkpoint()
	closeTables(t, table)
	table = openTable(t, s, counts)
	want(t, table, "a", "1", "b", "2")
	wantCheckpoint(t, table, checkpoint)
}

func applySetsAndDeletes(t *testing.T, s store.Store) {
	table := openTable(t, s, counts)
	apply(t, s, change(table, 3, "a", "1", "b", "", "c", "3"))
	want(t, table, "a", "1", "b", "", "c", "3") // an empty value is no delete
	apply(t, s, change(table, 9, "a", "2", "c", deleted, "d", deleted))
	want(t, table, "a", "2", "b", "")
	apply(t, s, change(table, 12)) // only the position moved
	want(t, table, "a", "2", "b", "")
	wantCheckpoint(t, table, checkpoint(12))
}

func applyTakesManyTables(t *testing.T, s store.Store) {
	a, b := openTable(t, s, counts), openTable(t, s, totals)
	for _, order := range [][]store.Change{
		{change(a, 1, "k", "a1"), change(b, 2, "k", "b1")},
		{change(b, 4, "k", "b2"), change(a, 3, "k", "a2")},
	} {
		apply(t, s, order...)
		for _, c := range order {
			want(t, c.Table, "k", string(c.Entries[0].Value))
			wantCheckpoint(t, c.Table, c.Checkpoint)
		}
	}
	apply(t, s) // none at all is fine, too
}

func applyCopies(t *testing.T, s store.Store) {
	table := openTable(t, s, counts)
	c := change(table, 1, "key", "value")
	apply(t, s, c)
	copy(c.Entries[0].Key, "???")
	copy(c.Entries[0].Value, "?????")
	want(t, table, "key", "value")
}

func applyRefusesDisorder(t *testing.T, s store.Store) {
	table, other := openTable(t, s, counts), openTable(t, s, totals)
	for name, changes := range map[string][]store.Change{
		"unsorted":      {change(other, 5, "a", "1"), change(table, 5, "b", "1", "a", "1")},
		"key twice":     {change(other, 5, "a", "1"), change(table, 5, "a", "1", "a", "2")},
		"table twice":   {change(table, 5, "a", "1"), change(table, 5, "b", "1")},
		"no table":      {change(table, 5, "a", "1"), {}},
		"foreign table": {change(table, 5, "a", "1"), {Table: foreign{}}},
	} {
		if err := s.Apply(changes, true); err == nil {
			t.Errorf("%s: applied", name)
		}
	}
	want(t, table)
	want(t, other)
}

// foreign is a table that no keeper made.
type foreign struct{ store.Table }

func (foreign) Changelog() record.Partition { return counts }

func getAppends(t *testing.T, s store.Store) {
	table := openTable(t, s, counts)
	apply(t, s, change1(table, "a", "value", "e", ""))
	for _, room := range []int{0, 3, 100} {
		dst := append(make([]byte, 0, 4+room), "dst|"...)
		for key, value := range map[string]string{"a": "value", "e": "", "z": "", "": ""} {
			got, ok, err := table.Get(dst, []byte(key))
			if err != nil || ok != (key == "a" || key == "e") || string(got) != "dst|"+value {
				t.Errorf("key %q, room %d: got %q, %v, %v", key, room, got, ok, err)
			}
			if string(dst) != "dst|" {
				t.Errorf("dst became %q", dst)
			}
		}
	}
	if got, ok, err := table.Get(nil, []byte("a")); err != nil || !ok || string(got) != "value" {
		t.Errorf("into nil: got %q, %v, %v", got, ok, err)
	}
}

func scanInOrder(t *testing.T, s store.Store) {
	table := openTable(t, s, counts)
	apply(t, s, change1(table, "a", "1", "a\x00", "2", "b", "3", "\xff", "4", "\xff\xff", "5"))
	apply(t, s, change(table, 9, "", "0", "aa", "6", "b", deleted))
	all := []string{"", "a", "a\x00", "aa", "\xff", "\xff\xff"}
	for from, n := range map[string]int{"": 6, "a": 5, "a\x00": 4, "a\x01": 3, "b": 2, "\xff": 2, "\xff\xff": 1, "\xff\xff\x00": 0} {
		if got := keys(t, table, from, math.MaxInt); !slices.Equal(got, all[len(all)-n:]) {
			t.Errorf("from %q: got %q", from, got)
		}
	}
	if got := keys(t, table, "", 2); !slices.Equal(got, all[:2]) {
		t.Errorf("told to stop after two: got %q", got)
	}
}

func scanReadsSnapshot(t *testing.T, s store.Store) {
	table := openTable(t, s, counts)
	apply(t, s, change1(table, "a", "1", "b", "1", "c", "1"))
	var got []string
	err := table.Scan(nil, func(key, value []byte) bool {
		if len(got) == 0 {
			apply(t, s, change(table, 2, "a", "2", "b", deleted, "c", "2", "d", "2"))
		}
		got = append(got, string(key)+string(value))
		return true
	})
	if err != nil || !slices.Equal(got, []string{"a1", "b1", "c1"}) {
		t.Errorf("got %q, %v", got, err)
	}
	want(t, table, "a", "2", "c", "2", "d", "2")
}

func wipeEmptiesOne(t *testing.T, s store.Store) {
	before, table, after := openTable(t, s, record.Partition{Topic: "a"}), openTable(t, s, counts), openTable(t, s, totals)
	apply(t, s, change1(before, "k", "1"), change1(table, "k", "1"), change1(after, "k", "1"))
	if err := table.Wipe(); err != nil {
		t.Fatal(err)
	}
	want(t, table)
	wantCheckpoint(t, table, store.Checkpoint{})
	want(t, before, "k", "1")
	want(t, after, "k", "1")
	apply(t, s, change(table, 7, "l", "2"))
	closeTables(t, table)
	table = openTable(t, s, counts)
	want(t, table, "l", "2")
	wantCheckpoint(t, table, checkpoint(7))
}

func tablesDoNotMix(t *testing.T, s store.Store) {
	var tables []store.Table
	for _, topic := range []string{"t", "t\x00", "t/1", "T", "täg"} {
		for _, number := range []int32{0, 1, 255, 256, math.MaxInt32} {
			tables = append(tables, openTable(t, s, record.Partition{Topic: topic, Number: number}))
		}
	}
	mine := func(i int) []string {
		v := fmt.Sprint(i)
		return []string{"", v, "\x00", v, "\x00\x01\x02", v, "k", v, strings.Repeat("\xff", 300), v}
	}
	for i, table := range tables {
		apply(t, s, change(table, int64(i), mine(i)...))
	}
	for i, table := range tables {
		want(t, table, mine(i)...)
		wantCheckpoint(t, table, checkpoint(int64(i)))
	}
}

func listShowsAll(t *testing.T, s store.Store) {
	a, b := openTable(t, s, totals), openTable(t, s, counts)
	apply(t, s, change(a, 4, "k", "1"))
	closeTables(t, b)
	infos, err := s.Tables()
	if err != nil || len(infos) != 2 {
		t.Fatalf("got %v, %v", infos, err)
	}
	if infos[0].Changelog != counts || infos[1].Changelog != totals || infos[0].Identity != identity || infos[1].Identity != identity {
		t.Errorf("got %+v", infos)
	}
	if infos[0].Checkpoint != (store.Checkpoint{}) || !equal(infos[1].Checkpoint, checkpoint(4)) {
		t.Errorf("got checkpoints %v and %v", infos[0].Checkpoint, infos[1].Checkpoint)
	}
}

// largeChange applies changes of a size at which keepers take another way.
func largeChange(t *testing.T, s store.Store) {
	table, neighbour := openTable(t, s, counts), openTable(t, s, totals)
	large := func(next int64, value string) store.Change {
		c := store.Change{Table: table, Checkpoint: checkpoint(next), Entries: make([]store.Entry, 100_000)}
		for i := range c.Entries {
			c.Entries[i] = store.Entry{Key: fmt.Appendf(nil, "key %08d", i), Value: []byte(value)}
		}
		return c
	}
	apply(t, s, change(table, 1, "key 00000005", "small", "z", "small"))
	apply(t, s, large(2, "large"), change(neighbour, 2, "k", "v"))
	wantSome(t, table, 100_001, "large", "key 00000000", "key 00000005", "key 00099999")
	apply(t, s, change(table, 3, "key 00000005", "small again", "key 00000006", deleted))
	wantSome(t, table, 100_000, "small again", "key 00000005")
	again := large(4, "again")
	for i := range again.Entries {
		if i%2 == 1 {
			again.Entries[i].Value = nil
		}
	}
	apply(t, s, again)
	wantSome(t, table, 50_001, "again", "key 00000000", "key 00000006", "key 00099998")
	wantSome(t, table, 50_001, "small", "z")
	wantCheckpoint(t, table, checkpoint(4))
	want(t, neighbour, "k", "v")
}

func closedSaysSo(t *testing.T, s store.Store) {
	table, other := openTable(t, s, counts), openTable(t, s, totals)
	closeTables(t, other)
	wantClosed := func(table store.Table) {
		_, _, errGet := table.Get(nil, []byte("k"))
		for _, err := range []error{
			errGet,
			table.Scan(nil, func(_, _ []byte) bool { return true }),
			table.Wipe(),
			s.Apply([]store.Change{change(table, 1)}, false),
		} {
			if !errors.Is(err, store.ErrClosed) {
				t.Errorf("got %v", err)
			}
		}
	}
	wantClosed(other)
	for range 2 { // closing twice does nothing
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wantClosed(table)
	_, errOpen := s.Open(counts, identity)
	_, errTables := s.Tables()
	for _, err := range []error{errOpen, errTables, s.Apply(nil, true)} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	closeTables(t, table)
}

// concurrentUse writes one table per goroutine, all of them one shared table,
// and reads meanwhile; some calls overlap on two tables in opposite orders.
func concurrentUse(t *testing.T, s store.Store) {
	const writers, rounds = 4, 30
	shared := openTable(t, s, counts)
	own := make([]store.Table, writers)
	for i := range own {
		own[i] = openTable(t, s, record.Partition{Topic: "own", Number: int32(i)})
	}
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			for n := range rounds {
				value := fmt.Sprint(n)
				changes := []store.Change{change(shared, int64(n), fmt.Sprint("w", i), value), change(own[i], int64(n), "k", value)}
				if n%2 == 1 {
					slices.Reverse(changes)
				}
				if err := s.Apply(changes, n%8 == 0); err != nil {
					t.Error(err)
				}
				if got, _, err := own[i].Get(nil, []byte("k")); err != nil || string(got) != value {
					t.Errorf("own write: got %q, %v, want %q", got, err, value)
				}
			}
		})
		group.Go(func() {
			for range rounds {
				_ = keys(t, shared, "", math.MaxInt)
				_ = shared.Checkpoint()
				if _, err := s.Tables(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	last := fmt.Sprint(rounds - 1)
	want(t, shared, "w0", last, "w1", last, "w2", last, "w3", last)
}

func durable(t *testing.T, s store.Store) {
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	table := openTable(t, s, counts)
	at := func(next int64) {
		t.Helper()
		if !equal(table.Durable(), checkpoint(next)) {
			t.Errorf("durable up to %v, want %d", table.Durable(), next)
		}
	}
	if table.Durable() != (store.Checkpoint{}) {
		t.Errorf("an empty table is durable up to %v", table.Durable())
	}
	apply(t, s, change(table, 1, "k", "1"))
	at(1)
	c := change(table, 2, "k", "2")
	c.Lazy = true
	apply(t, s, c)
	if d := table.Durable().Next; d != 1 && d != 2 {
		t.Errorf("after a lazy change to 2 durable up to %d", d)
	}
	apply(t, s, change(table, 3, "k", "3"))
	at(3)
	want(t, table, "k", "3")
	if err := table.Wipe(); err != nil || table.Durable() != (store.Checkpoint{}) {
		t.Errorf("a wiped table is durable up to %v, %v", table.Durable(), err)
	}
}

func reopenKeeps(t *testing.T, p Place) {
	s := open(t, p)
	table := openTable(t, s, counts)
	_ = openTable(t, s, totals)
	apply(t, s, change(table, 1, "a", "1", "b", "2"))
	if err := s.Apply([]store.Change{change(table, 2, "b", deleted, "c", "3")}, false); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // which syncs
		t.Fatal(err)
	}
	for range 2 {
		s = open(t, p)
		infos, err := s.Tables()
		if err != nil || len(infos) != 2 || infos[0].Identity != identity || !equal(infos[0].Checkpoint, checkpoint(2)) {
			t.Errorf("got %+v, %v", infos, err)
		}
		table = openTable(t, s, counts)
		if table.Wiped() != "" {
			t.Errorf("wiped: %s", table.Wiped())
		}
		want(t, table, "a", "1", "c", "3")
		wantCheckpoint(t, table, checkpoint(2))
		want(t, openTable(t, s, totals))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func storeOpenOnce(t *testing.T, p Place) {
	s := open(t, p)
	if other, err := p.Open(); !errors.Is(err, store.ErrInUse) {
		t.Errorf("opened twice: %v, %v", other, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := open(t, p).Close(); err != nil {
		t.Fatal(err)
	}
}

// deleted stands for a nil value in the lists of keys and values below.
const deleted = "\x00deleted"

func checkpoint(next int64) store.Checkpoint {
	return store.Checkpoint{Next: next, Commit: uint64(next) * 7, Time: time.Unix(1_600_000_000+next, 12345).UTC(), Stream: 1_600_000_000_000 + next}
}

// change makes a change of keys and values in turn.
func change(table store.Table, next int64, kv ...string) store.Change {
	c := store.Change{Table: table, Checkpoint: checkpoint(next)}
	for i := 0; i < len(kv); i += 2 {
		e := store.Entry{Key: []byte(kv[i])}
		if kv[i+1] != deleted {
			e.Value = []byte(kv[i+1])
		}
		c.Entries = append(c.Entries, e)
	}
	return c
}

func change1(table store.Table, kv ...string) store.Change { return change(table, 1, kv...) }

func open(t *testing.T, p Place) store.Store {
	t.Helper()
	s, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openTable(t *testing.T, s store.Store, p record.Partition) store.Table {
	t.Helper()
	table, err := s.Open(p, identity)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func closeTables(t *testing.T, tables ...store.Table) {
	t.Helper()
	for _, table := range tables {
		if err := table.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func apply(t *testing.T, s store.Store, changes ...store.Change) {
	t.Helper()
	if err := s.Apply(changes, true); err != nil {
		t.Fatal(err)
	}
}

// want holds a table to keys and values in turn, by Scan and by Get.
func want(t *testing.T, table store.Table, kv ...string) {
	t.Helper()
	var got []string
	err := table.Scan(nil, func(key, value []byte) bool {
		got = append(got, string(key), string(value))
		return true
	})
	if err != nil || !slices.Equal(got, kv) {
		t.Errorf("scan: got %.200q, %v, want %.200q", got, err, kv)
	}
	for i := 0; i < len(kv); i += 2 {
		if value, ok, err := table.Get(nil, []byte(kv[i])); err != nil || !ok || string(value) != kv[i+1] {
			t.Errorf("get %q: got %q, %v, %v, want %q", kv[i], value, ok, err, kv[i+1])
		}
	}
}

// wantSome holds a table to its number of keys and to the value of some.
func wantSome(t *testing.T, table store.Table, n int, value string, some ...string) {
	t.Helper()
	if got := len(keys(t, table, "", math.MaxInt)); got != n {
		t.Errorf("%d keys, want %d", got, n)
	}
	for _, key := range some {
		if got, ok, err := table.Get(nil, []byte(key)); err != nil || !ok || !bytes.Equal(got, []byte(value)) {
			t.Errorf("get %q: got %q, %v, %v, want %q", key, got, ok, err, value)
		}
	}
}

func keys(t *testing.T, table store.Table, from string, atMost int) []string {
	t.Helper()
	var got []string
	err := table.Scan([]byte(from), func(key, _ []byte) bool {
		got = append(got, string(key))
		return len(got) < atMost
	})
	if err != nil {
		t.Errorf("scan: %v", err)
	}
	return got
}

func wantCheckpoint(t *testing.T, table store.Table, want store.Checkpoint) {
	t.Helper()
	if got := table.Checkpoint(); !equal(got, want) {
		t.Errorf("checkpoint: got %v, want %v", got, want)
	}
}

// equal compares checkpoints; the same instant in another location is the same.
func equal(a, b store.Checkpoint) bool {
	return a.Next == b.Next && a.Commit == b.Commit && a.Time.Equal(b.Time) && a.Stream == b.Stream
}
