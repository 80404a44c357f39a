package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// buried runs a file with three bad lines, and returns the data directory.
func buried(t *testing.T, args ...string) (data string, code int, stderr string) {
	dir := t.TempDir()
	file, data := filepath.Join(dir, "in.jsonl"), filepath.Join(dir, "data")
	good := `{"id_str":"1","text":"x","entities":{"hashtags":[{"text":"Covid19","indices":[0,1]}]}}`
	lines := []string{good, `{"id_str":"2","text":"a secret that is cut off`, "not json \x1b[31m at all", "[]", strings.Replace(good, "1", "3", 1)}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr = do(t, "", append([]string{"run", "--once", "--source", "file", "--input", file, "--data-dir", data}, args...)...)
	return data, code, stderr
}

// dead lists dead letters.
func dead(t *testing.T, data string, args ...string) (letters []deadJSON) {
	t.Helper()
	code, out, stderr := do(t, "", append([]string{"dead", "list", "--json", "--data-dir", data}, args...)...)
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	for line := range strings.Lines(out) {
		var d deadJSON
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatal(err)
		}
		letters = append(letters, d)
	}
	return letters
}

func TestDeadLettersAreListedAndReplayedOnce(t *testing.T) {
	data, code, stderr := buried(t)
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	first := dead(t, data)
	if len(first) != 3 || first[0].Topic != "tweets" || first[0].Error == "" || first[0].Size == 0 || first[0].Timestamp.IsZero() {
		t.Fatalf("listed %+v", first)
	}
	code, out, stderr := do(t, "no\n", "dead", "replay", "--data-dir", data)
	if code != exitFailed || !strings.Contains(stderr, "3 to tweets") || out != "" {
		t.Errorf("asked and told no: exit %d: %s%s", code, out, stderr)
	}
	code, out, stderr = do(t, "", "dead", "replay", "--dry-run", "--data-dir", data)
	if code != exitDone || !strings.Contains(stderr, "3 to tweets") || out != "" {
		t.Errorf("--dry-run: exit %d: %s%s", code, out, stderr)
	}
	for _, sent := range []string{"3 records sent back\n", ""} {
		code, out, stderr = do(t, "", "dead", "replay", "--yes", "--data-dir", data)
		if code != exitDone || out != sent {
			t.Errorf("exit %d: %q: %s", code, out, stderr)
		}
	}
	if left := dead(t, data); len(left) != 0 {
		t.Errorf("after the replay there are %+v", left)
	}
	code, out, stderr = do(t, "", "run", "--once", "--source", "none", "--output", "ndjson", "--data-dir", data)
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	same(t, "counts", counted(t, out), map[string]int64{"covid19": 2})
	again := dead(t, data)
	if len(again) != 3 || len(dead(t, data, "--all")) != 6 {
		t.Fatalf("what failed again: %+v", again)
	}
	for n, d := range again {
		if d.Offset == first[n].Offset && d.Partition == first[n].Partition {
			t.Errorf("%+v is not another record than %+v", d, first[n])
		}
	}
	_, _, stderr = do(t, "no\n", "reset", "--data-dir", data)
	if !strings.Contains(stderr, "3 records of the input are there twice") {
		t.Errorf("reset says %s", stderr)
	}
}

// A damaged line is found again by what is told of it.
func TestDeadListNamesFileAndLine(t *testing.T) {
	data, _, _ := buried(t)
	file := filepath.Join(filepath.Dir(data), "in.jsonl")
	var lines []int64
	for _, d := range dead(t, data) {
		if d.From != file {
			t.Errorf("it is from %q, want %s", d.From, file)
		}
		lines = append(lines, d.Line)
	}
	if slices.Sort(lines); !slices.Equal(lines, []int64{2, 3, 4}) {
		t.Errorf("lines %d", lines)
	}
	table := mustDo(t, "dead", "list", "--data-dir", data)
	for _, line := range lines {
		if place := fmt.Sprintf(" %s:%d ", file, line); strings.Count(table, place) != 1 {
			t.Errorf("no%sin\n%s", place, table)
		}
	}
}

func TestDeadListShowsPostsOnlyOnRequest(t *testing.T) {
	data, _, _ := buried(t)
	for _, format := range [][]string{nil, {"--json"}} {
		for _, preview := range []bool{false, true} {
			args := append([]string{"dead", "list", "--data-dir", data}, format...)
			if preview {
				args = append(args, "--preview")
			}
			_, out, stderr := do(t, "", args...)
			if strings.Contains(out, "a secret") != preview || strings.Contains(out, "\x1b") {
				t.Errorf("%v: %s%s", args, out, stderr)
			}
		}
	}
	if d := dead(t, data, "--match", "no such error"); len(d) != 0 {
		t.Errorf("listed %+v", d)
	}
	all := dead(t, data)
	one := dead(t, data, "--topic", "tweets", "--partition", "0", "--offset", "0,1,2,3,4,5,6,7,8,9")
	for _, d := range one {
		if d.Partition != 0 {
			t.Errorf("listed %+v", d)
		}
	}
	if len(one) == len(all) {
		t.Log("all lie in one partition")
	}
}

func TestBadRecordsMayBeSkippedOrStopEverything(t *testing.T) {
	data, code, stderr := buried(t, "--bad-records", "skip")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if d := dead(t, data); len(d) != 0 {
		t.Errorf("skipped, and listed %+v", d)
	}
	if _, out, _ := do(t, "", "run", "--once", "--source", "none", "--data-dir", data); !strings.Contains(out, "3 skipped, 0 dead letters") {
		t.Errorf("three records were skipped, and it says %s", out)
	}
	_, code, stderr = buried(t, "--bad-records", "stop")
	if code != exitFailed || !strings.Contains(stderr, "tweets partition") || !strings.Contains(stderr, "--bad-records dead") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
