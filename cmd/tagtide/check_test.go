package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is no state is neither checked nor reset, and stays as it is.
func TestOnlyStatesAreCheckedAndReset(t *testing.T) {
	_, brokers := broker(t)
	mustDo(t, "topics", "create", "--brokers", brokers)
	mine := t.TempDir()
	if err := os.WriteFile(filepath.Join(mine, "thesis.txt"), []byte("years of work"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"check"}, {"reset", "--yes"}} {
		for _, dir := range []string{mine, filepath.Join(mine, "nothing")} {
			code, _, said := do(t, "", append(command, "--brokers", brokers, "--state-dir", dir)...)
			if code != exitFailed || !strings.Contains(said, dir) {
				t.Errorf("%s of %s: exit %d: %s", command, dir, code, said)
			}
		}
	}
	if left, err := os.ReadDir(mine); err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
}

// A reset takes what is tagtide's out of a folder, and nothing else.
func TestAResetLeavesOtherFilesAlone(t *testing.T) {
	data := t.TempDir()
	mustDo(t, "run", "--once", "--posts", "20", "--data-dir", data)
	notes := filepath.Join(data, "process", "notes.txt")
	if err := os.WriteFile(notes, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustDo(t, "reset", "--yes", "--data-dir", data)
	if left, err := os.ReadDir(filepath.Join(data, "process")); err != nil || len(left) != 1 {
		t.Errorf("left of what the processor had: %v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(data, "serve")); !os.IsNotExist(err) {
		t.Errorf("what the view had: %v", err)
	}
}

// Tables of another cluster are not said to be right.
func TestAStateOfAnotherClusterIsTold(t *testing.T) {
	_, first := broker(t)
	_, second := broker(t)
	data := t.TempDir()
	mustDo(t, "run", "--once", "--posts", "50", "--brokers", first, "--data-dir", data)
	mustDo(t, "check", "--brokers", first, "--data-dir", data)
	mustDo(t, "topics", "create", "--brokers", second)
	code, out, said := do(t, "", "check", "--brokers", second, "--data-dir", data)
	if code != exitFailed || !strings.Contains(out, "another topic") || strings.Contains(out, "ok     process") {
		t.Errorf("exit %d: %s\n%s", code, out, said)
	}
}

// A group that is not there has nothing to check, and that is said.
func TestACheckOfNoGroupIsTold(t *testing.T) {
	_, brokers := broker(t)
	out := mustDo(t, "check", "--brokers", brokers, "--group", "hashtgas")
	if !strings.Contains(out, "hashtgas") || !strings.Contains(out, "--group") {
		t.Errorf("printed %s", out)
	}
}

// A group that began with the newest records is recounted from there.
func TestARecountBeginsWhereTheGroupHas(t *testing.T) {
	_, brokers := broker(t)
	late := []string{"run", "--once", "--brokers", brokers, "--group", "late", "--data-dir", t.TempDir()}
	mustDo(t, "emit", "--once", "--posts", "200", "--rate", "0", "--brokers", brokers)
	mustDo(t, append(late, "--start", "newest", "--source", "none")...)
	mustDo(t, append(late, "--posts", "300", "--rate", "0", "--seed", "7", "--output", "ndjson")...)
	mustDo(t, "check", "--recount", "--brokers", brokers, "--group", "late", "--data-dir", late[len(late)-1])
}
