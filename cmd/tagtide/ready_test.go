package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream"
)

func TestAProcessorIsReadyWhenAllItsTasksRun(t *testing.T) {
	running := stream.TaskInfo{Task: "0_0", State: "running", Restored: 1}
	restoring := stream.TaskInfo{Task: "0_1", State: "restoring", Restored: 0.5}
	for name, c := range map[string]struct {
		joined bool
		tasks  []stream.TaskInfo
		ok     bool
		says   string
	}{
		"not joined": {false, nil, false, "not in the group"},
		"idle":       {true, nil, true, "idle"},
		"restoring":  {true, []stream.TaskInfo{running, restoring}, false, "1 of 2 tasks run, 75 % restored"},
		"running":    {true, []stream.TaskInfo{running, running}, true, "2 of 2 tasks run"},
	} {
		if check := checkTasks(c.joined, c.tasks); check.OK != c.ok || !strings.Contains(check.Detail, c.says) {
			t.Errorf("%s: %+v", name, check)
		}
	}
}

// Each process says by itself when it is ready, wherever it is asked; a server
// of a group that is not there says what it waits for.
func TestReadinessIsToldByEachProcess(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	_, brokers := broker(t)
	serve := launch(t, "serve", "--brokers", brokers, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	serve.said("(--group)")
	page, admin := serve.said(`page on (http://\S+)`), serve.said(`health and profiles on (http://\S+)`)
	for _, url := range []string{page, admin} {
		if code, body := readiness(t, url); code != http.StatusServiceUnavailable || !strings.Contains(body, "counts") {
			t.Errorf("before there is anything to serve: %d %s", code, body)
		}
	}
	process := launch(t, "process", "--brokers", brokers, "--admin-listen", "127.0.0.1:0")
	for url, check := range map[string]string{process.said(`health and profiles on (http://\S+)`): "8 of 8 tasks run", page: "counts", admin: "counts"} {
		code, body := 0, ""
		for deadline := time.Now().Add(30 * time.Second); code != http.StatusOK && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			code, body = readiness(t, url)
		}
		if code != http.StatusOK || !strings.Contains(body, check) {
			t.Errorf("%s: %d %s", url, code, body)
		}
	}
}

func readiness(t *testing.T, url string) (code int, body string) {
	t.Helper()
	resp, err := http.Get(url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b.String()
}

// Whoever is told to stop while brokers do not answer has stopped cleanly, and
// a check that was not finished has found nothing.
func TestStoppedWhileItConnects(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	brokers := silent.Addr().String()
	for command, want := range map[string]int{"process": exitDone, "serve --listen 127.0.0.1:0": exitDone, "run --listen 127.0.0.1:0": exitDone, "check": exitFailed} {
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, stop)
		var out, said words
		code := tagtide(ctx, append(strings.Fields(command), "--brokers", brokers), std{strings.NewReader(""), &out, &said})
		if code != want {
			t.Errorf("%s: exit %d: %s", command, code, said.String())
		}
		stop()
	}
}

// All topics of a group are there after topics create: nobody needs to be
// allowed to create any.
func TestCreatedTopicsAreAll(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	_, brokers := broker(t)
	before := mustDo(t, "topics", "create", "--brokers", brokers, "--partitions", "3")
	mustDo(t, "emit", "--once", "--posts", "30", "--rate", "0", "--brokers", brokers, "--no-create-topics")
	out := mustDo(t, "run", "--once", "--source", "none", "--brokers", brokers, "--no-create-topics")
	if !strings.Contains(out, "30 posts") {
		t.Errorf("printed %s", out)
	}
	for line := range strings.Lines(mustDo(t, "topics", "describe", "--brokers", brokers)) {
		if name, _, _ := strings.Cut(line, " "); !strings.Contains(before, name) {
			t.Errorf("topics create did not tell of %s", name)
		}
	}
}
