package table

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
	"github.com/tagtide/tagtide/stream/internal/store/memstore"
)

func open(t testing.TB) (store.Store, store.Table) {
	s := memstore.New()
	kept, err := s.Open(record.Partition{Topic: "t"}, store.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	return s, kept
}

// A sealed stage is in the order of keys, in the changelog and for the store, whatever
// the keys have in common, and says of each what was set last.
func TestSealedStagesAreInKeyOrder(t *testing.T) {
	_, kept := open(t)
	tab := New(kept, 0)
	random := rand.New(rand.NewPCG(1, 2))
	parts := []string{"", "a", "\x00", "abcdefgh", "abcdefg", "\xff\xff", "héé"}
	model := map[string]string{}
	for range 3000 {
		var key string
		for range random.IntN(4) {
			key += parts[random.IntN(len(parts))]
		}
		model[key] = fmt.Sprint(random.Uint32())
		tab.Set(key, []byte(model[key]), 1)
	}
	var b record.Builder
	tab.Seal().Changelog(&b)
	var logged []string
	for _, batch := range b.Seal(0, record.NoProducer) {
		for r := batch.Reader(); r.Next(); {
			logged = append(logged, string(r.Record().Key))
		}
	}
	want := slices.Sorted(maps.Keys(model))
	entries := tab.Change(1, time.Time{}).Entries
	if len(logged) != len(want) || len(entries) != len(want) {
		t.Fatalf("%d keys became %d records and %d entries", len(want), len(logged), len(entries))
	}
	for i, key := range want {
		if e := entries[i]; logged[i] != key || string(e.Key) != key || string(e.Value) != model[key] {
			t.Fatalf("%q is followed by the record %q and the entry %q %q; want %q %q", want[max(i-1, 0)], logged[i], e.Key, e.Value, key, model[key])
		}
	}
}
