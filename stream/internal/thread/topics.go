package thread

import (
	"sync/atomic"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// Topics are those of a group, as last described. While threads run they may
// get more partitions, never fewer. Safe for concurrent use.
type Topics struct {
	all atomic.Pointer[map[string]log.Topic]
}

// NewTopics returns topics, by name. It keeps the map.
func NewTopics(all map[string]log.Topic) *Topics {
	t := &Topics{}
	t.Set(all)
	return t
}

// Set takes over how the topics are now. It keeps the map.
func (t *Topics) Set(all map[string]log.Topic) { t.all.Store(&all) }

// All returns the topics by name, not to be changed.
func (t *Topics) All() map[string]log.Topic { return *t.all.Load() }

// Get returns a topic.
func (t *Topics) Get(name string) log.Topic { return t.All()[name] }
