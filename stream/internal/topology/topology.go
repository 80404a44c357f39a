// Package topology is the shape of a group as plain data: what it reads, which
// tables it keeps, how those hang together in sub-topologies, and the name of
// every topic of a group. It is pure: no clock, no log, no steps.
//
//	tweets ──▶ [0: totals] ──▶ hashtags-loop ──▶ [1: hashtags-table] ──▶ …
//	           sub-topology 0                    sub-topology 1
//
// Sources whose steps share a table form one sub-topology: their topics and
// tables have the same number of partitions, and one task per partition
// handles them together. Where rows belong to partitions, not to keys, a table
// may get more partitions with its sources. Sources that share nothing may be partitioned
// differently.
package topology

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tagtide/tagtide/stream/internal/record"
)

// A Topology describes one group.
type Topology struct {
	Group   string
	Sources []Source
	Tables  []Table
	Lookups []string // topics of tables read whole, by any step
	Outputs []string // topics written by steps
	// Partitioners of the topics above, where it is not FNV. Owned tables have
	// that of their sources and stand not here; see Partitioner.
	Partitioners map[string]record.Partitioner
}

// A Source is something whose records are stepped: an input, or the loop.
type Source struct {
	Topic  string
	Loop   bool
	Tables []int // indexes into Topology.Tables that the step may use
}

// A Table is a keyed state. An owned one is written by the group and backed by
// its changelog topic; one that is not is another group's table, joined read-only.
type Table struct {
	Topic string // its changelog; of a folded one the topic of its beginnings
	Owned bool
	// PerPartition: its rows belong to the partition that they were written in,
	// not to that of their key, so that more partitions move none of them.
	PerPartition bool
	Fold         Fold
}

// A Fold makes an owned table one that has no changelog: its rows are what the
// step of one input makes of that input's records, and so can be made again
// from them. The table's own topic has at most one record for each partition,
// ever: where the group has begun to handle the input, if that is not with the
// oldest record. The zero value is a table with a changelog.
type Fold struct {
	Input string // the topic; "" if the table has a changelog
	// Keep is how long a row lives since it was last set, by stream time.
	Keep time.Duration
	// Replay is how much of the input, back from the stream time, makes the
	// table anew.
	Replay time.Duration
}

// Changelog is the topic that the table is made again from.
func (t Table) Changelog() string { return cmp.Or(t.Fold.Input, t.Topic) }

// Logged tells whether the group writes a changelog for the table.
func (t Table) Logged() bool { return t.Owned && t.Fold.Input == "" }

// A Sub is a sub-topology: sources and tables that are partitioned alike.
type Sub struct {
	Sources []int // indexes into Topology.Sources
	Tables  []int // indexes into Topology.Tables
}

// LoopTopic names the group's re-keying topic.
func LoopTopic(group string) string { return group + "-loop" }

// GroupTable names the changelog of the group's own table.
func GroupTable(group string) string { return group + "-table" }

// NamedTable names the changelog of a further table of the group.
func NamedTable(group, name string) string { return group + "-" + name + "-table" }

// DeadTopic names the topic of the group's dead letters.
func DeadTopic(group string) string { return group + "-dead" }

// ChangelogOf is the topic that a table is made again from.
func (t *Topology) ChangelogOf(table string) string {
	for _, tab := range t.Tables {
		if tab.Topic == table {
			return tab.Changelog()
		}
	}
	return table
}

// Subs returns the sub-topologies in the order of their first source. The
// order, and with it the number of each, is a function of the topology alone:
// every instance of the group counts alike.
func (t *Topology) Subs() []Sub {
	var subs []Sub
	for s := range t.Sources {
		subs = t.join(subs, s)
	}
	slices.SortFunc(subs, func(a, b Sub) int { return a.Sources[0] - b.Sources[0] })
	return subs
}

// join adds source s to the sub-topologies, melting those that it connects.
func (t *Topology) join(subs []Sub, s int) []Sub {
	joined := Sub{Sources: []int{s}, Tables: slices.Clone(t.Sources[s].Tables)}
	var rest []Sub
	for _, sub := range subs {
		if !shares(sub.Tables, joined.Tables) {
			rest = append(rest, sub)
			continue
		}
		joined.Sources = append(joined.Sources, sub.Sources...)
		joined.Tables = append(joined.Tables, sub.Tables...)
	}
	slices.Sort(joined.Sources)
	slices.Sort(joined.Tables)
	joined.Tables = slices.Compact(joined.Tables)
	return append(rest, joined)
}

func shares(a, b []int) bool {
	return slices.ContainsFunc(a, func(x int) bool { return slices.Contains(b, x) })
}

// Validate reports everything that is wrong with the topology, all at once.
func (t *Topology) Validate() error {
	var errs []error
	fail := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if t.Group == "" {
		fail("the group needs a name")
	}
	if len(t.Sources) == 0 {
		fail("group %s reads nothing: it needs an Input", t.Group)
	}
	seen := map[string]bool{}
	once := func(topic string) {
		if seen[topic] {
			fail("topic %s is used twice in group %s", topic, t.Group)
		}
		seen[topic] = true
	}
	for _, s := range t.Sources {
		once(s.Topic)
	}
	for i, tab := range t.Tables {
		once(tab.Topic)
		if tab.Fold.Input != "" {
			t.validateFold(i, fail)
		}
	}
	for name := range seen {
		if err := ValidTopic(name); err != nil {
			errs = append(errs, err)
		}
	}
	for _, sub := range t.Subs() {
		errs = append(errs, t.onePartitioner(sub))
	}
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// validateFold makes sure that nothing but one input's records makes table i.
func (t *Topology) validateFold(i int, fail func(string, ...any)) {
	tab := t.Tables[i]
	for _, s := range t.Sources {
		if slices.Contains(s.Tables, i) && (s.Loop || s.Topic != tab.Fold.Input) {
			fail("table %s is folded from %s, and the step of %s uses it too", tab.Topic, tab.Fold.Input, s.Topic)
		}
	}
	if tab.Fold.Keep <= 0 || tab.Fold.Replay < tab.Fold.Keep {
		fail("table %s keeps rows for %s and replays %s: it needs a time to keep them, and a replay at least as long", tab.Topic, tab.Fold.Keep, tab.Fold.Replay)
	}
}

// ValidTopic applies Kafka's rule for topic names: 1 to 249 of [a-zA-Z0-9._-],
// neither "." nor "..".
func ValidTopic(name string) error {
	legal := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)
	}
	switch {
	case name == "" || name == "." || name == ".." || len(name) > 249:
		return fmt.Errorf("topic name %q is . or .., or does not have 1 to 249 characters", name)
	case strings.ContainsFunc(name, func(r rune) bool { return !legal(r) }):
		return fmt.Errorf("topic name %q may only have letters, digits, dot, underscore and hyphen", name)
	}
	return nil
}

// ErrPartitions is wrapped by the errors of topics whose partitions do not fit
// one another.
var ErrPartitions = errors.New("their records are handled together")

// Partitions returns the number of partitions of a sub-topology, given those
// of topics: all its sources and tables must agree, or the error names two
// that do not. Tables whose rows belong to partitions may have any number, see
// [Topology.Short], and topics that are not in counts are left out.
func (t *Topology) Partitions(sub Sub, counts map[string]int32) (int32, error) {
	var first string
	for _, topic := range t.topics(sub) {
		n, ok := counts[topic]
		switch {
		case !ok:
		case first == "":
			first = topic
		case n != counts[first]:
			return 0, fmt.Errorf("topic %s has %d partitions and %s has %d, but group %s needs as many of each: %w%s",
				first, counts[first], topic, n, t.Group, ErrPartitions, t.advice(first, topic))
		}
	}
	if first == "" {
		return 0, fmt.Errorf("group %s: none of the topics %s exists", t.Group, strings.Join(t.topics(sub), ", "))
	}
	return counts[first], nil
}

// Partitioner returns how the keys of a topic are spread over its partitions.
func (t *Topology) Partitioner(topic string) record.Partitioner {
	for _, sub := range t.Subs() {
		for _, tab := range sub.Tables {
			if t.Tables[tab].Owned && t.Tables[tab].Topic == topic {
				return t.Partitioners[t.Sources[sub.Sources[0]].Topic]
			}
		}
	}
	return t.Partitioners[topic]
}

// onePartitioner refuses topics that are handled together and whose keys are
// spread in different ways: what belongs to one key would not meet.
func (t *Topology) onePartitioner(sub Sub) error {
	first := t.Sources[sub.Sources[0]].Topic
	for _, topic := range t.topics(sub) {
		if a, b := t.Partitioner(first), t.Partitioner(topic); a != b {
			return fmt.Errorf("topic %s is partitioned by %s and %s by %s, but group %s handles their records together", first, a, topic, b, t.Group)
		}
	}
	return nil
}

// advice tells what to do if topics do not fit: where one is the group's own it
// was made to fit, and then the other one got more partitions.
func (t *Topology) advice(topics ...string) string {
	own := slices.ContainsFunc(t.Tables, func(tab Table) bool { return tab.Owned && slices.Contains(topics, tab.Topic) }) ||
		slices.ContainsFunc(t.Sources, func(s Source) bool { return s.Loop && slices.Contains(topics, s.Topic) })
	if !own {
		return ""
	}
	return "; where partitions were added, keys belong to others now, so the group must begin anew: use reset"
}

// Short are the topics of a sub-topology's own tables that have fewer
// partitions than its sources, and may be given more: their rows stay in theirs.
func (t *Topology) Short(sub Sub, counts map[string]int32) (topics []string, want int32, err error) {
	want, err = t.Partitions(sub, counts)
	for _, i := range sub.Tables {
		tab := t.Tables[i]
		if n, there := counts[tab.Topic]; there && tab.PerPartition && n < want {
			topics = append(topics, tab.Topic)
		}
	}
	return topics, want, err
}

// topics are those that must agree in their partitions.
func (t *Topology) topics(sub Sub) []string {
	var topics []string
	for _, s := range sub.Sources {
		topics = append(topics, t.Sources[s].Topic)
	}
	for _, tab := range sub.Tables {
		if !t.Tables[tab].PerPartition {
			topics = append(topics, t.Tables[tab].Topic)
		}
	}
	return topics
}
