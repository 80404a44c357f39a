package kafkalog

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// Whoever lacks a permission is told which one, on what, and by which broker.
func TestMissingPermissionsAreNamed(t *testing.T) {
	ctx := context.Background()
	at := record.Partition{Topic: "secret"}
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "secret", "open", "shown"), kfake.EnableSASL(), kfake.EnableACLs(),
		kfake.User("PLAIN", "bob", "b", kfake.ACL{
			Resource: kmsg.ACLResourceTypeTopic, Name: "open", Pattern: kmsg.ACLResourcePatternTypeLiteral,
			Operation: kmsg.ACLOperationAll, Allow: true,
		}, kfake.ACL{
			Resource: kmsg.ACLResourceTypeTopic, Name: "shown", Pattern: kmsg.ACLResourcePatternTypeLiteral,
			Operation: kmsg.ACLOperationDescribe, Allow: true,
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	o := as(Plain, "bob", "b")
	o.Brokers = c.ListenAddrs()
	l := open(t, o)
	for what, try := range map[string]func() error{
		"topic secret: describe": func() error { _, err := l.Topics(ctx, "secret"); return err },
		"topic new: create":      func() error { return l.CreateTopic(ctx, log.Topic{Name: "new", Partitions: 1}) },
		"topic shown: grow":      func() error { return l.AddPartitions(ctx, "shown", 2) },
		"topic secret: ends":     func() error { _, err := l.Ends(ctx, at); return err },
		"topic secret: read":     func() error { return readError(t, l, at) },
		"group g: positions":     func() error { _, err := l.Positions(ctx, "g", at); return err },
		"group g: delete":        func() error { return l.DeleteGroup(ctx, "g") },
	} {
		err := try()
		thing, _, _ := strings.Cut(what, ":")
		_, name, _ := strings.Cut(thing, " ")
		var kafka sarama.KError
		switch {
		case err == nil:
			t.Errorf("%s: allowed", what)
		case !errors.As(err, &kafka), !strings.Contains(err.Error(), name), !strings.Contains(err.Error(), "grant this user"):
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := l.Ends(ctx, record.Partition{Topic: "open"}); err != nil {
		t.Errorf("what is allowed: %v", err)
	}
}

// readError is why a partition cannot be read.
func readError(t *testing.T, l *Log, p record.Partition) error {
	r := l.NewReader(log.ReaderOptions{})
	defer r.Close()
	r.Seek(p, 0)
	return await(t, r).Err
}
