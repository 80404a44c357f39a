package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// A member is one membership. One goroutine (run) decides what it does next;
// it never waits for a broker. Two helpers of it do, at most one of each at a
// time and each on its own connection: one beats, one joins, which takes as
// long as the slowest member of the group does. So a member is heard while it
// waits for others.
//
//	        ┌──────────────── Rejoin, or a beat says that a rebalance began
//	        ▼
//	    ┌───────┐ JoinGroup, SyncGroup ┌────────┐
//	───▶│ joins │─────────────────────▶│ stable │
//	    └───────┘                      └────────┘
//	        ▲          not heard for the session's timeout,
//	        │          or a beat says that nobody knows us
//	        │  Rejoin  ┌──────┐            │
//	        └──────────│ lost │◀───────────┘
//	                   └──────┘
type member struct {
	log        *Log
	group      string
	instanceID string
	keep       bool // the claims, when it leaves
	session    time.Duration
	topics     []string
	assign     func([]log.MemberInfo) map[string][]byte
	ready      chan struct{} // of capacity 1
	wake       chan struct{} // of capacity 1: run has something to look at
	life       context.Context
	end        context.CancelFunc
	done       chan struct{} // run has ended

	// joins belongs to the helper that joins, beats to the one that beats.
	joins, beats connection

	mu       sync.Mutex
	metadata []byte
	// asks counts what needs a rebalance, from a number by chance on: brokers
	// spare a group the rebalance when a member joins with the same bytes.
	asks uint64
	// claim is what Poll returned last, next what it returns next, if any.
	claim log.Claim
	next  *log.Claim
	err   error // final
	// id and generation are what the group knows us by; "" and -1 before it does.
	id         string
	generation int32
	// alive is when the group surely had us last.
	alive time.Time
	// lost: no part is taken in the group until Rejoin.
	lost bool
	// abandoned are the ids of memberships that were given up and not ended.
	abandoned []string
	// unnamed: a round in which the group was to name us ended without its
	// answer. It may have a member that we do not know the id of.
	unnamed bool
	// life's count: a helper's news of an earlier membership are old.
	lives int
}

const defaultSession = 10 * time.Second

// Join implements [log.Log]. It returns when the request to join has left, or
// could not: so who joins later as the same instance wins.
func (l *Log) Join(group string, o log.JoinOptions) (log.Member, error) {
	if group == "" || o.Assign == nil {
		return nil, fmt.Errorf("join group %q: it needs a name and an assignor", group)
	}
	if err := l.alive(); err != nil {
		return nil, fmt.Errorf("join group %q: %w", group, err)
	}
	m := &member{
		log: l, group: group, instanceID: o.InstanceID, keep: o.KeepClaims && o.InstanceID != "", session: o.SessionTimeout, topics: slices.Sorted(slices.Values(o.Topics)),
		assign: o.Assign, metadata: slices.Clone(o.Metadata), asks: rand.Uint64(), generation: -1,
		ready: make(chan struct{}, 1), wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if m.session <= 0 {
		m.session = defaultSession
	}
	m.life, m.end = context.WithCancel(l.life)
	m.joins, m.beats = connection{m: m}, connection{m: m}
	sent := make(chan struct{})
	l.work.Go(func() { m.run(sync.OnceFunc(func() { close(sent) })) })
	<-sent
	return m, nil
}

// Ready implements [log.Member].
func (m *member) Ready() <-chan struct{} { return m.ready }

// Poll implements [log.Member].
func (m *member) Poll() (log.Claim, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.err
	if err == nil {
		err = m.log.alive()
	}
	if err != nil {
		return log.Claim{}, false, fmt.Errorf("member of group %q: %w", m.group, err)
	}
	m.expire(time.Now())
	news := m.next != nil
	if news {
		m.claim, m.next = *m.next, nil
	}
	return m.claim, news, nil
}

// Update implements [log.Member].
func (m *member) Update(metadata []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.metadata = slices.Clone(metadata)
}

// Rejoin implements [log.Member].
func (m *member) Rejoin(metadata []byte) {
	m.mu.Lock()
	m.metadata = slices.Clone(metadata)
	m.asks++
	if m.claim.Lost { // which Poll has told
		m.lost = false
	}
	m.mu.Unlock()
	signal(m.wake)
}

// Leave implements [log.Member].
func (m *member) Leave(ctx context.Context) error {
	m.mu.Lock()
	fenced := errors.Is(m.err, log.ErrFenced)
	if m.err == nil {
		m.err = fmt.Errorf("%w: it left", log.ErrClosed)
	}
	m.mu.Unlock()
	m.end()
	<-m.done
	who := m.leftBehind()
	if fenced || m.keep || len(who) == 0 {
		return nil
	}
	err := m.leave(ctx, who)
	if err != nil {
		return fmt.Errorf("leave group %q: %w", m.group, err)
	}
	return nil
}

// leftBehind is what the group may still have of us when run has ended.
func (m *member) leftBehind() []sarama.MemberIdentity {
	ids := m.abandoned
	if m.id != "" {
		ids = append(ids, m.id)
	}
	who := identities(ids)
	if m.unnamed && m.instanceID != "" {
		// Were it another member's by now, our request to join would have been
		// answered so.
		who = append(who, sarama.MemberIdentity{GroupInstanceId: m.instance()})
	}
	return who
}

// leave ends memberships. A request that arrives twice does no harm.
func (m *member) leave(ctx context.Context, who []sarama.MemberIdentity) error {
	c := m.log.cluster
	return c.retry(ctx, func(ctx context.Context) error {
		broker, err := c.coordinator(ctx, groupCoordinator, m.group)
		if err != nil {
			return err
		}
		err = c.on(ctx, broker, func(b *sarama.Broker) error {
			r, err := b.LeaveGroup(m.leaveRequest(who))
			if err != nil {
				return err
			}
			return leaveErr(r)
		})
		if elsewhere(err) || !answered(err) {
			c.coordinatorMoved(groupCoordinator, m.group)
		}
		var k sarama.KError
		if errors.As(err, &k) {
			return classify(k)
		}
		return err
	})
}

// leaveErr is what went wrong; nothing if the group does not know us anyway.
func leaveErr(r *sarama.LeaveGroupResponse) error {
	code := r.Err
	for _, g := range r.Members {
		if code == sarama.ErrNoError {
			code = g.Err
		}
	}
	switch code {
	case sarama.ErrUnknownMemberId, sarama.ErrFencedInstancedId, sarama.ErrGroupIDNotFound:
		return nil
	}
	return answer(code)
}

// signal wakes whoever waits on a channel of capacity 1, or will.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// entered takes over what the group knows us by from now on, before the
// assignment is there: beats name it.
func (m *member) entered(j joined) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lives == j.lives {
		m.id, m.generation, m.alive = j.id, j.generation, later(m.alive, j.at)
	}
}

// expire gives the membership up if the group has not surely had us for the
// session's timeout. m.mu is held.
func (m *member) expire(now time.Time) {
	if !m.lost && m.generation >= 0 && now.Sub(m.alive) > m.session {
		m.lose(fmt.Errorf("the group has not answered for %v", m.session))
	}
}

// lose gives the membership up. If it never was claimed, the next begins by
// itself; else Poll tells, and Rejoin begins it. m.mu is held.
func (m *member) lose(why error) {
	m.abandon(m.id)
	m.id, m.generation = "", -1
	m.lives++
	m.asks++ // the next membership is another one, also for who compares
	m.next = nil
	if m.claim.Member != "" && !m.claim.Lost {
		m.log.o.Logger.Warn("no member of the group any more", "group", m.group, "member", m.claim.Member, "why", why)
		m.lost = true
		m.next = &log.Claim{GroupClaim: m.claim.GroupClaim, Lost: true}
		signal(m.ready)
	}
	signal(m.wake)
}

// abandon remembers a membership to be ended, if it is one. m.mu is held, or
// run has ended.
func (m *member) abandon(id string) {
	if id != "" && !slices.Contains(m.abandoned, id) {
		m.abandoned = append(m.abandoned, id)
	}
}

// A connection is to the group's coordinator, opened when it is needed. It
// belongs to one goroutine at a time.
type connection struct {
	m    *member
	conn *conn
}

func (c *connection) to(ctx context.Context) (*conn, error) {
	if c.conn != nil {
		return c.conn, nil
	}
	cluster := c.m.log.cluster
	broker, err := cluster.coordinator(ctx, groupCoordinator, c.m.group)
	if err != nil {
		return nil, err
	}
	x, err := cluster.connect(ctx, broker)
	if err != nil {
		cluster.coordinatorMoved(groupCoordinator, c.m.group)
		return nil, err
	}
	c.conn = x
	return x, nil
}

func (c *connection) drop() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}
