//go:build kafka

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tagtide/tagtide/internal/kafkanode"
)

// Over TLS and SASL it works as without, with the permissions it needs; and
// what is missing is told.
func TestSecuredKafka(t *testing.T) {
	t.Parallel()
	kafka := ownKafka(t, kafkanode.Options{Users: map[string]string{"alice": "secret"}, Authorize: true})
	dir := t.TempDir()
	password := func(text string) string {
		file := filepath.Join(dir, text)
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	at := func(l kafkanode.Listener, args ...string) []string {
		return append(args, "--brokers", strings.Join(kafka.AddressesOf(l), ","))
	}
	sasl := func(mechanism, secret string) []string {
		return []string{"--sasl", mechanism, "--sasl-user", "alice", "--sasl-password-file", password(secret)}
	}
	refused := func(says string, args ...string) {
		t.Helper()
		code, _, said := do(t, "", args...)
		if code != exitFailed || !strings.Contains(said, says) {
			t.Errorf("%s: exit %d: %s\nwant it to say %q", strings.Join(args, " "), code, said, says)
		}
	}
	file := filepath.Join(dir, "tweets.jsonl")
	want := tweets(t, file, 2_000, 41)
	run := func(n int) []string {
		group := fmt.Sprint("group", n)
		return []string{"run", "--once", "--source", "file", "--input", file, "--output", "ndjson", "--group", group, "--input-topic", group + "-in"}
	}
	describe := []string{"topics", "describe"}
	for _, mechanism := range []string{"plain", "scram-sha-256"} {
		wrong := append(at(kafkanode.SASL, describe...), sasl(mechanism, "wrong")...)
		refused("nvalid ", wrong...) // as the broker says it
		refused(`user "alice" with `+mechanism, wrong...)
		refused("check user and password", wrong...)
	}
	refused("SASL", at(kafkanode.SASL, describe...)...)
	refused("certificate", append(at(kafkanode.SASLTLS, describe...), append(sasl("plain", "secret"), "--tls")...)...)
	refused("grant", append(at(kafkanode.SASL, run(0)...), sasl("plain", "secret")...)...)

	allowAll(t, kafka, "User:alice", "User:CN=bob")
	for n, mechanism := range []string{"plain", "scram-sha-256", "scram-sha-512"} {
		args := append(at(kafkanode.SASLTLS, run(n)...), append(sasl(mechanism, "secret"), "--tls-ca", kafka.CA())...)
		same(t, mechanism, counted(t, mustDo(t, args...)), want)
	}
	cert, key, err := kafka.ClientCertificate("bob")
	if err != nil {
		t.Fatal(err)
	}
	args := append(at(kafkanode.TLS, run(3)...), "--tls-ca", kafka.CA(), "--tls-cert", cert, "--tls-key", key)
	same(t, "with a certificate", counted(t, mustDo(t, args...)), want)
}

// allowAll lets users do everything with topics, groups and transactions.
func allowAll(t *testing.T, kafka *kafkanode.Cluster, users ...string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(kafka.Addresses()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	req := kmsg.NewPtrCreateACLsRequest()
	for _, user := range users {
		for kind, name := range map[kmsg.ACLResourceType]string{
			kmsg.ACLResourceTypeTopic: "*", kmsg.ACLResourceTypeGroup: "*",
			kmsg.ACLResourceTypeTransactionalId: "*", kmsg.ACLResourceTypeCluster: "kafka-cluster",
		} {
			acl := kmsg.NewCreateACLsRequestCreation()
			acl.ResourceType, acl.ResourceName, acl.ResourcePatternType = kind, name, kmsg.ACLResourcePatternTypeLiteral
			acl.Principal, acl.Host, acl.Operation, acl.PermissionType = user, "*", kmsg.ACLOperationAll, kmsg.ACLPermissionTypeAllow
			req.Creations = append(req.Creations, acl)
		}
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
