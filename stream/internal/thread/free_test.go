package thread

import (
	"testing"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// Only what surely nobody in the group will end is an orphan.
func TestOrphans(t *testing.T) {
	thread := &Thread{cfg: Config{Topology: &topology.Topology{
		Group:   "tags",
		Sources: []topology.Source{{Topic: "posts"}, {Topic: "tags-loop", Loop: true}},
		Tables:  []topology.Table{{Topic: "tags-table", Owned: true}, {Topic: "users-table"}},
	}}}
	hosts := map[string]int{"here": 2, "with-dash": 1}
	for _, c := range []struct {
		id     string
		writes []string
		want   bool
	}{
		{"tags-dead-0", []string{"tags-table"}, true},
		{"tags-dead-0", nil, true}, // positions only
		{"tags-dead-0", []string{"seen", "tags-loop"}, true},
		{"tags-here-1", []string{"tags-table"}, false},
		{"tags-here-2", []string{"tags-table"}, true}, // it has two threads now
		{"tags-with-dash-0", []string{"tags-table"}, false},
		{"tags-with-0", []string{"tags-table"}, true},
		{"tags-more-dead-0", []string{"tags-more-table"}, false}, // of group tags-more
		{"tags-dead-0", []string{"users-table"}, false},
		{"other-dead-0", []string{"tags-table"}, false},
		{"tags-dead", []string{"tags-table"}, false},
		{"tags-", nil, false},
	} {
		o := log.OpenTransaction{TransactionalID: c.id}
		for _, topic := range c.writes {
			o.Partitions = append(o.Partitions, record.Partition{Topic: topic})
		}
		if got := thread.orphan(o, hosts); got != c.want {
			t.Errorf("%s, which writes %v: orphan %t, want %t", c.id, c.writes, got, c.want)
		}
	}
}
