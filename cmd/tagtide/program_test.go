package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A program is tagtide as a process of its own.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // for after done
	log  words         // what it said on standard error
}

// words are what is said by several at once, each line in one piece.
type words struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// launch starts a program, which does not outlive the test.
func launch(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(os.Args[0], args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), asProgram+"=1")
	p.cmd.Stderr = &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		if t.Failed() {
			_ = p.cmd.Process.Signal(syscall.SIGQUIT) // where is it?
			select {
			case <-p.done:
			case <-time.After(5 * time.Second):
			}
		}
		p.kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", strings.Join(args, " "), p.log.String())
		}
	})
	return p
}

// said waits until the program has said something, and returns the part in
// parentheses.
func (p *program) said(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		ended := isDone(p.done)
		if m := re.FindStringSubmatch(p.log.String()); m != nil {
			return m[len(m)-1]
		}
		if ended {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.t.Fatalf("never said %s, but:\n%s", pattern, p.log.String())
	return ""
}

func isDone(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// kill is kill -9.
func (p *program) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// stop is SIGTERM, which must be a clean end.
func (p *program) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	p.ends(0)
}

// ends waits until the program ends by itself.
func (p *program) ends(code int) {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		p.t.Fatalf("has not ended:\n%s", p.log.String())
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Fatalf("exit %d, want %d: %v\n%s", got, code, p.err, p.log.String())
	}
}

// stats are what a serve answers.
type stats struct {
	Data struct {
		Posts, Uses, Tags int64
		DeadLetters       int64 `json:"dead_letters"`
	}
	Meta struct {
		State string
		Lag   *int64
		AsOf  time.Time `json:"as_of"`
	}
}

// eventually polls a serve until its stats are as wanted.
func eventually(t *testing.T, url, what string, within time.Duration, wanted func(stats) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	var last stats
	for ctx.Err() == nil {
		var s stats
		if err := getJSON(ctx, url+"/api/v1/stats?allow_stale=true", &s); err == nil {
			if last = s; wanted(s) {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s: not within %s; last: %+v", what, within, last)
}

// exported waits until a serve has everything that n posts make, and returns it.
func exported(t *testing.T, url string, n int64) map[string]int64 {
	t.Helper()
	since := time.Now()
	eventually(t, url, "everything counted", 2*time.Minute, func(s stats) bool {
		return s.Meta.State == "running" && s.Meta.Lag != nil && *s.Meta.Lag == 0 && s.Meta.AsOf.After(since) && s.Data.Posts >= n
	})
	body, err := get(t.Context(), url+"/api/v1/export?format=ndjson")
	if err != nil {
		t.Fatal(err)
	}
	var s stats
	if err := getJSON(t.Context(), url+"/api/v1/stats", &s); err != nil || s.Data.Posts != n {
		t.Errorf("%d posts, want %d (%v)", s.Data.Posts, n, err)
	}
	return counted(t, string(body))
}

// topicRows reads what topics describe --json prints.
func topicRows(t *testing.T, out string) map[string]topicJSON {
	t.Helper()
	rows := map[string]topicJSON{}
	for line := range strings.Lines(out) {
		var row topicJSON
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		rows[row.Topic] = row
	}
	return rows
}
