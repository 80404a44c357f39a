//go:build unix

package kafkanode

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// A Listener is one of the ways to talk to a broker. All but Plaintext are
// there only with [Options.Users].
type Listener string

// The listeners.
const (
	Plaintext   Listener = "PLAINTEXT"      // neither encryption nor a name: the super user
	SASL        Listener = "SASL_PLAINTEXT" // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	SASLTLS     Listener = "SASL_SSL"       // the same within TLS
	TLS         Listener = "SSL"            // the name is that of the client's certificate, if it shows one
	controlling Listener = "CONTROLLER"     // among the nodes
)

// listeners are those that the options ask for.
func (o *Options) listeners() []Listener {
	if len(o.Users) == 0 {
		return []Listener{Plaintext, controlling}
	}
	return []Listener{Plaintext, controlling, SASL, SASLTLS, TLS}
}

// properties is the configuration of a node. Of two lines with one key the
// last one counts.
func (c *Cluster) properties(n *Node) string {
	var b strings.Builder
	set := func(key, format string, a ...any) { fmt.Fprintf(&b, key+"="+format+"\n", a...) }
	nodes := len(c.nodes)

	var voters, listeners, advertised []string
	for _, o := range c.nodes {
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", o.id, o.ports[controlling]))
	}
	for _, l := range c.options.listeners() {
		at := fmt.Sprintf("%s://127.0.0.1:%d", l, n.ports[l])
		listeners = append(listeners, at)
		if l != controlling {
			advertised = append(advertised, at)
		}
	}
	set("process.roles", "broker,controller")
	set("node.id", "%d", n.id)
	set("controller.quorum.voters", "%s", strings.Join(voters, ","))
	set("listeners", "%s", strings.Join(listeners, ","))
	set("advertised.listeners", "%s", strings.Join(advertised, ","))
	set("controller.listener.names", "CONTROLLER")
	set("inter.broker.listener.name", "PLAINTEXT")
	set("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL")
	set("log.dirs", "%s", filepath.Join(n.dir, "data"))

	set("auto.create.topics.enable", "false")
	set("group.initial.rebalance.delay.ms", "0")
	// One that was killed is not taken back before its last session is over.
	set("broker.session.timeout.ms", "5000")
	set("broker.heartbeat.interval.ms", "500")
	for _, key := range []string{"default.replication.factor", "offsets.topic.replication.factor",
		"transaction.state.log.replication.factor", "share.coordinator.state.topic.replication.factor"} {
		set(key, "%d", nodes)
	}
	for _, key := range []string{"min.insync.replicas", "transaction.state.log.min.isr", "share.coordinator.state.topic.min.isr"} {
		set(key, "%d", nodes/2+1)
	}
	for _, key := range []string{"offsets.topic.num.partitions", "transaction.state.log.num.partitions", "share.coordinator.state.topic.num.partitions"} {
		set(key, "8") // the default of 50 takes seconds to make and to take over
	}
	c.secure(set)
	for _, key := range slices.Sorted(maps.Keys(c.options.Properties)) {
		set(key, "%s", c.options.Properties[key])
	}
	return b.String()
}

// secure configures users, certificates and permissions.
func (c *Cluster) secure(set func(key, format string, a ...any)) {
	if len(c.options.Users) > 0 {
		var users []string
		for _, name := range slices.Sorted(maps.Keys(c.options.Users)) {
			users = append(users, fmt.Sprintf(`user_%s="%s"`, name, c.options.Users[name]))
		}
		set("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512")
		for _, l := range []string{"sasl_plaintext", "sasl_ssl"} {
			set("listener.name."+l+".plain.sasl.jaas.config", "org.apache.kafka.common.security.plain.PlainLoginModule required %s;", strings.Join(users, " "))
			for _, m := range []string{"scram-sha-256", "scram-sha-512"} {
				set("listener.name."+l+"."+m+".sasl.jaas.config", "org.apache.kafka.common.security.scram.ScramLoginModule required;")
			}
		}
		set("ssl.keystore.type", "PEM")
		set("ssl.keystore.location", "%s", filepath.Join(c.dir, brokerPEM))
		set("ssl.truststore.type", "PEM")
		set("ssl.truststore.location", "%s", filepath.Join(c.dir, caPEM))
		set("ssl.client.auth", "requested")
	}
	if c.options.Authorize {
		set("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
		set("super.users", "User:ANONYMOUS") // the nodes among themselves, and tests on Plaintext
	}
}

// formatArgs are StorageTool's arguments for a node.
func (c *Cluster) formatArgs(n *Node) []string {
	args := []string{"format", "-t", c.id, "-c", n.config()}
	for _, name := range slices.Sorted(maps.Keys(c.options.Users)) {
		for _, m := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", m, name, c.options.Users[name]))
		}
	}
	return args
}
