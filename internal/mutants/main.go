// Command mutants makes deliberate mistakes in the engine, one at a time, and
// runs the simulation on each: it must turn red. A mistake that survives means
// that the simulation does not test what it claims to.
//
//	go run ./internal/mutants              all of them
//	go run ./internal/mutants -run fencing one
//
// The tree is never touched: a mutant is one replaced snippet in a copy of one
// file, which the go command reads in its place (-overlay).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

func main() {
	only := flag.String("run", "", "only mutants with this in their name")
	seeds := flag.Int("seeds", 400, "seeds a mutant may survive before it counts as not found")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := hunt(ctx, *only, *seeds); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// hunt runs the mutants and reports each.
func hunt(ctx context.Context, only string, seeds int) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	survived := 0
	for _, m := range mutants {
		if !strings.Contains(m.name, only) {
			continue
		}
		begin, seeds := time.Now(), seeds*max(m.rare, 1)
		verdict, err := m.try(ctx, root, seeds)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		if verdict == "" {
			survived++
			verdict = fmt.Sprintf("SURVIVED %d seeds", seeds)
		}
		fmt.Printf("%-36s %s (%.1f s)\n", m.name, verdict, time.Since(begin).Seconds())
	}
	if survived > 0 {
		return fmt.Errorf("%d mutants survived: the simulation does not see what they break", survived)
	}
	return nil
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	return filepath.Dir(strings.TrimSpace(string(out))), err
}

// A mutant is one mistake: in a file, an old snippet that stands there exactly
// once, and what stands there instead.
type mutant struct {
	name, file, old, new string
	rare                 int // it takes so many times the seeds that others do; 0: one
}

// violation is how the simulation says what it found.
var violation = regexp.MustCompile(`seed (\d+) violates (\S+):`)

// try runs the simulation on the mutant. The verdict says what noticed it, or
// is empty.
func (m mutant) try(ctx context.Context, root string, seeds int) (verdict string, err error) {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	overlay, err := m.overlay(root, dir)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-count", "1", "-overlay", overlay,
		"./stream/streamtest", "-run", "^TestSimulation$", "-seeds", fmt.Sprint(seeds))
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err == nil {
		return "", nil
	}
	found := violation.FindSubmatch(out)
	if found == nil {
		return "", fmt.Errorf("the simulation did not run: %w\n%s", err, tail(out))
	}
	return fmt.Sprintf("found by %s, seed %s", found[2], found[1]), nil
}

func tail(out []byte) []byte { return out[max(0, len(out)-2000):] }

// apply returns the file with the mistake in it.
func (m mutant) apply(root string) (string, error) {
	source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.file)))
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		return "", fmt.Errorf("the snippet stands %d times in %s, not once: the mutant needs to follow the code", n, m.file)
	}
	return strings.Replace(string(source), m.old, m.new, 1), nil
}

// overlay writes the mutated file and tells the go command of it.
func (m mutant) overlay(root, dir string) (string, error) {
	mistaken, err := m.apply(root)
	if err != nil {
		return "", err
	}
	file := filepath.Join(root, filepath.FromSlash(m.file))
	mutated := filepath.Join(dir, filepath.Base(file))
	if err := os.WriteFile(mutated, []byte(mistaken), 0o600); err != nil {
		return "", err
	}
	config, err := json.Marshal(map[string]map[string]string{"Replace": {file: mutated}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, config, 0o600)
}
