package main

import (
	"context"
	"fmt"
	"net"

	"github.com/twmb/franz-go/pkg/kfake"
)

// brokerCmd is a Kafka for development, in memory.
type brokerCmd struct {
	Listen string `help:"Address of the broker, as its clients are told it." default:"127.0.0.1:9092" env:"TAGTIDE_BROKER_LISTEN" placeholder:"HOST:PORT"`
}

// Help is shown by --help.
func (c *brokerCmd) Help() string {
	return "It keeps everything in memory: when it ends, all topics are gone. For development and tests; `make kafka` runs a real one."
}

// Run serves until ctx ends.
func (c *brokerCmd) Run(ctx context.Context, s std) error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return usagef("--listen %s: %w", c.Listen, err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return usagef("--listen %s: name an address that clients can reach, the broker tells it to them", c.Listen)
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("--listen %s: %w", c.Listen, err)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return l, nil }))
	if err != nil {
		return fmt.Errorf("start the broker: %w", err)
	}
	defer cluster.Close()
	fmt.Fprintf(s.err, "tagtide: broker on %s, in memory: everything in it is gone when it ends\n", l.Addr())
	<-ctx.Done()
	return nil
}
