package storetest

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// A model is a store that is too dumb to be wrong.
type model struct {
	store  store.Store
	tables []store.Table
	maps   []map[string]string
	at     []store.Checkpoint
}

// RunHistories draws histories of two tables, and compares a keeper with maps
// after each step. Durable histories reopen the store now and then.
func RunHistories(t *testing.T, place func(t *testing.T) Place, durable bool) {
	rapid.Check(t, func(rt *rapid.T) {
		p := place(t)
		m := &model{maps: []map[string]string{{}, {}}, at: make([]store.Checkpoint, 2)}
		m.open(rt, p)
		actions := map[string]func(*rapid.T){
			"":      m.check,
			"apply": m.apply,
			"wipe":  m.wipe,
			"again": m.again,
		}
		if durable {
			actions["reopen"] = func(rt *rapid.T) {
				m.close(rt)
				m.open(rt, p)
			}
		}
		rt.Repeat(actions)
		m.close(rt)
	})
}

func (m *model) open(rt *rapid.T, p Place) {
	var err error
	if m.store, err = p.Open(); err != nil {
		rt.Fatal(err)
	}
	m.tables = nil
	for i := range m.maps {
		table, err := m.store.Open(record.Partition{Topic: "t", Number: int32(i)}, identity)
		if err != nil {
			rt.Fatal(err)
		}
		m.tables = append(m.tables, table)
	}
}

func (m *model) close(rt *rapid.T) {
	if err := m.store.Close(); err != nil {
		rt.Fatal(err)
	}
}

func (m *model) apply(rt *rapid.T) {
	key := rapid.StringMatching("[ab]{0,2}")
	var changes []store.Change
	for _, i := range rapid.Permutation([]int{0, 1}).Draw(rt, "tables")[:rapid.IntRange(1, 2).Draw(rt, "n")] {
		m.at[i] = checkpoint(m.at[i].Next + 1)
		c := store.Change{Table: m.tables[i], Checkpoint: m.at[i], Lazy: rapid.Bool().Draw(rt, "lazy")}
		written := rapid.MapOf(key, rapid.SampledFrom([]string{"", "x", "yy", deleted})).Draw(rt, "entries")
		for _, k := range sortedKeys(written) {
			e := store.Entry{Key: []byte(k)}
			if written[k] == deleted {
				delete(m.maps[i], k)
			} else {
				e.Value = []byte(written[k])
				m.maps[i][k] = written[k]
			}
			c.Entries = append(c.Entries, e)
		}
		changes = append(changes, c)
	}
	if err := m.store.Apply(changes, rapid.Bool().Draw(rt, "sync")); err != nil {
		rt.Fatal(err)
	}
}

func (m *model) wipe(rt *rapid.T) {
	i := rapid.IntRange(0, 1).Draw(rt, "table")
	if err := m.tables[i].Wipe(); err != nil {
		rt.Fatal(err)
	}
	m.maps[i], m.at[i] = map[string]string{}, store.Checkpoint{}
}

// again closes a table and opens it once more.
func (m *model) again(rt *rapid.T) {
	i := rapid.IntRange(0, 1).Draw(rt, "table")
	p := m.tables[i].Changelog()
	err := m.tables[i].Close()
	if err == nil {
		m.tables[i], err = m.store.Open(p, identity)
	}
	if err != nil {
		rt.Fatal(err)
	}
}

func (m *model) check(rt *rapid.T) {
	for i, table := range m.tables {
		var got, want []string
		err := table.Scan(nil, func(key, value []byte) bool {
			got = append(got, fmt.Sprintf("%s=%s", key, value))
			return true
		})
		for _, k := range sortedKeys(m.maps[i]) {
			want = append(want, k+"="+m.maps[i][k])
		}
		if err != nil || !slices.Equal(got, want) {
			rt.Fatalf("table %d has %q, %v, want %q", i, got, err, want)
		}
		if !equal(table.Checkpoint(), m.at[i]) {
			rt.Fatalf("table %d is at %v, want %v", i, table.Checkpoint(), m.at[i])
		}
		for _, k := range []string{"", "a", "b", "ab", "bb"} {
			value, ok, err := table.Get(nil, []byte(k))
			if want, there := m.maps[i][k]; err != nil || ok != there || string(value) != want {
				rt.Fatalf("table %d has %q, %t under %q, %v, want %q, %t", i, value, ok, k, err, want, there)
			}
		}
	}
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
