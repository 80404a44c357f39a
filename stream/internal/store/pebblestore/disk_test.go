package pebblestore

import (
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// What was applied without sync is durable once anything was synced after it,
// be it nothing at all.
func TestSyncOfNothingMakesDurable(t *testing.T) {
	for _, synced := range []bool{false, true} {
		disk := NewDisk()
		s, err := disk.Open(Options{Deterministic: true})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		p := record.Partition{Topic: "counts"}
		table, err := s.Open(p, store.Identity{})
		if err != nil {
			t.Fatal(err)
		}
		change := store.Change{Table: table, Checkpoint: store.Checkpoint{Next: 7, Time: time.Unix(1, 0)}}
		if err := s.Apply([]store.Change{change}, false); err != nil {
			t.Fatal(err)
		}
		if synced {
			if err := s.Apply(nil, true); err != nil {
				t.Fatal(err)
			}
		}
		after, err := disk.Crash().Open(Options{Deterministic: true})
		if err != nil {
			t.Fatal(err)
		}
		defer after.Close()
		infos, err := after.Tables()
		if err != nil || len(infos) != 1 {
			t.Fatalf("got %v, %v", infos, err)
		}
		if got := infos[0].Checkpoint.Next; (got == 7) != synced {
			t.Errorf("synced %t: the checkpoint is at %d after the crash", synced, got)
		}
	}
}
