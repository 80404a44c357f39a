//go:build unix

// Package kafkanode runs a real Apache Kafka of one or several nodes on this
// machine, for tests and for development: KRaft, no Docker, nothing but Java
// and, the first time, Maven.
//
// Tests also take it apart: a [Node] can be stopped, killed, paused, and
// started again, and comes back at the same addresses with its data. The
// processes end with the one that started them, however that ends (on Linux).
package kafkanode

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	randv2 "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Options tune a cluster. The zero value is one node on free ports, whose data
// go when it is closed.
type Options struct {
	// Nodes, each broker and controller; default 1. Replication is over all
	// of them, and a majority must be in sync.
	Nodes int
	// Dir keeps the data between runs; default a temporary one.
	Dir string
	// Port of the first node, the others follow; default free ones.
	Port int
	// Cache is where the broker's jars are kept; default .kafka in the
	// module's root.
	Cache string
	// JavaHome holds bin/java; default the java on the PATH.
	JavaHome string
	// Brief makes nodes start with less work, and serve with more: for tests that
	// start many and ask little of them.
	Brief bool
	// HeapMB of each node; default 1024 for one node, else 512.
	HeapMB int

	// Users are names with their passwords. With any, there are the listeners
	// SASL, SASLTLS and TLS besides Plaintext.
	Users map[string]string
	// Authorize makes permissions count: users may do what an ACL allows.
	// Who comes without a name, as on Plaintext, may do anything.
	Authorize bool
	// Properties of the brokers, besides and before our own.
	Properties map[string]string

	// Progress is told of what takes time; default nobody.
	Progress io.Writer
}

func (o *Options) ensureDefaults() error {
	o.Nodes = cmp.Or(o.Nodes, 1)
	heap := 1024
	if o.Nodes > 1 {
		heap = 512
	}
	o.HeapMB = cmp.Or(o.HeapMB, heap)
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.Cache == "" {
		root, err := moduleRoot()
		if err != nil {
			return err
		}
		o.Cache = filepath.Join(root, ".kafka")
	}
	return nil
}

// A Cluster is a running Kafka.
type Cluster struct {
	options   Options
	id        string
	dir       string
	temporary bool
	java      string
	classPath string
	flags     []string // of the nodes' JVMs, and of those that format
	nodes     []*Node
	authority *authority // nil without users
	ended     chan *Node // nodes that ended by themselves
}

// Start starts a cluster and returns when all its nodes serve. The caller
// closes it.
func Start(ctx context.Context, o Options) (_ *Cluster, err error) {
	if err := o.ensureDefaults(); err != nil {
		return nil, err
	}
	c := &Cluster{options: o, ended: make(chan *Node, 64)}
	var version []byte
	if c.java, version, err = java(ctx, o.JavaHome); err != nil {
		return nil, err
	}
	if c.classPath, err = classPath(ctx, o.Cache, o.Progress); err != nil {
		return nil, err
	}
	if c.flags, err = c.classArchive(ctx, version); err != nil {
		return nil, err
	}
	if err := c.makeDir(); err != nil {
		return nil, err
	}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) makeDir() (err error) {
	if c.options.Dir == "" {
		c.temporary = true
		c.dir, err = os.MkdirTemp("", "kafka-")
		return err
	}
	if c.dir, err = filepath.Abs(c.options.Dir); err != nil {
		return err
	}
	return os.MkdirAll(c.dir, 0o755)
}

// start formats what is not, and starts the nodes.
func (c *Cluster) start(ctx context.Context) (err error) {
	for i := range c.options.Nodes {
		n := &Node{cluster: c, id: i + 1, dir: filepath.Join(c.dir, fmt.Sprint("node-", i+1))}
		if err := os.MkdirAll(n.dir, 0o755); err != nil {
			return fmt.Errorf("make a node's folder: %w", err)
		}
		c.nodes = append(c.nodes, n)
	}
	if err := c.choosePorts(); err != nil {
		return err
	}
	if len(c.options.Users) > 0 {
		if c.authority, err = newAuthority(c.dir); err != nil {
			return err
		}
	}
	if c.id, err = clusterID(filepath.Join(c.dir, "cluster-id")); err != nil {
		return err
	}
	return c.each(func(n *Node) error {
		if err := n.prepare(ctx); err != nil {
			return err
		}
		return n.Start(ctx)
	})
}

// each does something with all nodes at once.
func (c *Cluster) each(do func(*Node) error) error {
	var g errgroup.Group
	for _, n := range c.nodes {
		g.Go(func() error { return do(n) })
	}
	return g.Wait()
}

// clusterID is the id that a file keeps.
func clusterID(file string) (string, error) {
	if data, err := os.ReadFile(file); err == nil {
		return strings.TrimSpace(string(data)), nil
	}
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails
	raw[0] &= 0x7f           // or it may begin with a dash, and look like a flag
	id := base64.RawURLEncoding.EncodeToString(raw[:])
	return id, os.WriteFile(file, []byte(id+"\n"), 0o644)
}

// choosePorts gives every node a port for each listener.
func (c *Cluster) choosePorts() error {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	for i, n := range c.nodes {
		n.ports = map[Listener]int{}
		for k, l := range c.options.listeners() {
			if c.options.Port > 0 {
				n.ports[l] = c.options.Port + 100*k + i
				continue
			}
			one, err := freePort()
			if err != nil {
				return err
			}
			held = append(held, one)
			n.ports[l] = portOf(one)
		}
	}
	return nil
}

// freePort finds a port that nothing listens on, below those that the kernel
// gives to outgoing connections: one of these could take it while its node is
// down.
func freePort() (l net.Listener, err error) {
	for range 100 {
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 15_000+randv2.IntN(15_000))); err == nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("find a free port: %w", err)
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// Addresses are where clients begin, host:port.
func (c *Cluster) Addresses() []string { return c.AddressesOf(Plaintext) }

// AddressesOf are the addresses of one listener.
func (c *Cluster) AddressesOf(l Listener) []string {
	var addresses []string
	for _, n := range c.nodes {
		addresses = append(addresses, n.Address(l))
	}
	return addresses
}

// Nodes are the nodes; the first one has the id 1. Each is for one goroutine
// at a time.
func (c *Cluster) Nodes() []*Node { return c.nodes }

// Wait returns when ctx ends, without an error, or when a node ends that
// nobody told to.
func (c *Cluster) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case n := <-c.ended:
		return fmt.Errorf("node %d has ended by itself, its last words:\n%s", n.id, n.lastWords())
	}
}

// Close ends all nodes, cleanly where the data are kept, and removes them where
// they are not.
func (c *Cluster) Close() error {
	if c.temporary {
		err := c.each((*Node).Kill)
		return errors.Join(err, os.RemoveAll(c.dir))
	}
	return c.each((*Node).Stop)
}
