package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/task"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// A DeadLetter is a record that a group could not handle.
type DeadLetter struct {
	// Topic, Partition and Offset are where the record lies, or lay. Topic is ""
	// if this is not a dead letter of the engine's: anybody can write there.
	Topic     string
	Partition int32
	Offset    int64
	Timestamp time.Time // the record's
	Error     string    // what is wrong with it
	// Dropped names what was left out, since it would have been too large:
	// value, headers, key. Such a letter cannot be replayed.
	Dropped []string

	// The record.
	Key, Value []byte
	Headers    []Header

	// Letter is where the dead letter lies.
	Letter Place
	// Replayed: it was sent back, by a [Replay].
	Replayed bool
}

// A Place in a topic.
type Place struct {
	Partition int32
	Offset    int64
}

// Size is how many bytes the record has.
func (d *DeadLetter) Size() int {
	n := len(d.Key) + len(d.Value)
	for _, h := range d.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}

// ReadDeadLetters hands the dead letters of a group to f, in the order in which
// they were written, up to the end that there is at the call. The bytes may be
// kept. If the group has no such topic the error wraps [ErrUnknownTopic].
func ReadDeadLetters(ctx context.Context, l *Log, g *GroupGraph, f func(DeadLetter) error) error {
	dead, err := findDead(ctx, l, g)
	if err != nil {
		return err
	}
	marks, err := dead.peek(ctx, l)
	if err != nil {
		return err
	}
	return dead.read(ctx, l, func(d DeadLetter) error {
		d.Replayed = marks.of(d.Letter.Partition).has(d.Letter.Offset)
		return f(d)
	})
}

// Replayed counts the dead letters of a group's inputs that were sent back: so
// many of the records there are copies of others.
func Replayed(ctx context.Context, l *Log, g *GroupGraph) (n int64, err error) {
	inputs := g.Inputs()
	err = ReadDeadLetters(ctx, l, g, func(d DeadLetter) error {
		if d.Replayed && slices.Contains(inputs, d.Topic) {
			n++
		}
		return nil
	})
	if errors.Is(err, ErrUnknownTopic) {
		return 0, nil
	}
	return n, err
}

// deadTopic is the topic of a group's dead letters, as it was found.
type deadTopic struct {
	group   string
	topic   string
	id      string // tells the topic from others of its name, "" where there are no ids
	extents []PartitionInfo
}

func findDead(ctx context.Context, l *Log, g *GroupGraph) (*deadTopic, error) {
	d := &deadTopic{group: g.Group(), topic: topology.DeadTopic(g.Group())}
	infos, err := DescribeTopics(ctx, l, d.topic)
	if err != nil {
		return nil, fmt.Errorf("dead letters of group %s: %w", d.group, err)
	}
	d.extents = infos[0].Partitions
	topics, err := l.keeper.Topics(ctx, d.topic)
	if err != nil || len(topics) == 0 {
		return nil, fmt.Errorf("describe %s: %w", d.topic, err)
	}
	d.id = topics[0].ID
	return d, nil
}

// read hands over the letters there were when the topic was found.
func (d *deadTopic) read(ctx context.Context, l *Log, f func(DeadLetter) error) error {
	for n, extent := range d.extents {
		p := record.Partition{Topic: d.topic, Number: int32(n)}
		if err := readPartition(ctx, l, p, extent, func(r Record) error { return f(deadLetter(&r)) }); err != nil {
			return fmt.Errorf("read %s partition %d: %w", d.topic, n, err)
		}
	}
	return nil
}

// deadLetter takes a record of a dead-letter topic apart.
func deadLetter(r *Record) DeadLetter {
	d := DeadLetter{Timestamp: r.Timestamp, Key: r.Key, Value: r.Value, Headers: r.Headers, Letter: Place{r.Partition, r.Offset}}
	about, own, err := ourHeaders(r.Headers)
	if err != nil {
		d.Error = fmt.Sprintf("no dead letter of the engine's: %v", err)
		return d
	}
	d.Topic, d.Partition, d.Offset, d.Error = about.topic, about.partition, about.offset, about.text
	d.Dropped, d.Headers, d.Timestamp = about.dropped, own, time.UnixMilli(about.timestamp)
	return d
}

// letterHeaders are what the engine says in a dead letter.
type letterHeaders struct {
	topic     string
	partition int32
	offset    int64
	text      string // of the error
	dropped   []string
	timestamp int64
}

// ourHeaders parts the engine's headers of a dead letter from the record's own,
// which follow them and may have the same keys.
func ourHeaders(headers []Header) (about letterHeaders, own []Header, err error) {
	own = headers
	next := func(key string) string {
		switch {
		case err != nil:
		case len(own) == 0 || own[0].Key != key:
			err = fmt.Errorf("it lacks the header %s in its place", key)
		default:
			value := string(own[0].Value)
			own = own[1:]
			return value
		}
		return ""
	}
	number := func(key string, bits int) int64 {
		text := next(key)
		n, wrong := strconv.ParseInt(text, 10, bits)
		if err == nil && (wrong != nil || n < 0 && key != task.HeaderTimestamp) {
			err = fmt.Errorf("its header %s is %.100q", key, text)
		}
		return n
	}
	if about.topic = next(task.HeaderTopic); about.topic == "" && err == nil {
		err = errors.New("it names no topic")
	}
	about.partition = int32(number(task.HeaderPartition, 32))
	about.offset = number(task.HeaderOffset, 64)
	about.text = next(task.HeaderError)
	for err == nil && len(own) > 0 && own[0].Key == task.HeaderDropped {
		about.dropped = append(about.dropped, next(task.HeaderDropped))
	}
	about.timestamp = number(task.HeaderTimestamp, 64)
	return about, own, err
}
