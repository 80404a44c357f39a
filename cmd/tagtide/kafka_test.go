package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// broker starts a development broker, and returns its address.
func broker(t *testing.T) (p *program, address string) {
	t.Helper()
	p = launch(t, "broker", "--listen", "127.0.0.1:0")
	return p, p.said(`broker on (127\.0\.0\.1:\d+), in memory`)
}

// mustDo runs a command line that must succeed.
func mustDo(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	code, out, stderr := do(t, "", args...)
	if code != exitDone {
		t.Fatalf("%s: exit %d: %s%s", strings.Join(args, " "), code, out, stderr)
	}
	return out
}

// Emitter, two processors and a server, a process each: one processor is
// killed and comes back, and everything is counted once.
func TestProcessesOnAKafkaCountOnce(t *testing.T) {
	dir := t.TempDir()
	_, brokers := broker(t)
	file := filepath.Join(dir, "tweets.jsonl")
	want := tweets(t, file, 20_000, 21)
	mustDo(t, "topics", "create", "--brokers", brokers, "--partitions", "4")
	process := func(n int) *program {
		name := fmt.Sprint("process-", n)
		return launch(t, "process", "--brokers", brokers, "--state-dir", filepath.Join(dir, name), "--instance-id", name)
	}
	one, two := process(1), process(2)
	server := launch(t, "serve", "--brokers", brokers, "--state-dir", filepath.Join(dir, "serve-1"), "--listen", "127.0.0.1:0")
	url := server.said(`page on (http://\S+)`)
	emitter := launch(t, "emit", "--brokers", brokers, "--source", "file", "--input", file, "--rate", "10000", "--once")
	eventually(t, url, "some are counted", time.Minute, func(s stats) bool { return s.Data.Posts > 2_000 })
	one.kill()
	one = process(1)
	emitter.ends(exitDone)
	same(t, "after a kill", exported(t, url, 20_000), want)

	late := launch(t, "serve", "--brokers", brokers, "--state-dir", filepath.Join(dir, "serve-2"), "--listen", "127.0.0.1:0")
	same(t, "a server that came late", exported(t, late.said(`page on (http://\S+)`), 20_000), want)

	mustDo(t, "emit", "--brokers", brokers, "--source", "file", "--input", file, "--once")
	same(t, "the same command twice", exported(t, url, 20_000), want)
	for _, p := range []*program{one, two, server, late} {
		p.stop()
	}
	for _, name := range []string{"process-1", "process-2", "serve-1"} {
		out := mustDo(t, "check", "--recount", "--brokers", brokers, "--state-dir", filepath.Join(dir, name))
		if !strings.Contains(out, "table") {
			t.Errorf("check of %s: %s", name, out)
		}
	}
}

// A run on a Kafka, too, counts what a dumb count counts; a reset makes it
// begin anew; and what others may read is not removed.
func TestRunOnAKafka(t *testing.T) {
	dir := t.TempDir()
	_, brokers := broker(t)
	file, data := filepath.Join(dir, "tweets.jsonl"), filepath.Join(dir, "data")
	want := tweets(t, file, 3_000, 22)
	args := []string{"run", "--once", "--brokers", brokers, "--source", "file", "--input", file, "--output", "ndjson", "--data-dir", data}
	same(t, "counts", counted(t, mustDo(t, args...)), want)
	mustDo(t, "check", "--recount", "--brokers", brokers, "--data-dir", data)
	mustDo(t, "reset", "--yes", "--brokers", brokers, "--data-dir", data)
	if _, there := topicRows(t, mustDo(t, "topics", "describe", "--json", "--brokers", brokers))["hashtags-table"]; there {
		t.Error("reset left the table")
	}
	if left, _ := filepath.Glob(filepath.Join(data, "*")); len(left) > 0 {
		t.Errorf("reset left %v", left)
	}
	same(t, "counted anew", counted(t, mustDo(t, args...)), want)
}

// While the brokers are away a server answers with what it has and says so;
// when they are back, it goes on.
func TestServeWhileTheBrokersAreAway(t *testing.T) {
	dir := t.TempDir()
	kafka, brokers := broker(t)
	launch(t, "process", "--brokers", brokers, "--state-dir", filepath.Join(dir, "process"))
	server := launch(t, "serve", "--brokers", brokers, "--state-dir", filepath.Join(dir, "serve"), "--listen", "127.0.0.1:0")
	url := server.said(`page on (http://\S+)`)
	mustDo(t, "emit", "--brokers", brokers, "--posts", "100", "--rate", "0", "--once")
	before := exported(t, url, 100)
	if err := kafka.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, url, "disconnected", time.Minute, func(s stats) bool {
		return s.Meta.State == "disconnected" && s.Meta.Lag == nil && s.Data.Posts == 100
	})
	if err := kafka.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	same(t, "connected again", exported(t, url, 100), before)
	mustDo(t, "emit", "--brokers", brokers, "--posts", "50", "--seed", "2", "--rate", "0", "--once", "--instance-id", "second")
	eventually(t, url, "counting again", time.Minute, func(s stats) bool { return s.Data.Posts == 150 })
}

// States are taken as they are free, and a name that two have is an error that
// says what to do.
func TestStatesAndNamesAreNotShared(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_STATE_HOME", home)
	_, brokers := broker(t)
	for n := 1; n <= 2; n++ {
		p := launch(t, "process", "--brokers", brokers)
		if dir := p.said(`state in (\S+)`); dir != filepath.Join(home, "tagtide", "hashtags", fmt.Sprint("process-", n)) {
			t.Errorf("process %d has its state in %s", n, dir)
		}
	}
	code, _, said := do(t, "", "process", "--brokers", brokers, "--state-dir", filepath.Join(home, "tagtide", "hashtags", "process-1"))
	if code != exitFailed || !strings.Contains(said, "--state-dir") {
		t.Errorf("a directory in use: exit %d: %s", code, said)
	}
	code, _, said = do(t, "", "reset", "--yes", "--brokers", brokers)
	if code != exitFailed || !strings.Contains(said, "stop") {
		t.Errorf("reset under running processors: exit %d: %s", code, said)
	}
	first := launch(t, "emit", "--brokers", brokers, "--rate", "100", "--admin-listen", "127.0.0.1:0")
	url := first.said(`health and profiles on (http://\S+)`)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		body, err := get(t.Context(), url+"/metrics")
		if err == nil && strings.Contains(string(body), "tagtide_emitter_transactions_total") && !strings.Contains(string(body), "tagtide_emitter_transactions_total 0") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing was emitted: %v", err)
		}
	}
	launch(t, "emit", "--brokers", brokers, "--rate", "100")
	first.ends(exitFailed)
	first.said("--instance-id")
}

// What is wrong with the brokers is told in words that name the flag or the
// broker.
func TestBrokersThatAreNone(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	_ = closed.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"none given":       {[]string{"process"}, exitUsage, "--brokers"},
		"no port":          {[]string{"serve", "--brokers", "localhost"}, exitUsage, "localhost"},
		"nobody there":     {[]string{"process", "--brokers", nobody}, exitFailed, nobody},
		"tls without":      {[]string{"run", "--tls"}, exitUsage, "--brokers"},
		"half a pair":      {[]string{"emit", "--brokers", nobody, "--tls-cert", secret}, exitUsage, "--tls-key"},
		"no certificate":   {[]string{"emit", "--brokers", nobody, "--tls-ca", secret}, exitFailed, "--tls-ca"},
		"no such secret":   {[]string{"serve", "--brokers", nobody, "--sasl", "plain", "--sasl-user", "a", "--sasl-password-file", "/no/such/file"}, exitFailed, "--sasl-password-file"},
		"sasl without":     {[]string{"serve", "--brokers", nobody, "--sasl", "plain"}, exitUsage, "--sasl-user"},
		"unknown sasl":     {[]string{"serve", "--brokers", nobody, "--sasl", "gssapi", "--sasl-user", "a", "--sasl-password-file", secret}, exitUsage, "gssapi"},
		"emit nothing":     {[]string{"emit", "--brokers", nobody, "--source", "none"}, exitUsage, "--source"},
		"endless once":     {[]string{"emit", "--brokers", nobody, "--once"}, exitUsage, "--posts"},
		"state of nothing": {[]string{"check", "--state-dir", "x"}, exitUsage, "--brokers"},
		"broker anywhere":  {[]string{"broker", "--listen", "0.0.0.0:0"}, exitUsage, "--listen"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, said := do(t, "", c.args...)
			if code != c.code || !strings.Contains(said, c.says) {
				t.Errorf("exit %d, want %d; said %q, want it to name %q", code, c.code, said, c.says)
			}
		})
	}
}

// Brokers take batches of a megabyte unless told otherwise; topics that we make
// take whatever we may write: here a dead letter of three.
func TestLargeRecordsPassAKafka(t *testing.T) {
	dir := t.TempDir()
	_, brokers := broker(t)
	launch(t, "process", "--brokers", brokers, "--state-dir", filepath.Join(dir, "process"))
	server := launch(t, "serve", "--brokers", brokers, "--state-dir", filepath.Join(dir, "serve"), "--listen", "127.0.0.1:0")
	url := server.said(`page on (http://\S+)`)
	eventually(t, url, "the topics are there", 20*time.Second, func(s stats) bool { return s.Meta.State == "running" })
	long := strings.Repeat("long ", 600_000)
	produce(t, brokers, "tweets", "no post, and "+long, `{"id_str":"1","text":"`+long+`","entities":{"hashtags":[{"text":"large"}]}}`)
	same(t, "a post of 3 MB", exported(t, url, 1), map[string]int64{"large": 1})
	eventually(t, url, "a dead letter of 3 MB", 20*time.Second, func(s stats) bool { return s.Data.DeadLetters == 1 })
}

// produce writes values as a producer that is not ours does.
func produce(t *testing.T, brokers, topic string, values ...string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers), kgo.ProducerBatchMaxBytes(8<<20), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, v := range values {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}
