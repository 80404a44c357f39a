//go:build unix

package kafkanode

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestJavaIsAskedForItsVersion(t *testing.T) {
	for out, want := range map[string]int{
		"openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime":        17,
		`java version "1.8.0_392"`:                                       8,
		`openjdk version "25" 2025-09-16`:                                25,
		"Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version \"21-ea\"": 21,
		"who is there?": 0,
	} {
		if got := majorVersion([]byte(out)); got != want {
			t.Errorf("%q is version %d, want %d", out, got, want)
		}
	}
}

// What is missing is named, and what to do about it.
func TestWhatIsMissingIsNamed(t *testing.T) {
	home := t.TempDir()
	fake := func(name, script string) {
		if err := os.MkdirAll(filepath.Join(home, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, "bin", name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", filepath.Join(home, "bin"))
	options := Options{Cache: t.TempDir()}
	expect := func(words ...string) {
		t.Helper()
		c, err := Start(t.Context(), options)
		if err == nil {
			err = errors.Join(errors.New("it started"), c.Close())
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("said %q, want it to name %q", err, w)
			}
		}
	}
	expect("Java 17", "openjdk-17-jre-headless")
	fake("java", `echo 'openjdk version "11.0.2"' >&2`)
	expect("Java 17", "is 11", "JAVA_HOME")
	fake("java", `echo 'openjdk version "17.0.2"' >&2`)
	expect("Maven", "install")
	fake("mvn", "echo no route to registry; exit 1")
	expect("Maven", "no route to registry")
	if left, _ := filepath.Glob(filepath.Join(options.Cache, "resolving-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestABusyPortIsNamed(t *testing.T) {
	busy, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	c := &Cluster{options: Options{Nodes: 1, Progress: io.Discard}, dir: t.TempDir()}
	n := &Node{cluster: c, id: 1, dir: c.dir, ports: map[Listener]int{}}
	for _, l := range c.options.listeners() {
		n.ports[l] = portOf(busy)
	}
	if err := n.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "is busy") {
		t.Errorf("started on a busy port: %v", err)
	}
}

// The words that tell that a node is ready may come in any pieces.
func TestReadyIsHeardInPieces(t *testing.T) {
	for size := 1; size < 40; size++ {
		file, err := os.Create(filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		o := &output{file: file, ready: make(chan struct{})}
		text := strings.Repeat("x", 17) + "Kafka Server start, " + readyWords + ".\n" + readyWords
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if _, err := o.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		select {
		case <-o.ready:
		default:
			t.Errorf("not heard in pieces of %d", size)
		}
		if got, err := os.ReadFile(file.Name()); err != nil || string(got) != text {
			t.Errorf("written: %q, %v", got, err)
		}
		_ = file.Close()
	}
}
