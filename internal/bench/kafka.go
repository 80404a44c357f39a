package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"

	"github.com/tagtide/tagtide/internal/kafkanode"
)

// kafkaPhases are measured on each broker, in this order; each may use what
// earlier ones left.
var kafkaPhases = phases{
	{"raw-write", bench.rawWrite},
	{"raw-read", bench.rawRead},
	{"emit", bench.emit},
	{"process", bench.process},
	{"forgetful", bench.processForgetful},
	{"restore", bench.restoreFromKafka},
	{"pause", bench.pauses},
}

// A broker is a Kafka that is measured.
type broker struct {
	name  string
	start func(bench, context.Context) (addresses string, stop func() error, err error)
}

// The brokers there are: kfake needs nothing, the other one Java and Maven.
var (
	kfakeBroker = broker{"kfake", bench.startKfake}
	realBroker  = broker{"apache kafka", bench.startKafka}
)

// startKfake starts tagtide's broker for development, in a process of its own.
func (b bench) startKfake(ctx context.Context) (string, func() error, error) {
	binary, err := b.build(ctx)
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "broker", "--listen", "127.0.0.1:0")
	told, err := startTold(cmd, `broker on (\S+),`)
	return told, func() error { return errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()) }, err
}

// startKafka starts an Apache Kafka of one node.
func (b bench) startKafka(ctx context.Context) (string, func() error, error) {
	c, err := kafkanode.Start(ctx, kafkanode.Options{Progress: os.Stderr})
	if err != nil {
		return "", nil, err
	}
	return strings.Join(c.Addresses(), ","), c.Close, nil
}

// build builds tagtide, once.
func (b bench) build(ctx context.Context) (binary string, err error) {
	binary = b.file("tagtide")
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/tagtide")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("build tagtide: %w", err)
	}
	return binary, nil
}

// startTold starts a command and returns what the first group of a pattern
// matches in a line of its standard error.
func startTold(cmd *exec.Cmd, pattern string) (string, error) {
	told := regexp.MustCompile(pattern)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	r := bufio.NewReader(stderr)
	var lines strings.Builder
	for {
		line, err := r.ReadString('\n')
		lines.WriteString(line)
		if m := told.FindStringSubmatch(line); m != nil {
			go func() { _, _ = io.Copy(io.Discard, r) }() // ends with the process
			return m[1], nil
		}
		if err != nil {
			return "", errors.Join(fmt.Errorf("tagtide said only %q: %w", lines.String(), err), cmd.Wait())
		}
	}
}

// restoreFromKafka measures how fast an instance without a disk has its tables.
func (b bench) restoreFromKafka(ctx context.Context) (result, error) { return b.restored(ctx, "main") }
