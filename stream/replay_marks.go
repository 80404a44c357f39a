package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// replayMarks tell which dead letters were sent back. They are cursors, one for
// each partition of the dead letters, written in the transactions of the copies:
//
//	key                   value
//	<group>-replay/<n>    <topic id> <from>-<to> <from>-<to> …
//
// The ranges are of offsets, both ends included. A topic of another id is
// another one of the same name, and its marks say nothing of this one.
//
// A group's positions would not do: brokers forget those of a group without
// members after a week, and they cannot say that some letters were left out.
type replayMarks struct {
	topicID    string
	partitions map[int32]*offsetSet
}

// replayID is the transactional id of all replays of a group: the later of two
// fences the earlier.
func replayID(group string) string { return group + "-replay" }

// cursorsTopic is where a group's marks lie, beside the cursors of its emitters.
func cursorsTopic(group string) string { return topology.NamedTable(group, "cursors") }

// of returns the marks of a partition, empty ones if there are none yet.
func (m *replayMarks) of(partition int32) *offsetSet {
	s := m.partitions[partition]
	if s == nil {
		s = &offsetSet{}
		m.partitions[partition] = s
	}
	return s
}

// take takes over a cursor.
func (m *replayMarks) take(name string, value []byte) error {
	id, ranges, _ := strings.Cut(string(value), " ")
	if id != m.topicID {
		return nil
	}
	n, err := strconv.ParseInt(name, 10, 32)
	if err != nil {
		return fmt.Errorf("%w: marks of partition %.20q", log.ErrDamaged, name)
	}
	set, err := parseOffsets(ranges)
	if err != nil {
		return fmt.Errorf("%w: marks of partition %d: %w", log.ErrDamaged, n, err)
	}
	m.partitions[int32(n)] = set
	return nil
}

// record appends the marks of a partition as a cursor.
func (m *replayMarks) record(b *record.Builder, group string, partition int32, now int64) {
	b.Append(now, cursorKey(replayID(group), strconv.Itoa(int(partition))), []byte(m.topicID+" "+m.of(partition).String()))
}

// newMarks makes marks of a topic, from cursors.
func (d *deadTopic) newMarks(cursors map[string][]byte) (*replayMarks, error) {
	m := &replayMarks{topicID: d.id, partitions: map[int32]*offsetSet{}}
	for name, value := range cursors {
		if err := m.take(name, value); err != nil {
			return nil, err
		}
	}
	for n, extent := range d.extents {
		m.of(int32(n)).add(0, extent.Start) // what is gone need not be remembered piece by piece
	}
	return m, nil
}

// peek reads the marks as they are committed now. They may move meanwhile.
func (d *deadTopic) peek(ctx context.Context, l *Log) (*replayMarks, error) {
	cursors := map[string][]byte{}
	err := ReadTopic(ctx, l, cursorsTopic(d.group), func(r Record) error {
		id, name, isCursor := strings.Cut(string(r.Key), "/")
		if isCursor && id == replayID(d.group) {
			cursors[name] = r.Value
		}
		return nil
	})
	if err != nil && !errors.Is(err, ErrUnknownTopic) {
		return nil, err
	}
	return d.newMarks(cursors)
}

// settledMarks reads the cursors that are marks of a group, once nobody else can
// move them: a producer of their id must have been made before.
func settledMarks(ctx context.Context, l *Log, group string) (map[string][]byte, error) {
	r, err := readCursors(ctx, l.keeper, record.Partition{Topic: cursorsTopic(group)}, replayID(group))
	if err != nil {
		return nil, err
	}
	defer r.reader.Close()
	for {
		progress, done, err := r.step()
		switch {
		case err != nil:
			return nil, err
		case done:
			return r.cursors, nil
		case progress:
			continue
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("read what was replayed, behind the open transactions %s: %w", r.holders(context.WithoutCancel(ctx), l.keeper), ctx.Err())
		case <-r.reader.Ready():
		}
	}
}

// forgetReplays removes the marks of a group. A replay that is under way fails.
func forgetReplays(ctx context.Context, l *Log, group string) (err error) {
	topics, err := l.keeper.Topics(ctx, cursorsTopic(group))
	if err != nil || len(topics) == 0 {
		return err
	}
	p, err := l.keeper.Producer(ctx, replayID(group))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	marks, err := settledMarks(ctx, l, group)
	if err != nil || len(marks) == 0 {
		return err
	}
	b := &record.Builder{}
	for _, name := range slices.Sorted(maps.Keys(marks)) {
		b.Append(time.Now().UnixMilli(), cursorKey(replayID(group), name), nil)
	}
	_, err = p.Commit(ctx, &log.Txn{Writes: []log.Write{{Partition: record.Partition{Topic: cursorsTopic(group)}, Records: b}}})
	return err
}

// An offsetSet is a set of offsets as ranges, in order, none touching another.
type offsetSet struct{ spans []span }

// A span of offsets, from included, to not.
type span struct{ from, to int64 }

// after is the first span that ends behind an offset.
func (s *offsetSet) after(offset int64) int {
	i, _ := slices.BinarySearchFunc(s.spans, offset, func(x span, o int64) int { return cmp.Compare(x.to, o+1) })
	return i
}

func (s *offsetSet) has(offset int64) bool {
	i := s.after(offset)
	return i < len(s.spans) && s.spans[i].from <= offset
}

// add adds the offsets from from to before to.
func (s *offsetSet) add(from, to int64) {
	if from >= to {
		return
	}
	first := s.after(from - 1) // also one that ends where this begins
	last := first
	for last < len(s.spans) && s.spans[last].from <= to {
		from, to = min(from, s.spans[last].from), max(to, s.spans[last].to)
		last++
	}
	s.spans = slices.Replace(s.spans, first, last, span{from, to})
}

// String writes the ranges with both ends included: "0-41 43-43".
func (s *offsetSet) String() string {
	var b []byte
	for i, x := range s.spans {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(strconv.AppendInt(b, x.from, 10), '-')
		b = strconv.AppendInt(b, x.to-1, 10)
	}
	return string(b)
}

// parseOffsets reads what String wrote, in any order.
func parseOffsets(text string) (*offsetSet, error) {
	s := &offsetSet{}
	for r := range strings.FieldsSeq(text) {
		first, last, _ := strings.Cut(r, "-")
		from, err1 := strconv.ParseUint(first, 10, 62)
		to, err2 := strconv.ParseUint(last, 10, 62)
		if err1 != nil || err2 != nil || from > to {
			return nil, fmt.Errorf("%.50q is no range of offsets", r)
		}
		s.add(int64(from), int64(to)+1)
	}
	return s, nil
}
