package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// What the group's members call themselves. They speak the consumer protocol
// around their own, because Kafka's tools describe groups of no other type,
// and brokers keep the positions of topics that a consumer group subscribes to
// for as long as it lives. The topics are JoinOptions.Topics; partitions stay
// empty, because what is assigned is work, which only the assignor knows.
const (
	protocolType = "consumer"
	protocolName = "tagtide"
)

// A joining is one round of JoinGroup and SyncGroup, as it was begun.
type joining struct {
	id        string   // of the member; "": the group gives one
	abandoned []string // member ids that were given up, to be told so
	lives     int      // of the member, when it began
	asks      uint64
	envelope  []byte
}

// A joined is how a round ended.
type joined struct {
	joining
	id         string // as the group knows us, even if the round failed
	generation int32
	assignment []byte
	at         time.Time // when the group surely had us
	left       bool      // the group has let those abandoned go
	unnamed    bool      // the answer that would have named us was lost
	err        error
}

// naming is how long a member that ends waits for the answer that only names
// it, which the group gives at once.
const naming = time.Second

// enter makes one round. It waits for the other members, on a connection of
// its own. sent is called, at least once, when the request that waits has left.
func (m *member) enter(ctx context.Context, j joining, sent func()) joined {
	defer sent()
	x, err := m.joins.to(ctx)
	if err != nil {
		return joined{joining: j, id: j.id, err: err}
	}
	got := joined{joining: j, id: j.id}
	if len(j.abandoned) > 0 {
		got.left = m.endAbandoned(ctx, x, j.abandoned) // or they end by themselves, later
	}
	x.socket.wrote = sent
	r := m.round(ctx, x, got)
	if ctx.Err() != nil || !answered(r.err) {
		m.joins.drop()
	}
	if elsewhere(r.err) || !answered(r.err) {
		m.log.cluster.coordinatorMoved(groupCoordinator, m.group)
	}
	if !answered(r.err) {
		r.err = lost(r.err)
	}
	return r
}

// endAbandoned ends memberships that were given up.
func (m *member) endAbandoned(ctx context.Context, x *conn, ids []string) bool {
	defer x.during(ctx)()
	r, err := x.LeaveGroup(m.leaveRequest(identities(ids)))
	return err == nil && leaveErr(r) == nil
}

// round joins, assigns if it has to, and learns what it is assigned.
func (m *member) round(ctx context.Context, x *conn, got joined) joined {
	r, err := m.joinGroup(ctx, x, &got)
	if err != nil {
		got.err = fmt.Errorf("join: %w", err)
		return got
	}
	got.id, got.generation, got.at = r.MemberId, r.GenerationId, time.Now()
	m.entered(got)
	defer x.during(ctx)()
	sync := &sarama.SyncGroupRequest{
		Version: 5, GroupId: m.group, GenerationId: r.GenerationId, MemberId: r.MemberId, GroupInstanceId: m.instance(),
		ProtocolType: new(protocolType), ProtocolName: new(protocolName),
	}
	if r.LeaderId == r.MemberId {
		if err := m.lead(sync, r.Members); err != nil {
			got.err = fmt.Errorf("assign: %w", err)
			return got
		}
	}
	s, err := x.SyncGroup(sync)
	if err == nil {
		err = answer(s.Err)
	}
	if err != nil {
		got.err = fmt.Errorf("sync: %w", err)
		return got
	}
	got.assignment, got.err = assignmentIn(s)
	return got
}

// joinGroup joins, twice if the group first gives a member id.
func (m *member) joinGroup(ctx context.Context, x *conn, got *joined) (*sarama.JoinGroupResponse, error) {
	for {
		req := &sarama.JoinGroupRequest{
			Version: 8, GroupId: m.group, MemberId: got.id, GroupInstanceId: m.instance(),
			SessionTimeout: int32(m.session.Milliseconds()), RebalanceTimeout: int32(m.session.Milliseconds()),
			ProtocolType: protocolType,
		}
		err := req.AddGroupProtocolMetadata(protocolName, &sarama.ConsumerGroupMemberMetadata{Topics: m.topics, UserData: got.envelope})
		if err != nil {
			return nil, err
		}
		r, err := m.askToJoin(ctx, x, req)
		if err != nil {
			got.unnamed = got.id == ""
			return nil, err
		}
		if r.Err == sarama.ErrMemberIdRequired && r.MemberId != got.id {
			got.id = r.MemberId
			continue
		}
		return r, answer(r.Err)
	}
}

// askToJoin sends a request until ctx ends. One whose answer only names us may
// take longer: cut short, it would leave a member that nobody knows the id of,
// so nobody could end it.
func (m *member) askToJoin(ctx context.Context, x *conn, req *sarama.JoinGroupRequest) (*sarama.JoinGroupResponse, error) {
	if req.MemberId == "" && m.instanceID == "" {
		var cancel func()
		ctx, cancel = outlive(ctx, naming)
		defer cancel()
	}
	defer x.during(ctx)()
	return x.JoinGroup(req)
}

// outlive is a context that ends some time after another one, or when it is
// cancelled.
func outlive(ctx context.Context, by time.Duration) (context.Context, func()) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(by, cancel) })
	return late, func() {
		stop()
		cancel()
	}
}

// lead divides the work among all members.
func (m *member) lead(sync *sarama.SyncGroupRequest, members []sarama.GroupMember) error {
	infos := make([]log.MemberInfo, 0, len(members))
	for _, g := range members {
		infos = append(infos, infoOf(g.MemberId, g.GroupInstanceId, g.Metadata))
	}
	slices.SortFunc(infos, func(a, b log.MemberInfo) int { return strings.Compare(a.ID, b.ID) })
	plan := m.assign(infos)
	for _, info := range infos {
		err := sync.AddGroupAssignmentMember(info.ID, &sarama.ConsumerGroupMemberAssignment{UserData: plan[info.ID]})
		if err != nil {
			return err
		}
	}
	return nil
}

// infoOf is what an assignor sees of a member. What cannot be read, it sees
// as it is: an assignor must not take such a member for one without work.
func infoOf(id string, instance *string, metadata []byte) log.MemberInfo {
	info := log.MemberInfo{ID: id, Metadata: metadata}
	if instance != nil {
		info.InstanceID = *instance
	}
	r := sarama.JoinGroupResponse{Members: []sarama.GroupMember{{MemberId: id, Metadata: metadata}}}
	all, err := r.GetMembers()
	if err != nil {
		return info
	}
	e, err := parseEnvelope(all[id].UserData)
	if err != nil {
		return info
	}
	info.Metadata, info.Assignment = e.metadata, e.assignment
	return info
}

// assignmentIn is what a member was assigned.
func assignmentIn(s *sarama.SyncGroupResponse) ([]byte, error) {
	if len(s.MemberAssignment) == 0 {
		return nil, nil
	}
	a, err := s.GetMemberAssignment()
	if err != nil {
		return nil, fmt.Errorf("assignment: %w: %w", log.ErrDamaged, err)
	}
	return a.UserData, nil
}

// leaveRequest ends memberships.
func (m *member) leaveRequest(who []sarama.MemberIdentity) *sarama.LeaveGroupRequest {
	return &sarama.LeaveGroupRequest{Version: 5, GroupId: m.group, Members: who}
}

// identities are members by their ids. They name no instance: a member id is
// one incarnation of it and no other.
func identities(ids []string) (who []sarama.MemberIdentity) {
	for _, id := range ids {
		who = append(who, sarama.MemberIdentity{MemberId: id})
	}
	return who
}

// instance is the instance id, or nil.
func (m *member) instance() *string {
	if m.instanceID == "" {
		return nil
	}
	return &m.instanceID
}

// final tells whether no retry mends a failure to join, and what it is.
func (m *member) final(err error) (error, bool) {
	var k sarama.KError
	if !errors.As(err, &k) {
		// Wrong credentials, no Kafka, no TLS: not the network's mood.
		return err, !retriable(err) && !errors.Is(err, context.Canceled)
	}
	switch k {
	case sarama.ErrFencedInstancedId:
		return fmt.Errorf("%w: another member joined as instance %q", log.ErrFenced, m.instanceID), true
	case sarama.ErrInconsistentGroupProtocol:
		return fmt.Errorf("%w: the group has members that are no members of ours: use another group", k), true
	case sarama.ErrInvalidSessionTimeout:
		return fmt.Errorf("%w: %v (group.min.session.timeout.ms, group.max.session.timeout.ms of the brokers)", k, m.session), true
	case sarama.ErrGroupAuthorizationFailed, sarama.ErrInvalidGroupId, sarama.ErrGroupMaxSizeReached, sarama.ErrUnsupportedVersion,
		sarama.ErrSASLAuthenticationFailed, sarama.ErrTopicAuthorizationFailed:
		return classify(k), true
	}
	return err, false
}
