package streamtest

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"testing"
)

var (
	seeds    = flag.Int("seeds", 20, "how many seeds to simulate")
	seed     = flag.Uint64("seed", 0, "the first seed, or with -seeds 1 the only one")
	traceAll = flag.Bool("trace", false, "print the whole history, not only its end")
)

// Whole groups with everything that can go wrong, one seed after the other.
func TestSimulation(t *testing.T) {
	first := *seed
	if first == 0 {
		first = 1
	}
	all := map[string]int{}
	for n := range uint64(*seeds) {
		w, f := play(first + n)
		if f != nil {
			t.Fatal(f.report())
		}
		for what, n := range w.happened {
			all[what] += n
		}
	}
	for _, what := range slices.Sorted(maps.Keys(all)) {
		t.Logf("%8d × %s", all[what], what)
	}
}

// A seed is a history: run twice, it is the same to the last byte.
func TestSimulationReplays(t *testing.T) {
	for s := uint64(1); s <= 3; s++ {
		var hashes []uint64
		var traces [][]byte
		for range 2 {
			w, _ := play(s)
			hashes = append(hashes, w.hash())
			traces = append(traces, w.trace)
		}
		if hashes[0] != hashes[1] {
			t.Fatalf("seed %d has two histories, which part here:\n%s", s, parting(traces[0], traces[1]))
		}
	}
}

// parting shows where two histories part.
func parting(a, b []byte) string {
	as, bs := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range min(len(as), len(bs)) {
		if !bytes.Equal(as[i], bs[i]) {
			return fmt.Sprintf("%s\n< %s\n> %s", bytes.Join(as[max(0, i-10):i], []byte("\n")), as[i], bs[i])
		}
	}
	return fmt.Sprintf("one is longer: %d, %d", len(as), len(bs))
}

// A failure is what was found in a seed.
type failure struct {
	seed  uint64
	what  violation
	stack []byte
	trace []byte
}

// play runs a seed and returns what became of it.
func play(seed uint64) (w *world, f *failure) {
	defer func() {
		if p := recover(); p != nil {
			v, ok := p.(violation)
			if !ok {
				v = violation{"panic", fmt.Sprint(p)}
			}
			f = &failure{seed: seed, what: v, stack: debug.Stack()}
			if w != nil {
				f.trace = w.trace
			}
		}
	}()
	w = newWorld(seed)
	defer w.close()
	w.run()
	w.heal()
	w.check()
	return w, nil
}

// traceEnd is how many bytes of a history are printed.
const traceEnd = 12_000

func (f *failure) report() string {
	trace := f.trace
	if !*traceAll && len(trace) > traceEnd {
		trace = trace[len(trace)-traceEnd:]
		trace = append([]byte("…\n"), trace[bytes.IndexByte(trace, '\n')+1:]...)
	}
	stack := ""
	if f.what.invariant == "panic" {
		stack = "\n" + string(f.stack)
	}
	return fmt.Sprintf("%s\nseed %d violates %s: %s%s\nreplay it with:\n\tgo test ./stream/streamtest -run 'TestSimulation$' -seeds 1 -seed %d -trace",
		trace, f.seed, f.what.invariant, f.what.what, stack, f.seed)
}
