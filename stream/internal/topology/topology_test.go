package topology

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestSourcesThatShareATableAreOneSubTopology(t *testing.T) {
	for name, c := range map[string]struct {
		sources [][]int // tables of each
		want    []Sub
	}{
		"nothing shared":   {[][]int{{0}, {1}}, []Sub{{[]int{0}, []int{0}}, {[]int{1}, []int{1}}}},
		"one table":        {[][]int{{0}, {0}}, []Sub{{[]int{0, 1}, []int{0}}}},
		"no tables":        {[][]int{nil, nil}, []Sub{{[]int{0}, nil}, {[]int{1}, nil}}},
		"a third connects": {[][]int{{0}, {1}, {0, 1}}, []Sub{{[]int{0, 1, 2}, []int{0, 1}}}},
		"in a chain":       {[][]int{{0, 1}, {2}, {1}, {2, 3}}, []Sub{{[]int{0, 2}, []int{0, 1}}, {[]int{1, 3}, []int{2, 3}}}},
	} {
		var top Topology
		for _, tables := range c.sources {
			top.Sources = append(top.Sources, Source{Tables: tables})
		}
		if got := top.Subs(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestTopicNamesFollowKafkasRule(t *testing.T) {
	for _, good := range []string{"a", "tweets", "a.b_c-D9", strings.Repeat("x", 249)} {
		if err := ValidTopic(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", ".", "..", "a b", "a/b", "ä", "a:b", strings.Repeat("x", 250)} {
		if err := ValidTopic(bad); err == nil {
			t.Errorf("%q is taken for a topic name", bad)
		}
	}
}

func TestPartitionsMustAgree(t *testing.T) {
	top := Topology{Group: "g", Sources: []Source{{Topic: "a", Tables: []int{0}}}, Tables: []Table{{Topic: "t"}}}
	sub := top.Subs()[0]
	if n, err := top.Partitions(sub, map[string]int32{"a": 3}); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	_, err := top.Partitions(sub, map[string]int32{"a": 3, "t": 4})
	if err == nil || !strings.Contains(err.Error(), "a has 3") || !strings.Contains(err.Error(), "t has 4") {
		t.Errorf("%v, want both topics with their numbers", err)
	}
	if _, err := top.Partitions(sub, nil); err == nil {
		t.Error("no topic exists, and there is no error")
	}
	top.Tables[0].Owned = true
	if _, err := top.Partitions(sub, map[string]int32{"a": 6, "t": 4}); !errors.Is(err, ErrPartitions) || !strings.Contains(err.Error(), "use reset") {
		t.Errorf("%v, want it to say what to do with a table of its own", err)
	}
}

// Rows that belong to partitions, not to keys, are where they are whatever the
// number of partitions.
func TestATablePerPartitionMayHaveFewerUntilItIsGivenMore(t *testing.T) {
	top := Topology{Group: "g", Sources: []Source{{Topic: "a", Tables: []int{0}}}, Tables: []Table{{Topic: "t", Owned: true, PerPartition: true}}}
	sub := top.Subs()[0]
	for has, want := range map[int32][]string{2: {"t"}, 3: nil, 4: nil} {
		short, n, err := top.Short(sub, map[string]int32{"a": 3, "t": has})
		if n != 3 || err != nil || !slices.Equal(short, want) {
			t.Errorf("of %d partitions: %v lack some of %d, %v; want %v", has, short, n, err, want)
		}
	}
	if short, _, err := top.Short(sub, map[string]int32{"a": 3}); len(short) > 0 || err != nil {
		t.Errorf("a table that is not there: %v, %v", short, err)
	}
}
