// Package kafkalog keeps the log's contract on a real Kafka.
//
// It is the only package that knows sarama, and of sarama it uses the broker
// RPCs alone: its own transaction driver, membership and readers stand on
// them, because the contract promises more than sarama's clients do (outcomes
// that are in doubt are never sent again, positions are exact, members
// rebalance when asked to).
//
// # Connections
//
// A broker serves a connection in order: whoever may have to wait there has a
// connection of its own.
//
//	Log ─── cluster ─┬─ borrowed, one call at a time   metadata, offsets, topics
//	                 ├─ reader: one per leader         Fetch, waits for records
//	                 ├─ producer: to coordinator       transactions
//	                 │            and leaders
//	                 └─ member: two to coordinator     Heartbeat; Join, waits for the group
//
// The cluster remembers where leaders and coordinators are; whoever is told
// otherwise makes it forget, and asks again. Only idempotent calls and
// answered, retriable errors are sent again.
package kafkalog

import (
	"context"
	"fmt"
	"sync"

	"github.com/tagtide/tagtide/stream/internal/log"
)

var _ log.Log = (*Log)(nil)

// Log is a log on a Kafka cluster. See [log.Log].
type Log struct {
	o        Options
	cluster  *cluster
	troubles troubles

	// life ends when the log is closed.
	life context.Context
	end  context.CancelFunc

	mu     sync.Mutex
	closed bool
	// work counts the goroutines of readers, producers and members.
	// Invariant: nothing is added once closed.
	work sync.WaitGroup
}

// Open connects to a cluster. It fails with an error that says which broker
// answered what when none of the brokers is there, is a Kafka, or lets us in.
func Open(ctx context.Context, o Options) (*Log, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("kafka options: %w", err)
	}
	l := &Log{o: o, troubles: troubles{of: map[int32]trouble{}}}
	l.life, l.end = context.WithCancel(context.Background())
	l.cluster = newCluster(l.life, o)
	if err := l.cluster.open(ctx); err != nil {
		l.Close()
		return nil, fmt.Errorf("connect to kafka: %w", err)
	}
	return l, nil
}

// ID implements [log.Log].
func (l *Log) ID() string { return l.cluster.clusterID() }

// Markers implements [log.Log]: brokers write a control batch of one record.
func (l *Log) Markers() int64 { return 1 }

// Close implements [log.Log]. It waits for all goroutines of the log.
func (l *Log) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.end()
	l.work.Wait()
	l.cluster.close()
	return nil
}

// alive is nil until the log is closed.
func (l *Log) alive() error {
	if l.life.Err() != nil {
		return log.ErrClosed
	}
	return nil
}

// start runs f and then done in a goroutine that Close waits for; only done if
// the log is closed. f ends soon after the log's life does.
func (l *Log) start(f, done func()) {
	l.mu.Lock()
	open := !l.closed
	if open {
		l.work.Go(func() {
			defer done()
			f()
		})
	}
	l.mu.Unlock()
	if !open {
		done()
	}
}
