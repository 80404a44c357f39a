package stream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// CreateEmitterTopics creates what is missing of the topics of an emitter, as it
// would itself: the one it writes to and, if it has one, that of its cursors.
func CreateEmitterTopics(ctx context.Context, l *Log, topic string, o EmitterOptions) error {
	if err := o.prepare(); err != nil {
		return err
	}
	_, err := emitterTopics(ctx, l.keeper, topic, &o)
	return err
}

// emitterTopics makes sure that the topics of an emitter exist, and returns
// the number of partitions of the one it writes to.
func emitterTopics(ctx context.Context, l log.Log, topic string, o *EmitterOptions) (int32, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cleanup := log.Delete
	if o.Table {
		cleanup |= log.Compact
	}
	t, err := ensureTopic(ctx, l, o.NoCreate, log.Topic{
		Name: topic, Partitions: o.Partitions, ReplicationFactor: o.ReplicationFactor,
		Cleanup: cleanup, Retention: o.Retention,
	})
	if err != nil || o.Cursors == "" {
		return t.Partitions, err
	}
	cursors, err := ensureTopic(ctx, l, o.NoCreate, log.Topic{
		Name: o.Cursors, Partitions: 1, ReplicationFactor: o.ReplicationFactor, Cleanup: log.Compact,
	})
	if err != nil {
		return 0, err
	}
	if cursors.Partitions != 1 || cursors.Cleanup&log.Compact == 0 {
		return 0, fmt.Errorf("topic %s cannot hold cursors: it must be compacted and have one partition", o.Cursors)
	}
	return t.Partitions, nil
}

// ensureTopic returns a topic as it is, after creating it if it may and must.
func ensureTopic(ctx context.Context, l log.Log, noCreate bool, want log.Topic) (log.Topic, error) {
	there, err := l.Topics(ctx, want.Name)
	if err != nil {
		return log.Topic{}, fmt.Errorf("look up topic %s: %w", want.Name, err)
	}
	if len(there) == 1 {
		return there[0], nil
	}
	if noCreate {
		return log.Topic{}, fmt.Errorf("topic %s is missing and may not be created: %w", want.Name, log.ErrUnknownTopic)
	}
	want.MaxMessageBytes = maxMessageBytes
	if err := l.CreateTopic(ctx, want); err != nil && !errors.Is(err, log.ErrTopicExists) {
		return log.Topic{}, fmt.Errorf("create topic %s: %w", want.Name, err)
	}
	return awaitTopic(ctx, l, want.Name)
}

// awaitTopic returns a topic that exists: of one that somebody else has just
// created, not every broker knows yet.
func awaitTopic(ctx context.Context, l log.Log, name string) (log.Topic, error) {
	const pause, patience = 20 * time.Millisecond, 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		there, err := l.Topics(ctx, name)
		if err != nil {
			return log.Topic{}, fmt.Errorf("look up topic %s: %w", name, err)
		}
		if len(there) == 1 {
			return there[0], nil
		}
		select {
		case <-ctx.Done():
			return log.Topic{}, fmt.Errorf("topic %s was created and is not there: %w", name, log.ErrUnknownTopic)
		case <-time.After(pause):
		}
	}
}

// randomInstance makes a name that no emitter had before.
func randomInstance() string { return rand.Text() }
