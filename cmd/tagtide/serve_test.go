package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func getJSON(ctx context.Context, url string, to any) error {
	body, err := get(ctx, url)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, to)
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s", resp.Status)
	}
	return io.ReadAll(resp.Body)
}

func TestDemoServesMovingCountsAndMetrics(t *testing.T) {
	cmd := exec.Command(os.Args[0], "run", "--listen", "127.0.0.1:0", "--rate", "500")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	url, rest := address(t, stderr)
	go func() { _, _ = io.Copy(io.Discard, rest) }()
	waitFor(t, url)
	body, err := get(t.Context(), url+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(body)))
	if err != nil {
		t.Fatalf("Prometheus' own parser: %v", err)
	}
	for _, name := range []string{
		"tagtide_build_info", "tagtide_processor_records_total", "tagtide_processor_partition_lag", "tagtide_processor_task_state",
		"tagtide_processor_commit_duration_seconds", "tagtide_view_lag", "tagtide_view_ready", "tagtide_http_requests_total",
		"tagtide_source_events_total", "tagtide_posts_total", "tagtide_uses", "tagtide_dead_letters_total",
	} {
		if families[name] == nil {
			t.Errorf("no metric %s", name)
		}
	}
}

func TestWrongUsageSaysWhat(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"unknown flag":         {[]string{"run", "--sauce", "demo"}, exitUsage, "--sauce"},
		"unknown command":      {[]string{"rum"}, exitUsage, "rum"},
		"unknown source":       {[]string{"run", "--source", "twitter"}, exitUsage, "--source"},
		"file without input":   {[]string{"run", "--source", "file"}, exitUsage, "--input"},
		"endless once":         {[]string{"run", "--once"}, exitUsage, "--posts"},
		"source twice":         {[]string{"run", "--source", "demo", "--source", "demo"}, exitUsage, "--source demo"},
		"none and another":     {[]string{"run", "--source", "none", "--source", "demo"}, exitUsage, "--source none"},
		"server of a file":     {[]string{"run", "--source", "file", "--input", "x", "--server", "a"}, exitUsage, "--server"},
		"x without token":      {[]string{"run", "--source", "x", "--track", "a"}, exitUsage, "--token-file"},
		"bad server":           {[]string{"run", "--source", "bluesky", "--server", "ftp://x"}, exitUsage, "--server"},
		"no such token":        {[]string{"run", "--source", "x", "--track", "a", "--token-file", "/no/such/file"}, exitFailed, "/no/such/file"},
		"bad start":            {[]string{"run", "--start", "yesterday"}, exitUsage, "yesterday"},
		"missing file":         {[]string{"run", "--once", "--source", "file", "--input", "/no/such/file"}, exitFailed, "/no/such/file"},
		"no data":              {[]string{"topics", "read", "x", "--data-dir", t.TempDir()}, exitFailed, "--data-dir"},
		"no such topic partit": {[]string{"run", "--partitions", "-1"}, exitUsage, "--partitions"},
		"no topic name":        {[]string{"run", "--once", "--posts", "1", "--group", "a b"}, exitUsage, "--group"},
		"out of its folder":    {[]string{"run", "--once", "--posts", "1", "--group", ".."}, exitUsage, "--group"},
		"group of a topology":  {[]string{"describe", "--group", "a/b"}, exitUsage, "--group"},
		"group of a log":       {[]string{"check", "--group", "a/b"}, exitUsage, "--group"},
		"group too long":       {[]string{"describe", "--group", strings.Repeat("g", 240)}, exitUsage, "--group"},
		"no input topic":       {[]string{"run", "--once", "--posts", "1", "--input-topic="}, exitUsage, "--input-topic"},
		"input is a table":     {[]string{"run", "--once", "--posts", "1", "--input-topic", "hashtags-table"}, exitUsage, "--input-topic"},
		"input has cursors":    {[]string{"emit", "--brokers", "127.0.0.1:1", "--input-topic", "hashtags-cursors-table"}, exitUsage, "--input-topic"},
		"no address":           {[]string{"run", "--listen", "8080"}, exitUsage, "--listen"},
		"no port":              {[]string{"run", "--admin-listen", "127.0.0.1:99999"}, exitUsage, "--admin-listen"},
		"empty brokers":        {[]string{"run", "--once", "--posts", "1", "--brokers="}, exitUsage, "--brokers"},
		"broker without port":  {[]string{"serve", "--brokers", "kafka:9092,kafka"}, exitUsage, `"kafka"`},
		"broker's port":        {[]string{"serve", "--brokers", "kafka:90920"}, exitUsage, "90920"},
		"broker without host":  {[]string{"serve", "--brokers", ":9092"}, exitUsage, "--brokers"},
		"no level":             {[]string{"run", "--log-level", "loud"}, exitUsage, "warn"},
		"topic without a name": {[]string{"topics", "read", ""}, exitUsage, "name"},
		"help for nothing":     {[]string{"help", "rum"}, exitUsage, "rum"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, stderr := do(t, "", c.args...)
			if code != c.code || !strings.Contains(stderr, c.says) {
				t.Errorf("exit %d, want %d; said %q, want it to name %q", code, c.code, stderr, c.says)
			}
			if out != "" {
				t.Errorf("standard output has %q", out)
			}
			if strings.Contains(stderr, "goroutine ") {
				t.Errorf("a stack trace: %s", stderr)
			}
		})
	}
}

// Whoever asks for help, or which version this is, gets it in each usual way.
func TestHelpIsGivenHoweverItIsAskedFor(t *testing.T) {
	for says, asked := range map[string][][]string{
		"Usage: tagtide <command>":   {nil, {"help"}, {"--help"}, {"-h"}},
		"Usage: tagtide run [flags]": {{"help", "run"}, {"run", "--help"}},
		"tagtide topics read <name>": {{"help", "topics", "read"}, {"topics", "read", "--help"}},
		version().line():             {{"version"}, {"--version"}},
	} {
		for _, args := range asked {
			code, out, said := do(t, "", args...)
			if code != exitDone || !strings.Contains(out, says) || said != "" {
				t.Errorf("tagtide %s: exit %d, said %q, printed %q", strings.Join(args, " "), code, said, out)
			}
		}
	}
}

// An address list may have spaces, and an empty variable is not the lack of one.
func TestBrokersAreAList(t *testing.T) {
	c, _ := parsed(t, []string{"serve", "--brokers", "a:1, b:2", "--brokers", "[::1]:3"}, nil)
	if got := strings.Join(c.Serve.Brokers, "|"); got != "a:1|b:2|[::1]:3" {
		t.Errorf("brokers %s", got)
	}
	t.Setenv("TAGTIDE_BROKERS", "")
	code, _, said := do(t, "", "run", "--once", "--posts", "1")
	if code != exitUsage || !strings.Contains(said, "TAGTIDE_BROKERS") {
		t.Errorf("exit %d: %s", code, said)
	}
}

func TestBusyPortNamesTheFlag(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	code, _, stderr := do(t, "", "run", "--listen", l.Addr().String())
	if code != exitFailed || !strings.Contains(stderr, "--listen") || !strings.Contains(stderr, l.Addr().String()) {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestDamagedLinesAreDeadLettersWithTheirPlace(t *testing.T) {
	dir := t.TempDir()
	file, data := filepath.Join(dir, "in.jsonl"), filepath.Join(dir, "data")
	good := `{"id_str":"1","text":"x","entities":{"hashtags":[{"text":"Covid19","indices":[0,1]}]}}`
	another := strings.Replace(good, "1", "6", 1)
	lines := []string{
		good, `{"id_str":"2","text":"cut off`, "not json at all", "{\"id_str\":\"3\",\"text\":\"\xff\xfe\",\"entities\":{\"hashtags\":[]}}",
		`{"id_str":"4","text":"x","entities":{"hashtags":[{"text":7}]}}`, `{"id_str":"5","text":"` + strings.Repeat("x", 10<<20) + `"}`, another,
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, stderr := do(t, "", "run", "--once", "--source", "file", "--input", file, "--output", "ndjson", "--data-dir", data)
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	same(t, "counts", counted(t, out), map[string]int64{"covid19": 2})
	code, out, stderr = do(t, "", "topics", "read", "hashtags-dead", "--data-dir", data)
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	places := map[string]bool{}
	for line := range strings.Lines(out) {
		var r struct{ Headers map[string]string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		for _, h := range []string{"topic", "partition", "offset", "error", "tagtide-source", "tagtide-error"} {
			if r.Headers[h] == "" {
				t.Errorf("dead letter without %s: %v", h, r.Headers)
			}
		}
		places[r.Headers["tagtide-line"]] = true
	}
	for _, line := range []string{"2", "3", "4", "5", "6"} {
		if !places[line] {
			t.Errorf("no dead letter of line %s; there are %v", line, places)
		}
	}
	if len(places) != 5 {
		t.Errorf("dead letters of lines %v", places)
	}
}

func TestASecondUserOfADirectoryIsTold(t *testing.T) {
	data := t.TempDir()
	cmd := exec.Command(os.Args[0], "run", "--listen", "127.0.0.1:0", "--data-dir", data)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	_, rest := address(t, stderr)
	go func() { _, _ = io.Copy(io.Discard, rest) }()
	code, _, said := do(t, "", "run", "--listen", "127.0.0.1:0", "--data-dir", data)
	if code != exitFailed || !strings.Contains(said, data) || !strings.Contains(said, "--data-dir") {
		t.Errorf("exit %d: %s", code, said)
	}
}
