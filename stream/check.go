package stream

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// A Finding is the outcome of checking one thing: it holds unless there is a
// Fault, or Unchecked says why that could not be told, which is no fault.
type Finding struct {
	What      string
	Fault     string
	Unchecked string
}

// CheckState compares every table in a group's state with its changelog: it must
// be exactly the changelog folded up to the table's own position. One that is a
// copy of another topic than the one that is there now is unchecked: whoever
// needs it will restore it. Nobody else may have the state open.
func CheckState(ctx context.Context, l *Log, s *State, g *GroupGraph) ([]Finding, error) {
	tables, err := s.tables.Tables()
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	var findings []Finding
	for _, t := range tables {
		f := Finding{What: fmt.Sprintf("table %s partition %d at position %d", t.Changelog.Topic, t.Changelog.Number, t.Checkpoint.Next)}
		check := checkTable
		if g.foldOf(t.Changelog.Topic) >= 0 {
			check = g.checkFolded
		}
		if f.Unchecked, f.Fault, err = check(ctx, l, s, t); err != nil {
			return findings, fmt.Errorf("%s: %w", f.What, err)
		}
		findings = append(findings, f)
	}
	return findings, nil
}

// CheckOpen finds transactions of a group, or into what it reads, that were
// begun and do not end within patience. What runs has transactions for a moment;
// what was killed may leave one that nobody ends, unless it keeps a task from
// going on, before brokers do so: ten seconds later, and they look every ten
// seconds. Others on the same log are not the group's business.
func CheckOpen(ctx context.Context, l *Log, g *GroupGraph, patience time.Duration) (Finding, error) {
	f := Finding{What: "no transaction is open"}
	open, err := l.openOf(ctx, g)
	for end := time.Now().Add(patience); len(open) > 0 && err == nil && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return f, ctx.Err()
		case <-time.After(openPause):
		}
		var still []log.OpenTransaction
		still, err = l.openOf(ctx, g)
		open = slices.DeleteFunc(open, func(t log.OpenTransaction) bool {
			return !slices.ContainsFunc(still, func(s log.OpenTransaction) bool {
				return s.TransactionalID == t.TransactionalID && s.Since.Equal(t.Since)
			})
		})
	}
	if err != nil {
		return f, fmt.Errorf("list transactions: %w", err)
	}
	var ids []string
	for _, t := range open {
		ids = append(ids, t.TransactionalID)
	}
	if len(ids) > 0 {
		f.Fault = "open: " + strings.Join(ids, ", ")
	}
	return f, nil
}

// openPause is between two looks at whether a transaction is still open.
const openPause = 200 * time.Millisecond

// openOf are the open transactions of a group, or into what it reads.
func (l *Log) openOf(ctx context.Context, g *GroupGraph) ([]log.OpenTransaction, error) {
	open, err := l.keeper.OpenTransactions(ctx)
	topics := slices.Concat(g.OwnTopics(), g.Inputs())
	return slices.DeleteFunc(open, func(t log.OpenTransaction) bool {
		ours := slices.ContainsFunc(t.Partitions, func(p record.Partition) bool { return slices.Contains(topics, p.Topic) })
		return !ours && !strings.HasPrefix(t.TransactionalID, g.Group()+"-")
	}), err
}

func checkTable(ctx context.Context, l *Log, s *State, t store.Info) (unchecked, fault string, err error) {
	changelog := t.Changelog
	changelog.Topic = changelog.Topic[strings.LastIndexByte(changelog.Topic, ':')+1:] // without the space of a view or lookup
	if unchecked, err = another(ctx, l, changelog.Topic, t.Identity); err != nil || unchecked != "" {
		return unchecked, "", err
	}
	_, ranges, err := newProbe(l.keeper, "", nil, nil).ends(ctx, changelog.Topic)
	if err != nil {
		return "", "", err
	}
	extent := PartitionInfo(ranges[changelog.Number])
	if t.Checkpoint.Next > extent.Stable {
		return "", fmt.Sprintf("the changelog ends before it, at %d", extent.Stable), nil
	}
	kept, err := s.tables.Open(t.Changelog, t.Identity)
	if err != nil {
		return "", "", err
	}
	want, newer, err := fold(ctx, l, changelog, extent, t.Checkpoint.Next)
	if err == nil {
		fault, err = compare(kept, want, newer)
	}
	if closed := kept.Close(); err == nil {
		err = closed
	}
	return "", fault, err
}

// another says how the topic that a table was made from is not the one that is
// there now; "" if it is.
func another(ctx context.Context, l *Log, topic string, was store.Identity) (how string, err error) {
	const next = ": whoever needs the table restores it"
	topics, err := l.keeper.Topics(ctx, topic)
	switch {
	case err != nil:
		return "", err
	case len(topics) == 0:
		return fmt.Sprintf("a copy of another topic: there is no %s", topic) + next, nil
	case topics[0].ID != was.TopicID:
		return fmt.Sprintf("a copy of another topic: the id of %s was %s, and is %s", topic, was.TopicID, topics[0].ID) + next, nil
	case was.Partitions != 0 && topics[0].Partitions != was.Partitions:
		return fmt.Sprintf("a copy of another topic: %s had %d partitions, and has %d", topic, was.Partitions, topics[0].Partitions) + next, nil
	}
	return "", nil
}

// fold reads a changelog: what it says up to a position, and which keys have
// newer records. Of those, compaction may have removed the older ones.
func fold(ctx context.Context, l *Log, p record.Partition, extent PartitionInfo, to int64) (want map[string][]byte, newer map[string]bool, err error) {
	want, newer = map[string][]byte{}, map[string]bool{}
	err = readPartition(ctx, l, p, extent, func(r Record) error {
		switch {
		case r.Offset >= to:
			newer[string(r.Key)] = true
		case r.Value == nil:
			delete(want, string(r.Key))
		default:
			want[string(r.Key)] = r.Value
		}
		return nil
	})
	return want, newer, err
}

// compare names the first key in which a table differs from what it should be.
func compare(kept store.Table, want map[string][]byte, newer map[string]bool) (fault string, err error) {
	seen := 0
	err = kept.Scan(nil, func(key, value []byte) bool {
		if newer[string(key)] {
			return true
		}
		w, ok := want[string(key)]
		switch {
		case !ok:
			fault = fmt.Sprintf("key %.100q has value %.100q, and none in the changelog", key, value)
		case !bytes.Equal(w, value):
			fault = fmt.Sprintf("key %.100q has value %.100q, and in the changelog %.100q", key, value, w)
		}
		seen++
		return fault == ""
	})
	if err != nil || fault != "" {
		return fault, err
	}
	for key := range want {
		if newer[key] {
			delete(want, key)
		}
	}
	if seen != len(want) {
		fault = fmt.Sprintf("%d keys, and %d in the changelog", seen, len(want))
	}
	return fault, nil
}
