//go:build kafka

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// python is a Python with the client that the article's producer uses.
func python(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
	}
	run("python3", "-m", "venv", dir)
	bin := filepath.Join(dir, "bin", "python")
	run(bin, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "kafka-python==3.0.12")
	return bin
}

// The article's producer works unchanged: raw tweets without a key.
func TestTheArticlesProducerIsCounted(t *testing.T) {
	t.Parallel()
	brokers, _ := shared(t)
	dir, group, topic := t.TempDir(), fmt.Sprintf("article%x", rand.Uint32()), fmt.Sprintf("corona_virus_%x", rand.Uint32())
	where := []string{"--brokers", brokers, "--group", group}
	processor := launch(t, append([]string{"process"}, append(where, "--input-topic", topic, "--state-dir", filepath.Join(dir, "process"))...)...)
	server := launch(t, append([]string{"serve"}, append(where, "--input-topic", topic, "--state-dir", filepath.Join(dir, "serve"), "--listen", "127.0.0.1:0")...)...)
	url := server.said(`page on (http://\S+)`)

	file := filepath.Join(dir, "tweets.jsonl")
	const n = 3000
	want := tweets(t, file, n, 5)
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	producer := exec.CommandContext(t.Context(), python(t), filepath.Join("testdata", "article_producer.py"), brokers, topic)
	producer.Stdin = in
	if out, err := producer.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != fmt.Sprint(n) {
		t.Fatalf("the producer: %v\n%s", err, out)
	}
	same(t, "what the article's producer sent", exported(t, url, n), want)
	processor.stop()
	server.stop()
}
