package processor

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/tagtide/tagtide/internal/spelling"
	"github.com/tagtide/tagtide/post"
	"github.com/tagtide/tagtide/stream"
)

// Recount counts the records of the input again, one by one, by the rules of
// the group and without its machinery, and compares with the group's tables. It
// returns what differs, "" if nothing does. The group must have handled
// everything, and of what it had to handle nothing may have been removed. One
// that has not begun with the oldest records, and remembers no posts, does not
// know any more where that was: it seems to lack what was before.
func Recount(ctx context.Context, l *stream.Log, o Options) (fault string, err error) {
	g := Graph(o)
	began, err := stream.Beginnings(ctx, l, g, g.Inputs()[0])
	if err != nil {
		return "", err
	}
	if fault, err = recountable(ctx, l, g, began); err != nil || fault != "" {
		return fault, err
	}
	dead, err := aside(ctx, l, g)
	if err != nil {
		return "", err
	}
	want, ledgers := oracle{}, map[int32]*ledger{}
	d := newDesk(o)
	err = stream.ReadTopic(ctx, l, g.Inputs()[0], func(r stream.Record) error {
		if r.Offset < began[r.Partition] {
			return nil
		}
		if ledgers[r.Partition] == nil {
			ledgers[r.Partition] = newLedger(o.Dedupe, want)
		}
		ledgers[r.Partition].reach(r.Timestamp.UnixMilli())
		if !dead[stream.Place{Partition: r.Partition, Offset: r.Offset}] {
			recount(ledgers[r.Partition], d, r.Value, o)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if fault, err = differs(ctx, l, stream.GroupTable(g.Group()), want); err != nil || fault != "" {
		return fault, err
	}
	return want.misspelled(ctx, l, stream.TableTopic(g.Group(), spelling.Table))
}

// recount counts one record. What does not decode is not counted.
func recount(l *ledger, d *desk, value []byte, o Options) {
	result, err := d.decoder.Decode(value, &d.post)
	switch {
	case err != nil:
	case result.Kind == post.KindDelete, result.Kind == post.KindAccount:
		l.see(&d.post, nil)
	case result.Kind == post.KindPost:
		for more := true; more; more = d.decoder.Next(&d.post) {
			if !d.post.Repost || !o.SkipReposts {
				l.see(&d.post, d.uses.Of(&d.post))
			}
		}
	}
}

// aside are the records of the input that became dead letters. They are not
// counted where they lie, also if today's rules could: what was replayed lies in
// the input once more.
func aside(ctx context.Context, l *stream.Log, g *stream.GroupGraph) (map[stream.Place]bool, error) {
	places, input := map[stream.Place]bool{}, g.Inputs()[0]
	err := stream.ReadDeadLetters(ctx, l, g, func(d stream.DeadLetter) error {
		if d.Topic == input {
			places[stream.Place{Partition: d.Partition, Offset: d.Offset}] = true
		}
		return nil
	})
	if err != nil && !errors.Is(err, stream.ErrUnknownTopic) {
		return nil, err
	}
	return places, nil
}

// recountable says why the input does not tell what the table should be.
func recountable(ctx context.Context, l *stream.Log, g *stream.GroupGraph, began map[int32]int64) (why string, err error) {
	topics, err := stream.DescribeTopics(ctx, l, g.Inputs()...)
	if err != nil {
		return "", err
	}
	for n, p := range topics[0].Partitions {
		if p.Start > began[int32(n)] {
			return fmt.Sprintf("cannot recount: the first %d records of %s partition %d have been removed", p.Start, topics[0].Name, n), nil
		}
	}
	waiting, err := stream.Backlog(ctx, l, g)
	if err != nil || waiting == 0 {
		return "", err
	}
	return fmt.Sprintf("cannot recount: %d records are not counted yet", waiting), nil
}

// latest folds a table's topic to its rows.
func latest(ctx context.Context, l *stream.Log, table string) (rows map[string]string, err error) {
	rows = map[string]string{}
	return rows, stream.ReadTopic(ctx, l, table, func(r stream.Record) error {
		if r.Value == nil {
			delete(rows, string(r.Key))
		} else {
			rows[string(r.Key)] = string(r.Value)
		}
		return nil
	})
}

func differs(ctx context.Context, l *stream.Log, table string, want oracle) (fault string, err error) {
	have, err := latest(ctx, l, table)
	if err != nil {
		return "", err
	}
	tags := 0
	for tag, all := range want {
		n := total(all)
		if n == 0 {
			continue
		}
		tags++
		if have[tag] != strconv.FormatInt(n, 10) {
			return fmt.Sprintf("%s is %q in the table and %d in the input", tag, have[tag], n), nil
		}
	}
	if len(have) != tags {
		return fmt.Sprintf("the table has %d hashtags and the input %d", len(have), tags), nil
	}
	return "", nil
}
