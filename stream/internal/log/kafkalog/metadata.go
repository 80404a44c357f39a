package kafkalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// metadata asks any broker for topics, all of them if none is named, and
// remembers what it says of brokers and leaders. Topics that do not exist are
// left out.
func (c *cluster) metadata(ctx context.Context, topics ...string) (found []*sarama.TopicMetadata, err error) {
	err = c.anywhere(ctx, func(b *sarama.Broker) error {
		found, err = c.metadataOf(b, topics)
		return err
	})
	return found, err
}

// metadataOf asks one broker.
func (c *cluster) metadataOf(b *sarama.Broker, topics []string) ([]*sarama.TopicMetadata, error) {
	all, err := c.ask(b, topics)
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(all, func(t *sarama.TopicMetadata) bool { return unknown(t.Err) })
	for _, t := range found {
		if err := topicError(t); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func unknown(err sarama.KError) bool {
	return err == sarama.ErrUnknownTopicOrPartition || err == sarama.ErrInvalidTopic
}

// topicError is what a broker has against a whole topic.
func topicError(t *sarama.TopicMetadata) error {
	if t.Err == sarama.ErrNoError || t.Err == sarama.ErrLeaderNotAvailable {
		return nil // which partitions lack a leader is said of each
	}
	return fmt.Errorf("topic %s: %w", t.Name, classify(t.Err))
}

// ask makes the call to a broker, and remembers what it says. Topics come with
// their errors.
func (c *cluster) ask(b *sarama.Broker, topics []string) ([]*sarama.TopicMetadata, error) {
	r, err := b.GetMetadata(sarama.NewMetadataRequest(c.conf.Version, topics))
	if err != nil {
		return nil, err
	}
	c.remember(r)
	return r.Topics, nil
}

// remember takes over what metadata says.
func (c *cluster) remember(r *sarama.MetadataResponse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.ClusterID != nil && c.id == "" {
		c.id = *r.ClusterID
	}
	c.controller = r.ControllerID
	if len(r.Brokers) > 0 {
		clear(c.addrs)
	}
	for _, b := range r.Brokers {
		c.addrs[b.ID()] = b.Addr()
	}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			at := record.Partition{Topic: t.Name, Number: p.ID}
			if p.Leader >= 0 {
				c.leaders[at] = leadership{p.Leader, epochOf(p)}
			} else {
				delete(c.leaders, at)
			}
		}
	}
}

// epochOf is the epoch of a partition's leader, or -1 where brokers are too old to say.
func epochOf(p *sarama.PartitionMetadata) int32 {
	if p.Version < 7 {
		return -1
	}
	return p.LeaderEpoch
}

// leaderIn finds a partition's leader.
func leaderIn(topics []*sarama.TopicMetadata, p record.Partition) (leadership, error) {
	for _, t := range topics {
		if t.Name != p.Topic {
			continue
		}
		i := slices.IndexFunc(t.Partitions, func(m *sarama.PartitionMetadata) bool { return m.ID == p.Number })
		if i < 0 {
			return leadership{}, fmt.Errorf("%w: the topic has %d partitions", log.ErrUnknownTopic, len(t.Partitions))
		}
		if m := t.Partitions[i]; m.Leader >= 0 {
			return leadership{m.Leader, epochOf(m)}, nil
		}
		return leadership{}, classify(sarama.ErrLeaderNotAvailable)
	}
	return leadership{}, log.ErrUnknownTopic
}
