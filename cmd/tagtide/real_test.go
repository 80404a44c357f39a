//go:build kafka

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tagtide/tagtide/internal/kafkanode"
)

// shared is the Kafka that all tests use.
func shared(t *testing.T) (brokers string, nodes int) {
	t.Helper()
	brokers = os.Getenv("TAGTIDE_TEST_KAFKA")
	if brokers == "" {
		t.Fatal("TAGTIDE_TEST_KAFKA=host:port,… is not set; make test-kafka starts a Kafka and sets it")
	}
	return brokers, strings.Count(brokers, ",") + 1
}

// ownKafka starts a Kafka that a test may take apart.
func ownKafka(t *testing.T, o kafkanode.Options) *kafkanode.Cluster {
	t.Helper()
	o.Brief = true
	c, err := kafkanode.Start(t.Context(), o)
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

// A fleet is a group of processes on a Kafka, by name, with a group and an
// input of their own.
type fleet struct {
	t        *testing.T
	dir      string
	kafka    []string // the flags that say where, and which group
	programs map[string]*program
	args     map[string][]string
	// mayGiveUp is the program that may end by itself, and is then started again.
	mayGiveUp string
}

func newFleet(t *testing.T, brokers string) *fleet {
	group := fmt.Sprintf("g%x", rand.Uint32())
	return &fleet{
		t: t, dir: t.TempDir(), kafka: []string{"--brokers", brokers, "--group", group, "--input-topic", group + "-tweets"},
		programs: map[string]*program{}, args: map[string][]string{},
	}
}

// do runs a command to its end.
func (f *fleet) do(args ...string) string {
	f.t.Helper()
	return mustDo(f.t, append(args, f.kafka...)...)
}

func (f *fleet) launch(name string, args ...string) *program {
	f.args[name] = args
	f.programs[name] = launch(f.t, append(args, f.kafka...)...)
	return f.programs[name]
}

func (f *fleet) state(name string) string { return filepath.Join(f.dir, name) }

func (f *fleet) process(n int, more ...string) *program {
	name := fmt.Sprint("process-", n)
	args := append([]string{"process", "--state-dir", f.state(name), "--standbys", "1"}, more...)
	if n%2 == 0 { // half of them come back under their name, the others as strangers
		args = append(args, "--instance-id", name)
	}
	return f.launch(name, args...)
}

func (f *fleet) serve() (url string) {
	p := f.launch("serve", "serve", "--state-dir", f.state("serve"), "--listen", "127.0.0.1:0")
	return p.said(`page on (http://\S+)`)
}

// again starts a program that was killed, or that gave up, as an operator's
// supervisor would.
func (f *fleet) again(name string) { f.launch(name, f.args[name]...) }

// supervise starts again what has ended by itself, but for what was done: a
// fault, unless it may, or was started while there was no broker.
func (f *fleet) supervise() {
	f.t.Helper()
	for name, p := range f.programs {
		if !isDone(p.done) || p.cmd.ProcessState.ExitCode() == exitDone {
			continue
		}
		if name != f.mayGiveUp && !p.startedInVain() {
			f.t.Errorf("%s gave up", name)
		}
		f.t.Logf("%s ended: %v\n%s", name, p.err, p.log.String())
		f.again(name)
	}
}

// startedInVain tells whether a program has ended because there was no broker
// when it began: mostly that is a wrong address, so it says so and does not wait.
func (p *program) startedInVain() bool {
	said := p.log.String()
	begun := strings.Contains(said, "tasks of this instance") || strings.Contains(said, "msg=reading")
	return !begun && strings.Contains(said, "tagtide: ") && strings.Contains(said, "the log cannot answer for now")
}

// audit ends all programs cleanly, and checks every state and the table.
func (f *fleet) audit() {
	f.t.Helper()
	for name, p := range f.programs {
		if !isDone(p.done) {
			p.stop()
		}
		if !strings.HasPrefix(name, "process") && name != "serve" {
			delete(f.programs, name)
		}
	}
	recount := []string{"--recount"}
	for name := range f.programs {
		if out := f.do(append([]string{"check", "--state-dir", f.state(name)}, recount...)...); strings.Contains(out, "FAULT") {
			f.t.Errorf("check of %s:\n%s", name, out)
		}
		recount = nil // once is enough
	}
}

// Whatever is killed, whenever: processors, the emitter and brokers, everything
// is counted once.
func TestKillLoopCountsOnce(t *testing.T) {
	t.Parallel()
	_, nodes := shared(t)
	kafka := ownKafka(t, kafkanode.Options{Nodes: nodes})
	f := newFleet(t, strings.Join(kafka.Addresses(), ","))
	const posts = 40_000
	file := filepath.Join(f.dir, "tweets.jsonl")
	want := tweets(t, file, posts, 31)
	f.do("topics", "create", "--partitions", "8")
	for n := range 4 {
		f.process(n)
	}
	url := f.serve()
	emit := []string{"emit", "--source", "file", "--input", file, "--once"}
	f.launch("emit", append(emit, "--rate", "1000")...)
	eventually(t, url, "some are counted", time.Minute, func(s stats) bool { return s.Data.Posts > 500 })
	r := rand.New(rand.NewPCG(1, uint64(len(kafka.Addresses()))))
	kills := map[string]int{}
	for i := range 24 {
		switch {
		case i%8 == 7:
			n := kafka.Nodes()[r.IntN(len(kafka.Nodes()))]
			if err := n.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := n.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			kills["broker"]++
		case i%4 == 1:
			f.programs["emit"].kill()
			f.again("emit")
			kills["emitter"]++
		default:
			name := fmt.Sprint("process-", r.IntN(4))
			f.programs[name].kill()
			f.again(name)
			kills["processor"]++
		}
		time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond) // when the next one strikes must not be known
		f.supervise()
	}
	t.Logf("killed: %v", kills)
	f.programs["emit"].kill()
	f.launch("emit", emit...).ends(exitDone)
	f.supervise()
	same(t, "after all kills", exported(t, url, posts), want)
	f.audit()
}

// A processor that sleeps for longer than its session wakes up as a zombie: the
// others have its work, and nothing that it does then counts.
func TestZombieCountsNothing(t *testing.T) {
	t.Parallel()
	brokers, _ := shared(t)
	f := newFleet(t, brokers)
	const posts, session = 12_000, 6 * time.Second // the least that brokers take
	file := filepath.Join(f.dir, "tweets.jsonl")
	want := tweets(t, file, posts, 32)
	f.do("topics", "create", "--partitions", "8")
	sleeper := f.process(0, "--session-timeout", session.String())
	f.process(1)
	url := f.serve()
	f.launch("emit", "emit", "--source", "file", "--input", file, "--once", "--rate", "1000")
	eventually(t, url, "some are counted", time.Minute, func(s stats) bool { return s.Data.Posts > 500 })
	if err := sleeper.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	slept := time.Now()
	eventually(t, url, "the other one has all the work", time.Minute, func(s stats) bool {
		return time.Since(slept) > session+2*time.Second && s.Data.Posts > 6_000
	})
	if err := sleeper.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	f.programs["emit"].ends(exitDone)
	same(t, "with a zombie", exported(t, url, posts), want)
	f.audit()
}

// Processors that keep their claims are restarted one after the other, and no
// task moves: each has its own again in the generation that it left.
func TestARollingRestartMovesNoTask(t *testing.T) {
	t.Parallel()
	brokers, _ := shared(t)
	f := newFleet(t, brokers)
	const posts, processors = 10_000, 3
	file := filepath.Join(f.dir, "tweets.jsonl")
	want := tweets(t, file, posts, 34)
	f.do("topics", "create", "--partitions", "6")
	for n := range processors {
		name := fmt.Sprint("process-", n)
		f.launch(name, "process", "--state-dir", f.state(name), "--instance-id", name, "--keep-claims", "--session-timeout", "30s")
	}
	url := f.serve()
	f.launch("emit", "emit", "--source", "file", "--input", file, "--once", "--rate", "1000")
	told := func() (n int) {
		for _, p := range f.programs {
			n += strings.Count(p.log.String(), "tasks of this instance")
		}
		return n
	}
	last, since := 0, time.Now()
	eventually(t, url, "the work is divided, for good", time.Minute, func(s stats) bool {
		if n := told(); n > last {
			last, since = n, time.Now()
		}
		return s.Data.Posts > 1_000 && last >= processors && time.Since(since) > 2*time.Second
	})
	tasks := func(p *program) string { return p.said(`(generation=.*to_release=0)`) }
	first := map[string]string{}
	for round := range 2 {
		for n := range processors {
			name := fmt.Sprint("process-", n)
			f.programs[name].stop()
			delete(f.programs, name)
			before := told()
			f.again(name)
			if has := tasks(f.programs[name]); round == 0 {
				first[name] = has
			} else if has != first[name] {
				t.Errorf("%s came back to %s, and before to %s", name, has, first[name])
			}
			if after := told(); after != before+1 {
				t.Errorf("while %s was restarted, others were told of other tasks", name)
			}
		}
	}
	f.programs["emit"].ends(exitDone)
	same(t, "after two rolling restarts", exported(t, url, posts), want)
	f.audit()
}

// From one processor to four and back, cleanly, while posts arrive.
func TestOneToFourAndBack(t *testing.T) {
	t.Parallel()
	brokers, _ := shared(t)
	f := newFleet(t, brokers)
	const posts = 20_000
	file := filepath.Join(f.dir, "tweets.jsonl")
	want := tweets(t, file, posts, 33)
	f.do("topics", "create", "--partitions", "8")
	f.process(0)
	url := f.serve()
	f.launch("emit", "emit", "--source", "file", "--input", file, "--once", "--rate", "1000")
	reached := func(n int64) {
		eventually(t, url, fmt.Sprint(n, " are counted"), time.Minute, func(s stats) bool { return s.Data.Posts > n })
	}
	for n := 1; n < 4; n++ {
		reached(int64(2_000 * n))
		f.process(n)
	}
	for n := 0; n < 3; n++ {
		reached(int64(8_000 + 2_000*n))
		f.programs[fmt.Sprint("process-", n)].stop()
	}
	f.programs["emit"].ends(exitDone)
	same(t, "after the last one has done the rest alone", exported(t, url, posts), want)
	f.audit()
}

// A server answers while there is no broker at all for a minute, and everything
// resumes by itself: no program ends.
func TestAllBrokersAway(t *testing.T) {
	t.Parallel()
	kafka := ownKafka(t, kafkanode.Options{})
	f := newFleet(t, strings.Join(kafka.Addresses(), ","))
	f.process(0)
	url := f.serve()
	f.launch("emit", "emit", "--rate", "200")
	eventually(t, url, "some are counted", time.Minute, func(s stats) bool { return s.Data.Posts > 200 })
	for _, n := range kafka.Nodes() {
		if err := n.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	away := time.Now()
	var before int64
	eventually(t, url, "disconnected", 2*time.Minute, func(s stats) bool {
		before = s.Data.Posts
		return s.Meta.State == "disconnected" && s.Meta.Lag == nil && time.Since(away) > time.Minute
	})
	started := make(chan error)
	for _, n := range kafka.Nodes() { // they need one another
		go func() { started <- n.Start(t.Context()) }()
	}
	for range kafka.Nodes() {
		if err := <-started; err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, url, "counting again", 2*time.Minute, func(s stats) bool { return s.Meta.State == "running" && s.Data.Posts > before+200 })
	f.supervise()
	f.programs["emit"].stop()
	since := time.Now()
	eventually(t, url, "all counted", time.Minute, func(s stats) bool {
		return s.Meta.Lag != nil && *s.Meta.Lag == 0 && s.Meta.AsOf.After(since)
	})
	f.audit()
}
