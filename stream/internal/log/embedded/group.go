package embedded

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// Positions implements [log.Log].
func (l *Log) Positions(_ context.Context, name string, partitions ...record.Partition) (map[record.Partition]int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.alive(); err != nil {
		return nil, err
	}
	positions := make(map[record.Partition]int64, len(partitions))
	g := l.groups[name]
	if g == nil {
		return positions, nil
	}
	for _, name := range partitions {
		p, err := l.partition(name)
		if err != nil {
			continue // nothing is committed for it
		}
		if g.unstable[p.place()] > 0 {
			return nil, fmt.Errorf("positions of group %q: %w: %s/%d", g.name, log.ErrUnstable, name.Topic, name.Number)
		}
		if next, ok := g.positions[p.place()]; ok {
			positions[name] = next
		}
	}
	return positions, nil
}

// Groups implements [log.Log].
func (l *Log) Groups(context.Context) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.alive(); err != nil {
		return nil, err
	}
	var names []string
	for name, g := range l.groups {
		if len(g.members) > 0 || len(g.positions) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Members implements [log.Log].
func (l *Log) Members(_ context.Context, name string) ([]log.MemberInfo, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.alive(); err != nil {
		return nil, err
	}
	g := l.groups[name]
	if g == nil {
		return nil, nil
	}
	var infos []log.MemberInfo
	for _, id := range slices.Sorted(maps.Keys(g.members)) {
		m := g.members[id]
		info := log.MemberInfo{ID: id, InstanceID: m.instance, Metadata: m.metadata, Assignment: m.claim.Assignment}
		if m.next != nil {
			info.Assignment = m.next.Assignment
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// DeleteGroup implements [log.Log]. The generation is kept: it never goes back.
func (l *Log) DeleteGroup(ctx context.Context, name string) error {
	err := l.write(ctx, l.exclusive(func(b *pebble.Batch) (func(), error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		g := l.groups[name]
		if g == nil {
			return func() {}, nil
		}
		if len(g.members) > 0 {
			return nil, log.ErrGroupActive
		}
		for p := range g.positions {
			del(b, positionKey(p, name))
		}
		return func() { g.positions = map[place]int64{} }, nil
	}))
	if err != nil {
		return fmt.Errorf("delete group %q: %w", name, err)
	}
	return nil
}

// A member is one membership. What log, group, instance, timeout and assign
// hold never changes; everything else is under the log's mutex.
type member struct {
	log      *Log
	group    string
	instance string
	keep     bool // the claims, when it leaves
	timeout  time.Duration
	assign   func([]log.MemberInfo) map[string][]byte
	ready    chan struct{}

	id       string
	metadata []byte
	// joined orders members: the first is the leader.
	joined int64
	seen   time.Time // its last heartbeat
	// along: it takes part in the rebalance that is being prepared.
	along bool
	// gone says why it is no member any more: replaced, left, or nil.
	gone error
	// claim is what Poll returned last, next what it returns next, if any.
	// An assignment that no Poll returned was never taken up.
	claim log.Claim
	next  *log.Claim
}

const defaultSessionTimeout = 10 * time.Second

// Join implements [log.Log].
func (l *Log) Join(name string, o log.JoinOptions) (log.Member, error) {
	if name == "" || o.Assign == nil {
		return nil, fmt.Errorf("join group %q: it needs a name and an assignor", name)
	}
	m := &member{
		log: l, group: name, instance: o.InstanceID, keep: o.KeepClaims && o.InstanceID != "", timeout: o.SessionTimeout, assign: o.Assign,
		metadata: slices.Clone(o.Metadata), ready: make(chan struct{}, 1),
	}
	if m.timeout <= 0 {
		m.timeout = defaultSessionTimeout
	}
	if err := l.rebalance(name, m.enter); err != nil {
		return nil, fmt.Errorf("join group %q: %w", name, err)
	}
	return m, nil
}

// enter makes m a member. A member with the same instance id makes room, and
// leaves its claim to m, unless a rebalance is under way anyway.
func (m *member) enter(g *group) (begin bool) {
	var left *log.Claim
	for _, id := range slices.Sorted(maps.Keys(g.members)) {
		if old := g.members[id]; m.instance != "" && old.instance == m.instance {
			left = &old.claim
			if old.next != nil {
				left = old.next
			}
			old.gone = cmp.Or(old.gone, fmt.Errorf("%w: another member joined as instance %q", log.ErrFenced, m.instance))
			m.log.moved = append(m.log.moved, old.ready)
			delete(g.members, id)
		}
	}
	g.joined++
	m.joined = g.joined
	m.id = fmt.Sprintf("%s-%d-%d", cmp.Or(m.instance, "member"), g.generation, g.joined)
	m.seen = m.log.o.Now()
	m.along = true
	g.members[m.id] = m
	if left == nil || g.preparing || left.Generation != g.generation {
		return true
	}
	m.along = false
	m.take(g.generation, left.Assignment)
	return false
}

// rebalance makes a change to a group. If the change asks for it, a rebalance
// begins; and if all members are along, the next generation forms.
func (l *Log) rebalance(name string, change func(g *group) (begin bool)) error {
	return l.write(context.Background(), l.exclusive(func(b *pebble.Batch) (func(), error) {
		l.mu.Lock()
		g := l.groupFor(name)
		if change(g) && !g.preparing {
			g.preparing = true
			for _, m := range g.members {
				// In one process a member is always there to come along; a
				// simulated one says so by polling.
				m.along = m.along || !l.o.Deterministic
				l.moved = append(l.moved, m.ready)
			}
		}
		if !g.preparing || slices.ContainsFunc(slices.Collect(maps.Values(g.members)), (*member).lags) {
			l.mu.Unlock()
			return func() {}, nil
		}
		leader, infos := g.infos()
		l.mu.Unlock()
		return l.planForm(b, g, leader, infos), nil
	}))
}

func (m *member) lags() bool { return !m.along }

// infos are what the assignor of a new generation sees, and the member whose
// assignor it is. What members were not told yet of an earlier generation, they
// never are.
func (g *group) infos() (leader *member, infos []log.MemberInfo) {
	for _, id := range slices.Sorted(maps.Keys(g.members)) {
		m := g.members[id]
		if leader == nil || m.joined < leader.joined {
			leader = m
		}
		m.next = nil
		infos = append(infos, log.MemberInfo{
			ID: id, InstanceID: m.instance, Metadata: m.metadata, Assignment: m.claim.Assignment,
		})
	}
	return leader, infos
}

// planForm forms the next generation. l.mu is not held: the assignor is the
// caller's. The turn is, so the members are still these.
func (l *Log) planForm(b *pebble.Batch, g *group, leader *member, infos []log.MemberInfo) func() {
	generation := g.generation + 1
	set(b, textKey(kindGroup, g.name), encodeRow(groupRow{Generation: generation}))
	var assignments map[string][]byte
	if leader != nil {
		assignments = leader.assign(infos)
	}
	return func() {
		g.generation = generation
		g.preparing = false
		for _, m := range g.members {
			m.along = false
			m.take(generation, slices.Clone(assignments[m.id]))
		}
	}
}

// take gives a member its claim under a new generation. l.mu is held.
func (m *member) take(generation int32, assignment []byte) {
	m.next = &log.Claim{
		GroupClaim: log.GroupClaim{Group: m.group, Member: m.id, Generation: generation},
		Assignment: assignment,
	}
	m.log.moved = append(m.log.moved, m.ready)
}

// Ready implements [log.Member].
func (m *member) Ready() <-chan struct{} { return m.ready }

// Poll implements [log.Member]. In a deterministic log it is the heartbeat.
func (m *member) Poll() (log.Claim, bool, error) {
	along, err := m.beat()
	if err == nil && along {
		err = m.log.rebalance(m.group, func(*group) bool { m.along = true; return false })
	}
	if err != nil {
		return log.Claim{}, false, fmt.Errorf("member of group %q: %w", m.group, err)
	}
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	news := m.next != nil
	if news {
		m.claim, m.next = *m.next, nil
	}
	return m.claim, news, nil
}

// beat is a heartbeat. It says whether a rebalance waits for the member.
func (m *member) beat() (along bool, err error) {
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	if err := m.log.alive(); err != nil {
		return false, err
	}
	m.seen = m.log.o.Now()
	g := m.log.groups[m.group]
	return g.members[m.id] == m && g.preparing && !m.along, m.gone
}

// Update implements [log.Member].
func (m *member) Update(metadata []byte) {
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	m.metadata = slices.Clone(metadata)
}

// Rejoin implements [log.Member].
func (m *member) Rejoin(metadata []byte) {
	m.Update(metadata)
	err := m.log.rebalance(m.group, func(g *group) bool {
		switch {
		case m.gone != nil:
			return false
		case g.members[m.id] != m: // it was lost, which it must know first
			return m.claim.Lost && m.enter(g)
		}
		m.seen, m.along = m.log.o.Now(), true
		return true
	})
	if err != nil {
		// Poll says it too.
		m.log.logger.Debug("rejoin failed", "group", m.group, "error", err)
	}
}

// Leave implements [log.Member].
func (m *member) Leave(context.Context) error {
	err := m.log.rebalance(m.group, func(g *group) bool {
		if m.gone == nil {
			m.gone = fmt.Errorf("%w: it left", log.ErrClosed)
		}
		if m.keep || g.members[m.id] != m {
			return false
		}
		delete(g.members, m.id)
		return true
	})
	if err != nil {
		return fmt.Errorf("leave group %q: %w", m.group, err)
	}
	return nil
}

// expire removes the members that were silent for too long.
func (l *Log) expire(now time.Time) error {
	l.mu.Lock()
	var names []string
	for name, g := range l.groups {
		for _, m := range g.members {
			if now.Sub(m.seen) > m.timeout {
				names = append(names, name)
				break
			}
		}
	}
	l.mu.Unlock()
	slices.Sort(names)
	for _, name := range names {
		if err := l.rebalance(name, func(g *group) bool { return g.expire(now) }); err != nil {
			return fmt.Errorf("expire members of group %q: %w", name, err)
		}
	}
	return nil
}

func (g *group) expire(now time.Time) (any bool) {
	for id, m := range g.members {
		if now.Sub(m.seen) > m.timeout {
			delete(g.members, id)
			m.next = &log.Claim{GroupClaim: m.claim.GroupClaim, Lost: true}
			m.log.moved = append(m.log.moved, m.ready)
			any = true
		}
	}
	return any
}

// move forms a new generation of a group, for no reason.
func (l *Log) move(name string) {
	if name == "" {
		return
	}
	err := l.rebalance(name, func(g *group) bool {
		for _, m := range g.members {
			m.along = true
		}
		return true
	})
	if err != nil {
		l.logger.Debug("moving a generation failed", "group", name, "error", err)
	}
}
