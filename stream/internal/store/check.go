package store

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
)

// CheckChanges returns an error if changes are not what Apply asks for. Keepers
// call it before they write anything.
func CheckChanges(changes []Change) error {
	for i, c := range changes {
		if c.Table == nil {
			return fmt.Errorf("change %d of %d has no table", i, len(changes))
		}
		p := c.Table.Changelog()
		for _, other := range changes[:i] {
			if other.Table == c.Table {
				return fmt.Errorf("table %s/%d is changed twice in one call", p.Topic, p.Number)
			}
		}
		for j := 1; j < len(c.Entries); j++ {
			if bytes.Compare(c.Entries[j-1].Key, c.Entries[j].Key) >= 0 {
				return fmt.Errorf("entries for %s/%d are not sorted, each key once, at entry %d", p.Topic, p.Number, j)
			}
		}
	}
	return nil
}

// Differs says, for people, in which fields id and other differ, or "".
func (id Identity) Differs(other Identity) string {
	var differences []string
	differs := func(what string, was, is any) {
		if was != is {
			differences = append(differences, fmt.Sprintf("%s was %v, is %v", what, was, is))
		}
	}
	differs("log", id.LogID, other.LogID)
	differs("topic id", id.TopicID, other.TopicID)
	differs("number of partitions", id.Partitions, other.Partitions)
	differs("partitioner", id.Partitioner, other.Partitioner)
	return strings.Join(differences, ", ")
}

// Compare orders by topic and partition.
func (i Info) Compare(other Info) int {
	return cmp.Or(
		strings.Compare(i.Changelog.Topic, other.Changelog.Topic),
		cmp.Compare(i.Changelog.Number, other.Changelog.Number))
}
