package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// Members implements [log.Log].
func (l *Log) Members(ctx context.Context, group string) ([]log.MemberInfo, error) {
	if err := l.alive(); err != nil {
		return nil, err
	}
	var infos []log.MemberInfo
	c := l.cluster
	err := c.retry(ctx, func(ctx context.Context) error {
		broker, err := c.coordinator(ctx, groupCoordinator, group)
		if err != nil {
			return err
		}
		err = c.on(ctx, broker, func(b *sarama.Broker) (err error) {
			infos, err = describe(b, group)
			return err
		})
		if elsewhere(err) || !answered(err) {
			c.coordinatorMoved(groupCoordinator, group)
		}
		var k sarama.KError
		if errors.As(err, &k) {
			return classify(k)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("members of group %q: %w", group, err)
	}
	return infos, nil
}

// describe asks a group's coordinator for its members. Of members of other
// programs it tells what they told, as it is.
func describe(b *sarama.Broker, group string) ([]log.MemberInfo, error) {
	r, err := b.DescribeGroups(&sarama.DescribeGroupsRequest{Version: 5, Groups: []string{group}})
	if err != nil {
		return nil, err
	}
	var infos []log.MemberInfo
	for _, g := range r.Groups {
		if g.Err == sarama.ErrGroupIDNotFound {
			continue
		}
		if g.Err != sarama.ErrNoError {
			return nil, g.Err
		}
		for _, m := range g.Members {
			info := infoOf(m.MemberId, m.GroupInstanceId, m.MemberMetadata)
			info.Assignment = m.MemberAssignment
			if a, err := m.GetMemberAssignment(); err == nil && a != nil {
				info.Assignment = a.UserData
			}
			infos = append(infos, info)
		}
	}
	slices.SortFunc(infos, func(a, b log.MemberInfo) int { return strings.Compare(a.ID, b.ID) })
	return infos, nil
}
