//go:build unix

// Command kafka runs a real Apache Kafka on this machine, until it is told to
// end or, if it is given a command, as long as that one runs:
//
//	kafka -nodes 3 -dir .kafka/three -port 9092
//	kafka -nodes 3 go test -tags kafka ./...
//
// The command finds the addresses in TAGTIDE_TEST_KAFKA.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/tagtide/tagtide/internal/kafkanode"
)

func main() {
	o := kafkanode.Options{JavaHome: os.Getenv("JAVA_HOME"), Progress: os.Stderr}
	flag.IntVar(&o.Nodes, "nodes", 1, "how many nodes")
	flag.StringVar(&o.Dir, "dir", "", "keep the data here (default: nowhere)")
	flag.IntVar(&o.Port, "port", 0, "port of the first node (default: free ones)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o.Brief = flag.NArg() > 0
	err := run(ctx, o, flag.Args())
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(max(1, exit.ExitCode()))
	case err != nil && ctx.Err() == nil:
		fmt.Fprintln(os.Stderr, "kafka:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o kafkanode.Options, command []string) error {
	begin := time.Now()
	c, err := kafkanode.Start(ctx, o)
	if err != nil {
		return err
	}
	addresses := strings.Join(c.Addresses(), ",")
	fmt.Fprintf(os.Stderr, "kafka: %d node(s) at %s after %s\n", len(c.Nodes()), addresses, time.Since(begin).Round(100*time.Millisecond))
	if len(command) > 0 {
		err = runCommand(ctx, addresses, command)
	} else {
		fmt.Fprintln(os.Stderr, "kafka: Ctrl-C ends it")
		err = c.Wait(ctx)
	}
	fmt.Fprintln(os.Stderr, "kafka: stopping")
	return errors.Join(err, c.Close())
}

// runCommand gives a signal on to the command, so that it ends first.
func runCommand(ctx context.Context, addresses string, command []string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "TAGTIDE_TEST_KAFKA="+addresses)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd.Run()
}
