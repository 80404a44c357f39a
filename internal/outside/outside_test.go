// Package outside checks that the engine can be used from outside of the
// module: testdata/wordcount is a program as a stranger would write it, and is
// built and run in a module of its own.
package outside

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/tagtide/tagtide/stream" // so that a cached result of this test is one for the engine as it is
)

// TestStrangersProgram builds the program against this checkout and runs it.
func TestStrangersProgram(t *testing.T) {
	dir := t.TempDir()
	module(t, dir)
	program := filepath.Join(dir, "wordcount.exe")
	build := goTool(t, dir, "build", "-o", program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, program)
	run.Stdin = strings.NewReader("to be or not to be\nthat is the question\n")
	var stderr strings.Builder
	run.Stderr = &stderr
	out, err := run.Output()
	if err != nil {
		t.Fatalf("wordcount: %v\n%s", err, stderr.String())
	}
	got := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(got)
	want := []string{"be 2", "is 1", "not 1", "or 1", "question 1", "that 1", "the 1", "to 2"}
	if !slices.Equal(got, want) {
		t.Errorf("counted %q\nwant    %q", got, want)
	}
}

// module makes dir a module of its own that requires this one.
func module(t *testing.T, dir string) {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "wordcount"))); err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum")) // the versions are ours, so no network is needed
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o666); err != nil {
		t.Fatal(err)
	}
	const tagtide = "github.com/tagtide/tagtide"
	for _, args := range [][]string{
		{"mod", "init", "example.com/wordcount"},
		{"mod", "edit", "-require=" + tagtide + "@v0.0.0", "-replace=" + tagtide + "=" + root},
	} {
		if out, err := goTool(t, dir, args...).CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// goTool prepares a go command in dir.
func goTool(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	return cmd
}
