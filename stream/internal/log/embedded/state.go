package embedded

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// A topic, with all its partitions. All fields are under the log's mutex but
// id, which never changes. Of row nothing does but the number of partitions,
// which grows.
type topic struct {
	id         uint32
	row        topicRow
	partitions []*partition
}

func newTopic(id uint32, row topicRow) *topic {
	t := &topic{id: id, row: row}
	t.partitions = t.upTo(row.Partitions)
	return t
}

// upTo makes the partitions that the topic lacks to have n.
func (t *topic) upTo(n int32) (lacking []*partition) {
	for number := int32(len(t.partitions)); number < n; number++ {
		lacking = append(lacking, &partition{topic: t, number: number})
	}
	return lacking
}

func (t *topic) describe() log.Topic {
	return log.Topic{
		Name: t.row.Name, ID: strconv.FormatUint(uint64(t.id), 10), Partitions: t.row.Partitions,
		Cleanup: t.row.Cleanup, Retention: t.row.Retention,
		MinDirtyRatio: t.row.MinDirtyRatio, DeleteRetention: t.row.DeleteRetention,
	}
}

// A partition. Fields below topic and number are under the log's mutex.
type partition struct {
	topic  *topic
	number int32

	// extent, but for start and clean, knows of writes in flight.
	extent
	// cut: batches with a base before it were purged since the log was opened.
	cut int64
	// holds are the bases of what is not decided yet: in flight, or written by
	// an open transaction. Invariant: they rise.
	holds []int64
	// readers that read it, and their positions.
	readers map[*reader]int64
}

func (p *partition) place() place { return place{p.topic.id, p.number} }

func (p *partition) name() record.Partition {
	return record.Partition{Topic: p.topic.row.Name, Number: p.number}
}

// stable is where committed reading ends.
func (p *partition) stable() int64 {
	if len(p.holds) > 0 {
		return p.holds[0]
	}
	return p.next
}

func (p *partition) bounds() log.Range {
	return log.Range{Start: p.start, Stable: p.stable(), End: p.next}
}

// hold keeps readers from what is written from base on. Transactions that were
// open when the log was closed come back in any order.
func (p *partition) hold(base int64) {
	i, _ := slices.BinarySearch(p.holds, base)
	p.holds = slices.Insert(p.holds, i, base)
}

// release ends one hold.
func (p *partition) release(base int64) {
	if i := slices.Index(p.holds, base); i >= 0 {
		p.holds = slices.Delete(p.holds, i, i+1)
	}
}

// watchers are the Ready channels of its readers.
func (p *partition) watchers() []chan struct{} {
	var ready []chan struct{}
	for r := range p.readers {
		ready = append(ready, r.ready)
	}
	return ready
}

// A group. All fields are under the log's mutex.
type group struct {
	name       string
	generation int32
	positions  map[place]int64
	// unstable counts the undecided transactions with a position there.
	unstable map[place]int
	members  map[string]*member // by member id
	joined   int64              // members that ever joined, for their ids
	// preparing: a rebalance has begun and waits for members to come along.
	preparing bool
}

func newGroup(name string) *group {
	return &group{name: name, positions: map[place]int64{}, unstable: map[place]int{}, members: map[string]*member{}}
}

// groupFor returns a group, made if need be. l.mu is held.
func (l *Log) groupFor(name string) *group {
	g := l.groups[name]
	if g == nil {
		g = newGroup(name)
		l.groups[name] = g
	}
	return g
}

// sortedTopics are the topics in the order of their creation. l.mu is held.
func (l *Log) sortedTopics() []*topic {
	return slices.SortedFunc(maps.Values(l.topics), func(a, b *topic) int { return cmp.Compare(a.id, b.id) })
}

// The defaults of topics.
const (
	defaultDirtyRatio      = 0.5
	defaultDeleteRetention = 24 * time.Hour
)
