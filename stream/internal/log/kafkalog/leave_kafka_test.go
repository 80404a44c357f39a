//go:build kafka

package kafkalog

import (
	"testing"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// A Kafka's group waits for a member that it has named, for as long as its
// session; a member that leaves meanwhile spares it that.
func TestLeavingWhileKafkaNamesLeavesNothing(t *testing.T) {
	brokers := realKafka(t)
	group := freshPrefix() + "g"
	stays := joinOf(t, open(t, Options{Brokers: brokers}), group, log.JoinOptions{SessionTimeout: long})
	first := claims(t, stays, "held", held)
	leaveWhileNamed(t, brokers, group)
	stays.Rejoin(nil)
	claims(t, stays, "after it", newer(first))
	if err := stays.Leave(t.Context()); err != nil {
		t.Error(err)
	}
}
