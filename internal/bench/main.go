// Command bench measures tagtide in one run and prints ratios: every rate is
// set against a dumb loop that only reads and decodes the same posts, on the
// same machine, in the same minutes. Each measurement is a process of its own,
// so that its memory can be told.
//
//	go run ./internal/bench            a table on standard output
//	go run ./internal/bench -write     the same into docs/BENCHMARKS.md
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"syscall"
	"time"
)

func main() {
	posts := flag.Int("posts", 1_000_000, "posts of the main data set")
	tags := flag.Int("tags", 1_000_000, "hashtags of the wide data set")
	write := flag.Bool("write", false, "write docs/BENCHMARKS.md")
	profiles := flag.String("profiles", "", "directory for a CPU profile of each measurement")
	phase := flag.String("phase", "", "run one measurement (used by bench itself)")
	dir := flag.String("dir", "", "directory of the data (used by bench itself)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := bench{posts: *posts, tags: *tags, dir: *dir, profiles: *profiles}
	var err error
	if *phase != "" {
		err = b.child(ctx, *phase)
	} else {
		err = b.all(ctx, *write)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	posts, tags int
	dir         string // tweets.jsonl, wide.jsonl and the data directories
	profiles    string // directory, "" for none
}

// A result of one measurement.
type result struct {
	Items   int64              `json:"items"`
	Seconds float64            `json:"seconds"`
	CPU     float64            `json:"cpu"` // seconds of processor time of the process
	MiB     float64            `json:"mib"` // peak resident memory of the process
	Extra   map[string]float64 `json:"extra,omitempty"`
}

func (r result) rate() float64 { return float64(r.Items) / r.Seconds }

// micros is the processor time of one item, in microseconds.
func (r result) micros() float64 { return r.CPU / float64(r.Items) * 1e6 }

// phases in the order they are run; each may use what earlier ones left.
var phases = []struct {
	name string
	run  func(bench, context.Context) (result, error)
}{
	{"write", bench.writeData},
	{"dumb", bench.dumb},
	{"emit", bench.emit},
	{"pipeline", bench.pipeline},
	{"wide", bench.wide},
	{"restore", bench.restore},
	{"view", bench.viewCold},
	{"reopen", bench.viewReopen},
	{"index", bench.indexMemory},
	{"latency", bench.latency},
}

// child runs one measurement and prints its result.
func (b bench) child(ctx context.Context, name string) error {
	for _, p := range phases {
		if p.name != name {
			continue
		}
		stop, err := b.profile(name)
		if err != nil {
			return err
		}
		r, err := p.run(b, ctx)
		if err = errors.Join(err, stop()); err != nil {
			return err
		}
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			return err
		}
		r.MiB = float64(usage.Maxrss) / 1024
		r.CPU = time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	return fmt.Errorf("no phase %q", name)
}

// profile begins a CPU profile, if one is wanted.
func (b bench) profile(phase string) (stop func() error, err error) {
	if b.profiles == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(filepath.Join(b.profiles, phase+".pprof"))
	if err != nil {
		return nil, err
	}
	return func() error { pprof.StopCPUProfile(); return f.Close() }, pprof.StartCPUProfile(f)
}

// all runs every measurement and reports.
func (b bench) all(ctx context.Context, write bool) (err error) {
	if b.dir, err = os.MkdirTemp("", "tagtide-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	results := map[string]result{}
	for _, p := range phases {
		fmt.Fprintf(os.Stderr, "%-9s", p.name)
		if results[p.name], err = b.spawn(ctx, p.name); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		fmt.Fprintf(os.Stderr, " %10.0f a second, %6.2f µs of processor time each, %5.0f MiB\n",
			results[p.name].rate(), results[p.name].micros(), results[p.name].MiB)
	}
	text := b.report(results)
	fmt.Print(text)
	if write {
		return os.WriteFile(filepath.Join("docs", "BENCHMARKS.md"), []byte(document(text)), 0o644)
	}
	return nil
}

// spawn runs one measurement in a process of its own.
func (b bench) spawn(ctx context.Context, phase string) (r result, err error) {
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, self, "-phase", phase, "-dir", b.dir,
		"-posts", fmt.Sprint(b.posts), "-tags", fmt.Sprint(b.tags), "-profiles", b.profiles)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return r, err
	}
	return r, json.Unmarshal(out.Bytes(), &r)
}
