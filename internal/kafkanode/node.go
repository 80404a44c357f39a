//go:build unix

package kafkanode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// How long a node may take to start and to stop. It takes about 5 s for the
// one and 2 s for the other; a busy machine takes longer, and the last of
// several nodes waits for a quorum that is no more.
const (
	startTimeout = 2 * time.Minute
	stopTimeout  = 30 * time.Second
)

// A Node is one process of a cluster.
type Node struct {
	cluster *Cluster
	id      int
	dir     string
	ports   map[Listener]int
	process *process // nil before the first start
}

// A process is one life of a node.
type process struct {
	cmd    *exec.Cmd
	output *output
	told   atomic.Bool   // to end
	done   chan struct{} // closed when it has ended
	err    error         // why it did; for after done
}

// ID is the node's id in the cluster.
func (n *Node) ID() int { return n.id }

// Address is where a listener listens, host:port.
func (n *Node) Address(l Listener) string { return fmt.Sprintf("127.0.0.1:%d", n.ports[l]) }

// Log is the file in which the node writes what it does.
func (n *Node) Log() string { return filepath.Join(n.dir, "kafka.log") }

func (n *Node) config() string { return filepath.Join(n.dir, "server.properties") }

// prepare writes the configuration and, the first time, formats the storage.
func (n *Node) prepare(ctx context.Context) error {
	if err := os.WriteFile(n.config(), []byte(n.cluster.properties(n)), 0o600); err != nil {
		return fmt.Errorf("configure node %d: %w", n.id, err)
	}
	if there(filepath.Join(n.dir, "data", "meta.properties")) {
		return nil
	}
	c := n.cluster
	args := slices.Concat(c.flags, brief, []string{"-cp", c.classPath, "kafka.tools.StorageTool"}, c.formatArgs(n))
	if out, err := exec.CommandContext(ctx, c.java, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("format the storage of node %d: %w\n%s", n.id, err, tail(out, 20))
	}
	return nil
}

// brief are the flags of a JVM that is not to run for long.
var brief = []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}

func (o *Options) flags() []string {
	if o.Brief {
		return brief
	}
	return nil
}

// Start starts the node, again if it was stopped or killed, and returns when
// it serves.
func (n *Node) Start(ctx context.Context) error {
	if n.running() {
		return fmt.Errorf("node %d runs already", n.id)
	}
	for _, l := range n.cluster.options.listeners() {
		if err := n.portFree(n.ports[l]); err != nil {
			return err
		}
	}
	p, err := n.spawn()
	if err != nil {
		return fmt.Errorf("start node %d: %w", n.id, err)
	}
	n.process = p
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case <-p.output.ready:
		return nil
	case <-p.done:
		return fmt.Errorf("node %d ended while it started, its last words:\n%s", n.id, n.lastWords())
	case <-ctx.Done():
		err := fmt.Errorf("wait for node %d, its last words:\n%s\n%w", n.id, n.lastWords(), ctx.Err())
		return errors.Join(err, n.Kill())
	}
}

// portFree tells whether the node could listen.
func (n *Node) portFree(port int) error {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %d, which node %d needs, is busy: is another Kafka running? Stop it, or choose another first port", port, n.id)
	}
	if err != nil {
		return fmt.Errorf("try port %d: %w", port, err)
	}
	return l.Close()
}

// spawn starts the process, and a goroutine that waits for its end. The
// goroutine keeps its thread: the kernel ends the child with that.
func (n *Node) spawn() (*process, error) {
	file, err := os.OpenFile(n.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	c := n.cluster
	p := &process{output: &output{file: file, ready: make(chan struct{})}, done: make(chan struct{})}
	p.cmd = exec.Command(c.java, slices.Concat(c.flags, c.options.flags(), []string{
		"-Xms128m", fmt.Sprintf("-Xmx%dm", c.options.HeapMB), "-Djava.awt.headless=true",
		"-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
		"-cp", c.classPath, "kafka.Kafka", n.config(),
	})...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.SysProcAttr = attributes()
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
		_ = file.Close()
		if !p.told.Load() && err == nil {
			select {
			case c.ended <- n:
			default: // enough others are there to be told of
			}
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		<-p.done
		return nil, err
	}
	return p, nil
}

func (n *Node) running() bool {
	if n.process == nil {
		return false
	}
	select {
	case <-n.process.done:
		return false
	default:
		return true
	}
}

// Stop ends the node cleanly, also one that is paused. One that does not run
// is left alone.
func (n *Node) Stop() error {
	if !n.running() {
		return nil
	}
	n.process.told.Store(true)
	if err := n.signal(syscall.SIGTERM, syscall.SIGCONT); err != nil {
		return err
	}
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-n.process.done:
		return nil
	case <-timer.C:
		return n.Kill()
	}
}

// Kill ends the node at once, as kill -9 does.
func (n *Node) Kill() error {
	if !n.running() {
		return nil
	}
	n.process.told.Store(true)
	if err := n.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-n.process.done
	return nil
}

// Pause stops the node's clock: it keeps its connections and answers nothing.
func (n *Node) Pause() error { return n.signal(syscall.SIGSTOP) }

// Resume ends a pause.
func (n *Node) Resume() error { return n.signal(syscall.SIGCONT) }

func (n *Node) signal(signals ...syscall.Signal) error {
	if !n.running() {
		return fmt.Errorf("node %d does not run", n.id)
	}
	for _, s := range signals {
		if err := n.process.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("signal node %d: %w", n.id, err)
		}
	}
	return nil
}

// lastWords are the end of the node's log.
func (n *Node) lastWords() string {
	data, err := os.ReadFile(n.Log())
	if err != nil {
		return err.Error()
	}
	return string(tail(data, 25))
}

// tail is the last lines of a text.
func tail(text []byte, lines int) []byte {
	all := bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n"))
	return bytes.Join(all[max(0, len(all)-lines):], []byte("\n"))
}

// An output writes what a node says into a file, and notices when it is ready.
// For one goroutine.
type output struct {
	file  *os.File
	ready chan struct{} // closed when the node has said that it serves
	heard string        // the end of what was said, until it is ready
	told  bool
}

const readyWords = "Kafka Server started"

// Write takes what the node says.
func (o *output) Write(p []byte) (int, error) {
	if !o.told {
		o.heard += string(p)
		if strings.Contains(o.heard, readyWords) {
			o.told = true
			close(o.ready)
		}
		o.heard = o.heard[max(0, len(o.heard)-len(readyWords)):]
	}
	return o.file.Write(p)
}
