package kafkalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// The settings of topics that the contract knows.
const (
	cleanupPolicy   = "cleanup.policy"
	retentionMS     = "retention.ms"
	segmentBytes    = "segment.bytes"
	minDirtyRatio   = "min.cleanable.dirty.ratio"
	deleteRetention = "delete.retention.ms"
	timestampType   = "message.timestamp.type"
	maxMessageBytes = "max.message.bytes"
	timestampAfter  = "message.timestamp.after.max.ms" // Kafka 3.6 and later; 1 h from 4.0 on
)

// Topics implements [log.Log]. The cluster's own topics are left out.
func (l *Log) Topics(ctx context.Context, names ...string) (topics []log.Topic, err error) {
	err = l.cluster.retry(ctx, func(ctx context.Context) error {
		topics, err = l.cluster.describe(ctx, names)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("describe topics: %w", err)
	}
	return topics, nil
}

func (c *cluster) describe(ctx context.Context, names []string) (topics []log.Topic, err error) {
	found, err := c.metadata(ctx, names...)
	if err != nil {
		return nil, err
	}
	for _, t := range found {
		if t.IsInternal && len(names) == 0 {
			continue
		}
		topic := log.Topic{Name: t.Name, ID: idOf(t), Partitions: int32(len(t.Partitions))}
		if len(t.Partitions) > 0 {
			topic.ReplicationFactor = int16(len(t.Partitions[0].Replicas))
		}
		topics = append(topics, topic)
	}
	slices.SortFunc(topics, func(a, b log.Topic) int { return cmp.Compare(a.Name, b.Name) })
	return c.settings(ctx, topics)
}

// idOf is a topic's id, or "" where brokers are too old to have any.
func idOf(t *sarama.TopicMetadata) string {
	if t.Uuid == (sarama.Uuid{}) {
		return ""
	}
	return t.Uuid.String()
}

// settings fills in how topics are set up, and drops those that were deleted meanwhile.
func (c *cluster) settings(ctx context.Context, topics []log.Topic) ([]log.Topic, error) {
	if len(topics) == 0 {
		return nil, nil
	}
	req := &sarama.DescribeConfigsRequest{Version: 4}
	for _, t := range topics {
		req.Resources = append(req.Resources, &sarama.ConfigResource{
			Type: sarama.TopicResource, Name: t.Name,
			ConfigNames: []string{cleanupPolicy, retentionMS, segmentBytes, minDirtyRatio, deleteRetention},
		})
	}
	var res *sarama.DescribeConfigsResponse
	err := c.anywhere(ctx, func(b *sarama.Broker) (err error) {
		res, err = b.DescribeConfigs(req)
		return err
	})
	if err != nil {
		return nil, err
	}
	byName := map[string]*sarama.ResourceResponse{}
	for _, r := range res.Resources {
		byName[r.Name] = r
	}
	kept := topics[:0]
	for _, t := range topics {
		r := byName[t.Name]
		if r == nil || sarama.KError(r.ErrorCode) == sarama.ErrUnknownTopicOrPartition {
			continue
		}
		if err := classify(sarama.KError(r.ErrorCode)); err != nil {
			return nil, fmt.Errorf("settings of topic %s: %w", t.Name, err)
		}
		set(&t, r.Configs)
		kept = append(kept, t)
	}
	return kept, nil
}

// set takes over what a broker says of a topic's settings. What does not
// parse is not set: brokers check their settings.
func set(t *log.Topic, entries []*sarama.ConfigEntry) {
	var retention time.Duration
	for _, e := range entries {
		n, _ := strconv.ParseInt(e.Value, 10, 64)
		switch e.Name {
		case cleanupPolicy:
			if strings.Contains(e.Value, "delete") {
				t.Cleanup |= log.Delete
			}
			if strings.Contains(e.Value, "compact") {
				t.Cleanup |= log.Compact
			}
		case retentionMS:
			retention = max(0, milliseconds(n))
		case segmentBytes:
			t.SegmentBytes = n
		case minDirtyRatio:
			t.MinDirtyRatio, _ = strconv.ParseFloat(e.Value, 64)
		case deleteRetention:
			t.DeleteRetention = milliseconds(n)
		}
	}
	if t.Cleanup&log.Delete != 0 {
		t.Retention = retention
	}
}

// milliseconds are a duration, or the longest there is.
func milliseconds(n int64) time.Duration {
	const most = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(min(n, most)) * time.Millisecond
}

// settingsOf are the settings a topic is created with. What is zero is left
// to the brokers.
func settingsOf(t log.Topic) map[string]*string {
	s := map[string]*string{}
	put := func(name, value string) { s[name] = &value }
	put(timestampType, "CreateTime")
	switch t.Cleanup {
	case log.Delete:
		put(cleanupPolicy, "delete")
	case log.Compact:
		put(cleanupPolicy, "compact")
	case log.Delete | log.Compact:
		put(cleanupPolicy, "compact,delete")
	}
	switch {
	case t.Retention > 0:
		put(retentionMS, strconv.FormatInt(t.Retention.Milliseconds(), 10))
	case t.Cleanup&log.Delete != 0:
		put(retentionMS, "-1")
	}
	if t.SegmentBytes > 0 {
		put(segmentBytes, strconv.FormatInt(t.SegmentBytes, 10))
	}
	if t.MaxMessageBytes > 0 {
		put(maxMessageBytes, strconv.Itoa(t.MaxMessageBytes))
	}
	if t.AnyTime {
		put(timestampAfter, strconv.FormatInt(math.MaxInt64, 10))
	}
	if t.MinDirtyRatio > 0 {
		put(minDirtyRatio, strconv.FormatFloat(t.MinDirtyRatio, 'g', -1, 64))
	}
	if t.DeleteRetention > 0 {
		put(deleteRetention, strconv.FormatInt(t.DeleteRetention.Milliseconds(), 10))
	}
	return s
}

// CreateTopic implements [log.Log]. It returns when every broker that is there
// knows the topic and its leaders, so that whoever is asked next does.
func (l *Log) CreateTopic(ctx context.Context, t log.Topic) error {
	detail := &sarama.TopicDetail{
		NumPartitions: t.Partitions, ReplicationFactor: t.ReplicationFactor, ConfigEntries: settingsOf(t),
	}
	if detail.NumPartitions == 0 {
		detail.NumPartitions = -1
	}
	if detail.ReplicationFactor == 0 {
		detail.ReplicationFactor = -1
	}
	err := l.cluster.retry(ctx, func(ctx context.Context) error {
		return l.cluster.onController(ctx, func(b *sarama.Broker) error {
			err := l.cluster.create(b, t.Name, detail)
			if _, set := detail.ConfigEntries[timestampAfter]; set && errors.Is(err, sarama.ErrInvalidConfig) {
				delete(detail.ConfigEntries, timestampAfter) // an older broker, which takes any time
				err = l.cluster.create(b, t.Name, detail)
			}
			return err
		})
	})
	if err == nil {
		err = l.cluster.settled(ctx, t.Name, func(m *sarama.TopicMetadata) bool { return m != nil && led(m) })
	}
	if err != nil {
		return fmt.Errorf("create topic %s with %d partitions: %w", t.Name, t.Partitions, err)
	}
	return nil
}

// create makes the call to the controller.
func (c *cluster) create(b *sarama.Broker, name string, detail *sarama.TopicDetail) error {
	details := map[string]*sarama.TopicDetail{name: detail}
	r, err := b.CreateTopics(sarama.NewCreateTopicsRequest(c.conf.Version, details, c.o.Timeout, false))
	if err != nil {
		return err
	}
	e := r.TopicErrors[name]
	if e == nil {
		return errors.New("the broker answered for other topics")
	}
	if e.Err == sarama.ErrInvalidTopic {
		return e // a name that cannot be, not a topic that is not
	}
	return explained(e.Err, e.ErrMsg)
}

// explained is classify, with what else the broker said.
func explained(code sarama.KError, said *string) error {
	err := classify(code)
	if err != nil && said != nil && *said != "" {
		err = fmt.Errorf("%w: %s", err, *said)
	}
	return err
}

// Partitions implements [log.Log].
func (l *Log) Partitions(ctx context.Context, names ...string) (counts map[string]int32, err error) {
	counts = make(map[string]int32, len(names))
	if len(names) == 0 {
		return counts, nil // a broker would tell of all topics
	}
	err = l.cluster.retry(ctx, func(ctx context.Context) error {
		found, err := l.cluster.metadata(ctx, names...)
		for _, t := range found {
			counts[t.Name] = int32(len(t.Partitions))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count partitions: %w", err)
	}
	return counts, nil
}

// AddPartitions implements [log.Log]. It returns when every broker that is
// there knows the partitions and their leaders.
func (l *Log) AddPartitions(ctx context.Context, name string, n int32) error {
	enough := func(m *sarama.TopicMetadata) bool { return m != nil && int32(len(m.Partitions)) >= n && led(m) }
	err := l.cluster.retry(ctx, func(ctx context.Context) error {
		found, err := l.cluster.metadata(ctx, name)
		switch {
		case err != nil:
			return err
		case len(found) == 0:
			return log.ErrUnknownTopic
		case int32(len(found[0].Partitions)) >= n:
			return nil // also when an answer was lost, or somebody else was faster
		}
		return l.cluster.onController(ctx, func(b *sarama.Broker) error { return l.cluster.grow(b, name, n) })
	})
	if err == nil {
		err = l.cluster.settled(ctx, name, enough)
	}
	if err != nil {
		return fmt.Errorf("add partitions to topic %s, so that it has %d: %w", name, n, err)
	}
	return nil
}

// grow makes the call to the controller.
func (c *cluster) grow(b *sarama.Broker, name string, n int32) error {
	r, err := b.CreatePartitions(&sarama.CreatePartitionsRequest{
		Version: 3, TopicPartitions: map[string]*sarama.TopicPartition{name: {Count: n}}, Timeout: c.o.Timeout,
	})
	if err != nil {
		return err
	}
	e := r.TopicPartitionErrors[name]
	if e == nil {
		return errors.New("the broker answered for other topics")
	}
	if e.Err == sarama.ErrInvalidPartitions {
		// It has as many: whom we asked before did not know yet. The next try looks again.
		return fmt.Errorf("%w: %w", log.ErrUnavailable, e)
	}
	return explained(e.Err, e.ErrMsg)
}

// led tells whether all partitions of a topic have leaders.
func led(m *sarama.TopicMetadata) bool {
	return !slices.ContainsFunc(m.Partitions, func(p *sarama.PartitionMetadata) bool { return p.Leader < 0 })
}

// DeleteTopic implements [log.Log]. It returns when no broker knows the topic
// any more.
func (l *Log) DeleteTopic(ctx context.Context, name string) error {
	found, err := l.Topics(ctx, name)
	if err == nil && len(found) == 0 {
		err = log.ErrUnknownTopic
	}
	if err == nil {
		err = l.cluster.retry(ctx, func(ctx context.Context) error {
			return l.cluster.onController(ctx, func(b *sarama.Broker) error { return l.cluster.delete(b, name) })
		})
	}
	if err == nil {
		err = l.cluster.settled(ctx, name, func(m *sarama.TopicMetadata) bool { return m == nil })
	}
	if err != nil {
		return fmt.Errorf("delete topic %s: %w", name, err)
	}
	for n := range found[0].Partitions {
		l.cluster.moved(record.Partition{Topic: name, Number: n})
	}
	return l.forgetPositions(ctx, found[0])
}

// delete makes the call to the controller.
func (c *cluster) delete(b *sarama.Broker, name string) error {
	r, err := b.DeleteTopics(sarama.NewDeleteTopicsRequest(c.conf.Version, []string{name}, c.o.Timeout))
	if err != nil {
		return err
	}
	if code := r.TopicErrorCodes[name]; code != sarama.ErrUnknownTopicOrPartition {
		return classify(code)
	}
	return nil // it was there: an earlier try got through
}

// onController makes a call to the controller, or to the broker that speaks for it.
func (c *cluster) onController(ctx context.Context, call func(*sarama.Broker) error) error {
	c.mu.Lock()
	controller := c.controller
	c.mu.Unlock()
	err := c.on(ctx, controller, call)
	if retriable(err) {
		// Another one may be the controller now.
		if _, err := c.metadata(ctx); err != nil {
			return err
		}
	}
	return err
}

// settled waits until every broker that is there shows a topic as it should
// be; nil is a topic that is not. A broker that goes away meanwhile learns of
// it before it comes back.
func (c *cluster) settled(ctx context.Context, name string, so func(*sarama.TopicMetadata) bool) error {
	return c.retry(ctx, func(ctx context.Context) error {
		if _, err := c.metadata(ctx, name); err != nil {
			return err
		}
		for _, id := range c.brokers() {
			err := c.on(ctx, id, func(b *sarama.Broker) error {
				found, err := c.metadataOf(b, []string{name})
				if err == nil && !so(first(found)) {
					err = fmt.Errorf("broker %d does not show it yet: %w", id, classify(sarama.ErrLeaderNotAvailable))
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// first is the first topic, or nil.
func first(topics []*sarama.TopicMetadata) *sarama.TopicMetadata {
	if len(topics) == 0 {
		return nil
	}
	return topics[0]
}
