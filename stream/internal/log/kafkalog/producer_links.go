package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// A role is what a producer has a connection to a broker for. A broker in two
// roles is connected to twice: none waits for the other.
type role struct {
	job    job
	broker int32
}

type job uint8

const (
	transactions job = iota // coordinator of the transactional id
	positions               // coordinator of the group
	records                 // leader of partitions
)

// links are a producer's connections, opened when they are needed first. One
// goroutine uses each role at a time; close may be called from any.
type links struct {
	cluster *cluster

	mu     sync.Mutex
	open   map[role]*link
	closed bool
}

type link struct {
	*conn
	used time.Time // last; guarded by links.mu
}

// stale is how long a connection may have been idle: brokers close those that
// were idle for long (10 minutes, unless told otherwise), and a request on
// such a one would be in doubt.
const stale = time.Minute

func newLinks(c *cluster) *links { return &links{cluster: c, open: map[role]*link{}} }

// to returns the connection for a role.
func (l *links) to(ctx context.Context, at role) (*conn, error) {
	if x := l.fresh(at); x != nil {
		return x, nil
	}
	x, err := l.cluster.connect(ctx, at.broker)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	closed := l.closed
	if !closed {
		l.open[at] = &link{conn: x, used: time.Now()}
	}
	l.mu.Unlock()
	if closed {
		_ = x.Close()
		return nil, log.ErrClosed
	}
	return x, nil
}

// fresh returns the connection that is there, unless it was idle for too long.
func (l *links) fresh(at role) *conn {
	l.mu.Lock()
	x := l.open[at]
	if x != nil && time.Since(x.used) < stale {
		x.used = time.Now()
		l.mu.Unlock()
		return x.conn
	}
	delete(l.open, at)
	l.mu.Unlock()
	if x != nil {
		_ = x.Close()
	}
	return nil
}

// drop closes a connection that is of no use any more.
func (l *links) drop(at role, x *conn) {
	l.mu.Lock()
	if l.open[at] != nil && l.open[at].conn == x {
		delete(l.open, at)
	}
	l.mu.Unlock()
	_ = x.Close()
}

// close closes all, also under whoever waits on one.
func (l *links) close() {
	l.mu.Lock()
	open := l.open
	l.open, l.closed = map[role]*link{}, true
	l.mu.Unlock()
	for _, x := range open {
		_ = x.Close()
	}
}

// call makes a call whose effect counts. Its error is what the call returned
// as the broker's answer; or says that it was never sent, which is
// log.ErrUnavailable where trying again may help; or is log.ErrInDoubt.
func (l *links) call(ctx context.Context, at role, rpc func(*sarama.Broker) error) error {
	x, err := l.to(ctx, at)
	if err != nil {
		return &unsent{err}
	}
	stop := x.during(ctx)
	err = rpc(x.Broker)
	if stop() && answered(err) {
		return err
	}
	l.drop(at, x)
	return outcome(err)
}

// outcome says what an error of a call means.
func outcome(err error) error {
	var wrong sarama.PacketEncodingError
	switch {
	case answered(err):
		return err
	case errors.As(err, &wrong):
		return &unsent{err}
	}
	return fmt.Errorf("%w: connection lost before the answer: %w", log.ErrInDoubt, err)
}

// An unsent error: the request has not left.
type unsent struct{ err error }

// Error implements error.
func (e *unsent) Error() string { return e.err.Error() }

// Unwrap returns why.
func (e *unsent) Unwrap() error { return e.err }

// answer is a broker's answer as an error.
func answer(k sarama.KError) error {
	if k == sarama.ErrNoError {
		return nil
	}
	return k
}
