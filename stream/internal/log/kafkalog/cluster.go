package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// The coordinators there are.
const (
	groupCoordinator       = sarama.CoordinatorGroup
	transactionCoordinator = sarama.CoordinatorTransaction
)

// A coordinated is what has a coordinator: a group, or a transactional id.
type coordinated struct {
	kind sarama.CoordinatorType
	key  string
}

// A leadership is who leads a partition, and since when (as brokers count).
type leadership struct {
	broker, epoch int32
}

// A cluster remembers who is where, and holds the connections that calls
// borrow. What it remembers may be stale: whoever finds out calls moved or
// coordinatorMoved. All methods are safe for concurrent use.
type cluster struct {
	o    Options
	conf *sarama.Config
	life context.Context // ends with the log

	mu           sync.Mutex
	id           string
	controller   int32
	addrs        map[int32]string // brokers, by id
	leaders      map[record.Partition]leadership
	coordinators map[coordinated]int32
	// idle connections that calls may borrow, by address.
	// Invariant: at most maxIdle each, and none once closed.
	idle   map[string][]*conn
	closed bool
}

const maxIdle = 2

func newCluster(life context.Context, o Options) *cluster {
	return &cluster{
		o: o, conf: o.saramaConfig(), life: life, controller: -1,
		addrs: map[int32]string{}, leaders: map[record.Partition]leadership{},
		coordinators: map[coordinated]int32{}, idle: map[string][]*conn{},
	}
}

// open learns the cluster's id and brokers. It does not wait for brokers that
// are not there: that would hide a wrong address.
func (c *cluster) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	_, err := c.metadata(ctx)
	return err
}

// close closes the idle connections, and lets no more become idle.
func (c *cluster) close() {
	c.mu.Lock()
	idle := c.idle
	c.idle, c.closed = nil, true
	c.mu.Unlock()
	for _, conns := range idle {
		for _, x := range conns {
			_ = x.Close()
		}
	}
}

func (c *cluster) clusterID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.id
}

// leader is the broker that leads a partition. It waits for a leader while
// there is none; log.ErrUnknownTopic when there is no such partition.
func (c *cluster) leader(ctx context.Context, p record.Partition) (brokerID int32, err error) {
	l, err := c.leadership(ctx, p)
	return l.broker, err
}

// believed is how many answers it takes to believe that a partition is not
// there: one broker may not know yet.
const believed = 3

func (c *cluster) leadership(ctx context.Context, p record.Partition) (found leadership, err error) {
	unknown := 0
	err = c.retry(ctx, func(ctx context.Context) error {
		c.mu.Lock()
		l, ok := c.leaders[p]
		c.mu.Unlock()
		if found = l; ok {
			return nil
		}
		topics, err := c.metadata(ctx, p.Topic)
		if err == nil {
			found, err = leaderIn(topics, p)
		}
		if unknown++; errors.Is(err, log.ErrUnknownTopic) && unknown < believed {
			return fmt.Errorf("%w: %s", log.ErrUnavailable, err.Error())
		}
		return err
	})
	if err != nil {
		return found, fmt.Errorf("leader of %s/%d: %w", p.Topic, p.Number, err)
	}
	return found, nil
}

// moved forgets who leads a partition.
func (c *cluster) moved(p record.Partition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.leaders, p)
}

// coordinator is the broker that coordinates a group or a transactional id.
// It waits for one while there is none.
func (c *cluster) coordinator(ctx context.Context, kind sarama.CoordinatorType, key string) (brokerID int32, err error) {
	at := coordinated{kind, key}
	err = c.retry(ctx, func(ctx context.Context) error {
		c.mu.Lock()
		id, ok := c.coordinators[at]
		c.mu.Unlock()
		if brokerID = id; ok {
			return nil
		}
		brokerID, err = c.findCoordinator(ctx, at)
		return err
	})
	if err != nil {
		what := "group"
		if kind == transactionCoordinator {
			what = "transactional id"
		}
		return brokerID, fmt.Errorf("coordinator of %s %s: %w", what, key, err)
	}
	return brokerID, nil
}

// coordinatorMoved forgets who coordinates.
func (c *cluster) coordinatorMoved(kind sarama.CoordinatorType, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.coordinators, coordinated{kind, key})
}

func (c *cluster) findCoordinator(ctx context.Context, at coordinated) (int32, error) {
	var found int32
	err := c.anywhere(ctx, func(b *sarama.Broker) error {
		r, err := b.FindCoordinator(&sarama.FindCoordinatorRequest{Version: 3, CoordinatorKey: at.key, CoordinatorType: at.kind})
		if err != nil {
			return err
		}
		if err := classify(r.Err); err != nil {
			return err
		}
		if r.Coordinator == nil {
			return classify(sarama.ErrConsumerCoordinatorNotAvailable)
		}
		found = r.Coordinator.ID()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.addrs[found] = r.Coordinator.Addr()
		c.coordinators[at] = found
		return nil
	})
	return found, err
}

// connect opens a connection of the caller's own to a broker. ctx bounds the
// opening only. The caller closes it, and may kill it under a pending call.
func (c *cluster) connect(ctx context.Context, brokerID int32) (*conn, error) {
	addr, err := c.addr(ctx, brokerID)
	if err != nil {
		return nil, err
	}
	return c.dial(ctx, addr)
}

// addr is where a broker is. Brokers that are down are not listed.
func (c *cluster) addr(ctx context.Context, brokerID int32) (string, error) {
	if addr, ok := c.known(brokerID); ok {
		return addr, nil
	}
	if _, err := c.metadata(ctx); err != nil {
		return "", err
	}
	if addr, ok := c.known(brokerID); ok {
		return addr, nil
	}
	return "", fmt.Errorf("%w: broker %d is not there", log.ErrUnavailable, brokerID)
}

func (c *cluster) known(brokerID int32) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	addr, ok := c.addrs[brokerID]
	return addr, ok
}

// brokers are the ids of all brokers that are there.
func (c *cluster) brokers() []int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.addrs))
}

// on makes a call to one broker, over a connection that nobody else uses
// meanwhile. An error that is not the call's own answer, but of the
// connection, is log.ErrUnavailable: whether the call arrived is not known,
// so only idempotent calls are made in this way.
func (c *cluster) on(ctx context.Context, brokerID int32, call func(*sarama.Broker) error) error {
	addr, err := c.addr(ctx, brokerID)
	if err != nil {
		return err
	}
	return c.at(ctx, addr, call)
}

// at is on for an address.
func (c *cluster) at(ctx context.Context, addr string, call func(*sarama.Broker) error) error {
	if err := context.Cause(c.life); err != nil {
		return log.ErrClosed
	}
	x, reused := c.borrow(addr), true
	if x == nil {
		var err error
		if x, err = c.dial(ctx, addr); err != nil {
			return err
		}
		reused = false
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	stop := x.during(ctx)
	err := call(x.Broker)
	if answered := answered(err); stop() && answered {
		c.giveBack(addr, x)
		return said(addr, err)
	}
	_ = x.Close()
	switch {
	case c.life.Err() != nil:
		return log.ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	case reused:
		// It may have been idle for so long that the broker closed it.
		return c.at(ctx, addr, call)
	}
	if errors.Is(err, io.EOF) {
		return c.refusal(addr, err) // perhaps its way to say that we are not who it wants
	}
	return fmt.Errorf("broker %s: %w", addr, lost(err))
}

// said names the broker that answered with an error.
func said(addr string, err error) error {
	if k, bare := err.(sarama.KError); bare {
		err = classify(k) // sarama's own: the broker does not know the call
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("broker %s: %w", addr, err)
}

// answered tells whether an error is a broker's answer, after which the
// connection is as good as before.
func answered(err error) bool {
	var k sarama.KError
	return err == nil || errors.As(err, &k)
}

// lost says what an error of a connection means.
func lost(err error) error {
	if errors.Is(err, sarama.ErrUnsupportedVersion) {
		return fmt.Errorf("%w (%s)", err, advice[sarama.ErrUnsupportedVersion])
	}
	return fmt.Errorf("%w: connection lost: %w", log.ErrUnavailable, err)
}

// borrow takes an idle connection, or nil.
func (c *cluster) borrow(addr string) *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	conns := c.idle[addr]
	if len(conns) == 0 {
		return nil
	}
	x := conns[len(conns)-1]
	c.idle[addr] = conns[:len(conns)-1]
	return x
}

// giveBack lets others borrow a connection.
func (c *cluster) giveBack(addr string, x *conn) {
	c.mu.Lock()
	room := !c.closed && len(c.idle[addr]) < maxIdle
	if room {
		c.idle[addr] = append(c.idle[addr], x)
	}
	c.mu.Unlock()
	if !room {
		_ = x.Close()
	}
}

// anywhere makes a call to any broker that answers: those that are known, in
// an order by chance, then those that were given.
func (c *cluster) anywhere(ctx context.Context, call func(*sarama.Broker) error) error {
	var failed []error
	for _, addr := range c.somebody() {
		err := c.at(ctx, addr, call)
		if answered(err) {
			return err
		}
		if ctx.Err() != nil || errors.Is(err, log.ErrClosed) {
			return errors.Join(append(failed, err)...)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// somebody are addresses to try.
func (c *cluster) somebody() []string {
	c.mu.Lock()
	known := slices.Collect(maps.Values(c.addrs))
	c.mu.Unlock()
	rand.Shuffle(len(known), func(i, j int) { known[i], known[j] = known[j], known[i] })
	for _, seed := range c.o.Brokers {
		if !slices.Contains(known, seed) {
			known = append(known, seed)
		}
	}
	return known
}

// retry tries again while an error is retriable, until the options' timeout.
// Then it returns what went wrong last.
func (c *cluster) retry(ctx context.Context, try func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	var pause backoff
	for {
		err := try(bounded)
		switch {
		case err == nil:
			return nil
		case c.life.Err() != nil:
			return log.ErrClosed
		case ctx.Err() != nil:
			return errors.Join(ctx.Err(), err)
		case bounded.Err() != nil && !retriable(err):
			return fmt.Errorf("%w: no answer within %v: %w", log.ErrUnavailable, c.o.Timeout, err)
		case !retriable(err):
			return err
		}
		if pause.wait(bounded) != nil {
			return err
		}
	}
}
