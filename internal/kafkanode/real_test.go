//go:build kafka

package kafkanode

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

func cluster(t *testing.T, o Options) *Cluster {
	t.Helper()
	o.Brief = true
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// client makes a client of a cluster's listener.
func client(t *testing.T, c *Cluster, l Listener, o ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(o, kgo.SeedBrokers(c.AddressesOf(l)...), kgo.RetryTimeout(30*time.Second))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func createTopic(t *testing.T, cl *kgo.Client, name string) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 2, -1
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(t.Context(), cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("create topic %s: %v", name, err)
	}
}

// send sends a record and waits until the brokers have it.
func send(ctx context.Context, cl *kgo.Client, topic string, i int) error {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	return cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: fmt.Append(nil, i)}).FirstErr()
}

// holds reads the topic until n different records have come.
func holds(t *testing.T, c *Cluster, topic string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cl := client(t, c, Plaintext, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	seen := map[string]bool{}
	for len(seen) < n {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) { seen[string(r.Value)] = true })
		if ctx.Err() != nil {
			t.Fatalf("%d of %d records", len(seen), n)
		}
	}
}

// A node comes back at its address with its data, however it went; an end that
// nobody asked for is noticed; and nothing is left when all is over.
func TestANodeComesBack(t *testing.T) {
	t.Parallel()
	c := cluster(t, Options{})
	n := c.Nodes()[0]
	cl := client(t, c, Plaintext)
	createTopic(t, cl, "t")
	sent := 0
	for name, away := range map[string]func() error{
		"killed": func() error { return errors.Join(n.Kill(), n.Start(t.Context())) },
		"paused": func() error { return errors.Join(n.Pause(), n.Resume()) },
	} {
		if err := send(t.Context(), cl, "t", sent); err != nil {
			t.Fatal(err)
		}
		sent++
		if err := away(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := send(t.Context(), cl, "t", sent); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sent++
		holds(t, c, "t", sent)
	}
	if err := n.Start(t.Context()); err == nil {
		t.Error("started twice")
	}
	if err := n.process.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := c.Wait(ctx); err == nil {
		t.Error("an end that nobody asked for is not noticed")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the data are still there: %v", err)
	}
}

// With three nodes, one may be away at any time.
func TestOneOfThreeMayBeAway(t *testing.T) {
	t.Parallel()
	c := cluster(t, Options{Nodes: 3})
	cl := client(t, c, Plaintext)
	createTopic(t, cl, "t")
	for i, n := range c.Nodes()[:2] {
		if err := n.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := send(t.Context(), cl, "t", i); err != nil {
			t.Fatalf("without node %d: %v", n.ID(), err)
		}
		if err := n.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	holds(t, c, "t", 2)
}

func TestDataAreKeptBetweenRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 2 {
		c := cluster(t, Options{Dir: dir})
		cl := client(t, c, Plaintext)
		if i == 0 {
			createTopic(t, cl, "t")
		}
		if err := send(t.Context(), cl, "t", i); err != nil {
			t.Fatal(err)
		}
		holds(t, c, "t", i+1)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Every listener lets in whom it should, and nobody else; and permissions count.
func TestUsersAndPermissions(t *testing.T) {
	t.Parallel()
	c := cluster(t, Options{Users: map[string]string{"alice": "secret"}, Authorize: true})
	createTopic(t, client(t, c, Plaintext), "t")
	ca, err := os.ReadFile(c.CA())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	certFile, keyFile, err := c.ClientCertificate("bob")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	withTLS := kgo.DialTLSConfig(&tls.Config{RootCAs: pool})
	mechanisms := func(password string) map[string]sasl.Mechanism {
		return map[string]sasl.Mechanism{
			"PLAIN": plain.Auth{User: "alice", Pass: password}.AsMechanism(),
			"256":   scram.Auth{User: "alice", Pass: password}.AsSha256Mechanism(),
			"512":   scram.Auth{User: "alice", Pass: password}.AsSha512Mechanism(),
		}
	}
	tried := func(l Listener, o ...kgo.Opt) error {
		return send(t.Context(), client(t, c, l, append(o, kgo.RecordRetries(1))...), "t", 0)
	}
	for name, m := range mechanisms("secret") {
		for l, o := range map[Listener][]kgo.Opt{SASL: nil, SASLTLS: {withTLS}} {
			if err := tried(l, append(o, kgo.SASL(m))...); !errors.Is(err, kerr.TopicAuthorizationFailed) {
				t.Errorf("%s on %s without permission: %v", name, l, err)
			}
		}
	}
	for name, m := range mechanisms("wrong") {
		if err := tried(SASL, kgo.SASL(m)); !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("%s with a wrong password: %v", name, err)
		}
	}
	certified := kgo.DialTLSConfig(&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}})
	if err := tried(TLS, certified); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("a certificate without permission: %v", err)
	}
	allow(t, client(t, c, Plaintext), "User:alice", "User:CN=bob")
	if err := errors.Join(tried(TLS, certified), tried(SASL, kgo.SASL(mechanisms("secret")["512"]))); err != nil {
		t.Errorf("with permission: %v", err)
	}
}

// allow lets users do anything to topic t.
func allow(t *testing.T, cl *kgo.Client, users ...string) {
	t.Helper()
	req := kmsg.NewPtrCreateACLsRequest()
	for _, user := range users {
		acl := kmsg.NewCreateACLsRequestCreation()
		acl.ResourceType, acl.ResourceName, acl.ResourcePatternType = kmsg.ACLResourceTypeTopic, "t", kmsg.ACLResourcePatternTypeLiteral
		acl.Principal, acl.Host, acl.Operation, acl.PermissionType = user, "*", kmsg.ACLOperationAll, kmsg.ACLPermissionTypeAllow
		req.Creations = append(req.Creations, acl)
	}
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range resp.Results {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			t.Fatal(err)
		}
	}
}
