package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asProgram makes this test binary behave as tagtide: so tests kill and signal
// real processes without building anything.
const asProgram = "TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		_ = os.Unsetenv(asProgram)
		main()
		return
	}
	os.Exit(m.Run())
}

// start starts tagtide as a process of its own.
func start(t *testing.T, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	cmd = exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, stdout, stderr
}

// do runs a command line to its end, in this process.
func do(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err words
	code = tagtide(t.Context(), args, std{strings.NewReader(stdin), &out, &err})
	return code, out.String(), err.String()
}

// tweets writes n tweets of X v1.1 with tags in several spellings, often the
// same one twice in a post, and returns what a dumb count of them gives.
func tweets(t *testing.T, file string, n int, seed uint64) map[string]int64 {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	zipf := rand.NewZipf(r, 1.2, 2, 20_000)
	spell := []func(string) string{strings.ToLower, strings.ToUpper, func(s string) string { return strings.ToUpper(s[:1]) + s[1:] }}
	want := map[string]int64{}
	var b bytes.Buffer
	for i := range n {
		var tags []map[string]any
		seen := map[string]bool{}
		for range r.IntN(5) {
			tag := fmt.Sprintf("tag%d", zipf.Uint64())
			for range 1 + r.IntN(2) {
				tags = append(tags, map[string]any{"text": spell[r.IntN(len(spell))](tag), "indices": []int{0, 1}})
			}
			if !seen[tag] {
				seen[tag] = true
				want[tag]++
			}
		}
		line, err := json.Marshal(map[string]any{
			"created_at": "Fri Apr 03 12:00:00 +0000 2020", "id_str": fmt.Sprint(1e15 + float64(i)), "text": "some text",
			"entities": map[string]any{"hashtags": tags}, "user": map[string]any{"id_str": "1"}, "lang": "en",
		})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return want
}

// counted reads what run --output ndjson printed, and checks its order.
func counted(t *testing.T, out string) map[string]int64 {
	t.Helper()
	got := map[string]int64{}
	type row struct {
		Tag   string `json:"tag"`
		Count int64  `json:"count"`
	}
	var last row
	for line := range strings.Lines(out) {
		var r row
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		if len(got) > 0 && (r.Count > last.Count || r.Count == last.Count && r.Tag <= last.Tag) {
			t.Fatalf("%v stands behind %v", r, last)
		}
		got[r.Tag], last = r.Count, r
	}
	return got
}

func same(t *testing.T, what string, got, want map[string]int64) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	shown := 0
	for _, tag := range slices.Sorted(maps.Keys(want)) {
		if got[tag] != want[tag] && shown < 10 {
			t.Errorf("%s: %s has %d, want %d", what, tag, got[tag], want[tag])
			shown++
		}
	}
	t.Fatalf("%s: %d tags, want %d", what, len(got), len(want))
}

func TestOnceCountsWhatADumbCountCounts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tweets.jsonl")
	want := tweets(t, file, 50_000, 1)
	code, out, stderr := do(t, "", "run", "--once", "--source", "file", "--input", file, "--output", "ndjson")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	same(t, "counts", counted(t, out), want)
}

func TestKillNineTenTimesCountsOnce(t *testing.T) {
	dir := t.TempDir()
	file, data := filepath.Join(dir, "tweets.jsonl"), filepath.Join(dir, "data")
	want := tweets(t, file, 30_000, 2)
	args := []string{"run", "--once", "--source", "file", "--input", file, "--output", "ndjson", "--data-dir", data, "--rate", "12000"}
	r := rand.New(rand.NewPCG(3, 3))
	killed := 0
	for range 10 {
		cmd, _, stderr := start(t, args...)
		time.Sleep(100*time.Millisecond + time.Duration(r.IntN(350))*time.Millisecond) // when it strikes must not be known
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			killed++
		} else {
			t.Logf("ended before it was killed: %s", stderr)
		}
	}
	if killed < 3 {
		t.Fatalf("only %d of 10 kills struck a running process", killed)
	}
	code, out, stderr := do(t, "", slices.Concat(args[:len(args)-2])...)
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	same(t, "after ten kills", counted(t, out), want)
	code, out, stderr = do(t, "", "run", "--once", "--source", "none", "--output", "ndjson", "--data-dir", data)
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	same(t, "with --source none", counted(t, out), want)
	code, out, stderr = do(t, "", "check", "--data-dir", data)
	if code != exitDone {
		t.Fatalf("check: exit %d: %s%s", code, out, stderr)
	}
}

func TestTheSameCommandTwiceSkipsTheFile(t *testing.T) {
	dir := t.TempDir()
	file, data := filepath.Join(dir, "tweets.jsonl"), filepath.Join(dir, "data")
	want := tweets(t, file, 2_000, 4)
	args := []string{"run", "--once", "--source", "file", "--input", file, "--output", "ndjson", "--data-dir", data}
	for range 2 {
		code, out, stderr := do(t, "", args...)
		if code != exitDone {
			t.Fatalf("exit %d: %s", code, stderr)
		}
		same(t, "counts", counted(t, out), want)
	}
	code, out, stderr := do(t, "", append(args, "--again")...)
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	same(t, "read again", counted(t, out), want) // each post counts once
}

func TestTopicsReadShowsTheTable(t *testing.T) {
	dir := t.TempDir()
	file, data := filepath.Join(dir, "tweets.jsonl"), filepath.Join(dir, "data")
	want := tweets(t, file, 1_000, 5)
	if code, _, stderr := do(t, "", "run", "--once", "--source", "file", "--input", file, "--data-dir", data); code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	code, out, stderr := do(t, "", "topics", "read", "hashtags-table", "--data-dir", data)
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	got := map[string]int64{}
	for line := range strings.Lines(out) {
		var r struct{ Key, Value string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(r.Value, new(int64)); err != nil {
			t.Fatalf("value %q is not decimal: %v", r.Value, err)
		}
		var n int64
		fmt.Sscan(r.Value, &n)
		got[r.Key] = n
	}
	same(t, "table", got, want)
}

// address waits until a process has said where its page is.
func address(t *testing.T, stderr io.Reader) (url string, rest *bufio.Reader) {
	t.Helper()
	r := bufio.NewReader(stderr)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("no address: %v", err)
		}
		if m := regexp.MustCompile(`page on (http://\S+)`).FindStringSubmatch(line); m != nil {
			return m[1], r
		}
	}
}

func TestSigtermIsACleanEnd(t *testing.T) {
	data := t.TempDir()
	cmd := exec.Command(os.Args[0], "run", "--listen", "127.0.0.1:0", "--rate", "200", "--data-dir", data)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	url, rest := address(t, stderr)
	waitFor(t, url)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(rest)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("after SIGTERM: %v\n%s", err, said)
	}
	// Count what was emitted before the end and not yet counted.
	if code, _, stderr := do(t, "", "run", "--source", "none", "--listen", "127.0.0.1:0", "--once", "--data-dir", data); code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
}

// waitFor polls until the counts move.
func waitFor(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		var out struct {
			Data struct{ Posts int64 }
		}
		if err := getJSON(ctx, url+"/api/v1/stats", &out); err == nil && out.Data.Posts > 20 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("nothing was counted within 30 s")
}
