// Command bench measures tagtide in one run and prints ratios: every rate is
// set against a dumb loop that only reads and decodes the same posts, on the
// same machine, in the same minutes. Each measurement is a process of its own,
// so that its memory can be told.
//
//	go run ./internal/bench            tables on standard output
//	go run ./internal/bench -kafka     also on an Apache Kafka, which needs Java and Maven
//	go run ./internal/bench -write     the same into docs/BENCHMARKS.md
package main

import (
	"bytes"
	"cmp"
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
	"slices"
	"syscall"
	"time"
)

func main() {
	posts := flag.Int("posts", 1_000_000, "posts of the main data set")
	tags := flag.Int("tags", 1_000_000, "hashtags of the wide data set")
	write := flag.Bool("write", false, "write docs/BENCHMARKS.md")
	kafka := flag.Bool("kafka", false, "measure on an Apache Kafka too (Java 17, Maven)")
	profiles := flag.String("profiles", "", "directory for a CPU profile of each measurement")
	phase := flag.String("phase", "", "run one measurement (used by bench itself)")
	turn := flag.Int("turn", 0, "turn of the measurement (used by bench itself)")
	dir := flag.String("dir", "", "directory of the data (used by bench itself)")
	brokers := flag.String("brokers", "", "Kafka to measure (used by bench itself)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := bench{posts: *posts, tags: *tags, turn: *turn, dir: *dir, profiles: *profiles, brokers: *brokers}
	var err error
	if *phase != "" {
		err = b.child(ctx, *phase)
	} else {
		err = b.all(ctx, *kafka, *write)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	posts, tags int
	turn        int
	dir         string // tweets.jsonl, wide.jsonl and the data directories
	profiles    string // directory, "" for none
	brokers     string // Kafka; "" for the embedded log
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

// phases are measurements.
type phases []struct {
	name string
	run  func(bench, context.Context) (result, error)
}

// embeddedPhases in the order they are run; each may use what earlier ones left.
var embeddedPhases = phases{
	{"decode", bench.decode}, // before anything is on its way to the disk
	{"write", bench.writeData},
	{"dumb", bench.dumb},
	{"emit", bench.emit},
	{"process", bench.process},
	{"forgetful", bench.processForgetful},
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
	all := embeddedPhases
	if b.brokers != "" {
		all = kafkaPhases
	}
	for _, p := range all {
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
		r.MiB, r.CPU = float64(used().Maxrss)/1024, processorTime()
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	return fmt.Errorf("no phase %q", name)
}

// used is what this process has used.
func used() (u syscall.Rusage) {
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // says that an argument is wrong
	}
	return u
}

// processorTime is this process's so far, in seconds.
func processorTime() float64 {
	u := used()
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// profile begins a CPU profile, if one is wanted.
func (b bench) profile(phase string) (stop func() error, err error) {
	if b.profiles == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(filepath.Join(b.profiles, fmt.Sprintf("%s-%d.pprof", phase, b.turn)))
	if err != nil {
		return nil, err
	}
	return func() error { pprof.StopCPUProfile(); return f.Close() }, pprof.StartCPUProfile(f)
}

// all runs every measurement and reports.
func (b bench) all(ctx context.Context, kafka, write bool) (err error) {
	if b.dir, err = os.MkdirTemp("", "tagtide-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	embedded, err := b.measure(ctx, embeddedPhases)
	if err != nil {
		return err
	}
	text := b.report(embedded)
	brokers := []broker{kfakeBroker}
	if kafka {
		brokers = append(brokers, realBroker)
	}
	for _, one := range brokers {
		results, err := b.measureOn(ctx, one)
		if err != nil {
			return fmt.Errorf("on %s: %w", one.name, err)
		}
		text += "\n" + kafkaReport(one.name, results)
	}
	fmt.Print(text)
	if write {
		return os.WriteFile(filepath.Join("docs", "BENCHMARKS.md"), []byte(document(text)), 0o644)
	}
	return nil
}

// measureOn starts a broker and measures on it.
func (b bench) measureOn(ctx context.Context, one broker) (results map[string]result, err error) {
	fmt.Fprintln(os.Stderr, "on", one.name)
	if err := errors.Join(os.RemoveAll(b.file("main")), os.RemoveAll(b.file("pause"))); err != nil {
		return nil, err // what was of another log
	}
	var stop func() error
	if b.brokers, stop, err = one.start(b, ctx); err != nil {
		return nil, err
	}
	results, err = b.measure(ctx, kafkaPhases)
	return results, errors.Join(err, stop())
}

// measure runs phases, each in a process of its own.
func (b bench) measure(ctx context.Context, all phases) (map[string]result, error) {
	results := map[string]result{}
	for _, p := range all {
		fmt.Fprintf(os.Stderr, "%-9s", p.name)
		r, err := b.spawn(ctx, p.name)
		if err == nil && p.name == "forgetful" {
			err = b.takeTurns(ctx, results, r)
			r = results[p.name]
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		results[p.name] = r
		fmt.Fprintf(os.Stderr, " %10.0f a second, %6.2f µs of processor time each, %5.0f MiB %v\n", r.rate(), r.micros(), r.MiB, r.Extra)
	}
	return results, nil
}

// memoryTurns is how often it is measured what remembering posts costs: it is the
// difference of two processes, and what the machine's neighbours do adds to both.
const memoryTurns = 5

// takeTurns measures process and forgetful again, in turn, after the first time of
// both. Their results become those that took the least processor time, as there
// is nothing that takes from it. What memory says is how far the two of a turn were
// apart, at least and at most.
func (b bench) takeTurns(ctx context.Context, results map[string]result, forgetful result) (err error) {
	with, without := []result{results["process"]}, []result{forgetful}
	for b.turn = 1; b.turn < memoryTurns; b.turn++ {
		for name, all := range map[string]*[]result{"process": &with, "forgetful": &without} {
			r, err := b.spawn(ctx, name)
			if err != nil {
				return err
			}
			*all = append(*all, r)
		}
	}
	var apart []float64
	for i := range with {
		apart = append(apart, with[i].micros()-without[i].micros())
	}
	results["memory"] = result{Items: memoryTurns, Extra: map[string]float64{"least": slices.Min(apart), "most": slices.Max(apart)}}
	cheaper := func(a, b result) int { return cmp.Compare(a.CPU, b.CPU) }
	results["process"], results["forgetful"] = slices.MinFunc(with, cheaper), slices.MinFunc(without, cheaper)
	return nil
}

// spawn runs one measurement in a process of its own.
func (b bench) spawn(ctx context.Context, phase string) (r result, err error) {
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, self, "-phase", phase, "-turn", fmt.Sprint(b.turn), "-dir", b.dir,
		"-posts", fmt.Sprint(b.posts), "-tags", fmt.Sprint(b.tags), "-profiles", b.profiles, "-brokers", b.brokers)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return r, err
	}
	return r, json.Unmarshal(out.Bytes(), &r)
}
