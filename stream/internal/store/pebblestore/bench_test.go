package pebblestore_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/store"
	"github.com/tagtide/tagtide/stream/internal/store/pebblestore"
)

// Keys are 12 bytes, spread like hashes; values are counts of 5 digits.
func benchEntry(n uint64) store.Entry {
	key := binary.BigEndian.AppendUint64(nil, n*0x9e3779b97f4a7c15)
	return store.Entry{Key: append(key, "#tag"...), Value: fmt.Appendf(nil, "%05d", n%100_000)}
}

func sortEntries(entries []store.Entry) []store.Entry {
	slices.SortFunc(entries, func(a, b store.Entry) int { return slices.Compare(a.Key, b.Key) })
	return slices.CompactFunc(entries, func(a, b store.Entry) bool { return string(a.Key) == string(b.Key) })
}

func benchStore(b *testing.B) (*pebblestore.Store, store.Table) {
	b.Helper()
	s, err := pebblestore.Open(b.TempDir(), pebblestore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	t, err := s.Open(record.Partition{Topic: "t"}, store.Identity{})
	if err != nil {
		b.Fatal(err)
	}
	return s, t
}

// fill puts n keys into the table, in changes of some size.
func fill(b *testing.B, s *pebblestore.Store, t store.Table, n, size int) {
	b.Helper()
	for from := 0; from < n; from += size {
		entries := make([]store.Entry, 0, size)
		for i := from; i < min(from+size, n); i++ {
			entries = append(entries, benchEntry(uint64(i)))
		}
		benchApply(b, s, t, sortEntries(entries), false)
	}
}

func benchApply(b *testing.B, s *pebblestore.Store, t store.Table, entries []store.Entry, sync bool) {
	b.Helper()
	if err := s.Apply([]store.Change{{Table: t, Entries: entries}}, sync); err != nil {
		b.Fatal(err)
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const million = 1_000_000

// BenchmarkApply is the steady state: synced commits of 10,000 entries over a
// million keys, each as likely as the other, or as uneven as hashtags.
// cpu-ns/entry has the work in the background in it.
func BenchmarkApply(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(rng, 1.1, 1, million-1)
	for name, draw := range map[string]func() uint64{
		"even":   func() uint64 { return rng.Uint64N(million) },
		"uneven": zipf.Uint64,
	} {
		b.Run(name, func(b *testing.B) {
			s, t := benchStore(b)
			fill(b, s, t, million, 100_000)
			batches := make([][]store.Entry, 64)
			for i := range batches {
				batches[i] = drawBatch(10_000, draw)
			}
			before, entries := cpu(), 0
			for i := 0; b.Loop(); i++ {
				batch := batches[i%len(batches)]
				benchApply(b, s, t, batch, true)
				entries += len(batch)
			}
			used := cpu() - before
			b.ReportMetric(float64(used)/float64(entries), "cpu-ns/entry")
			b.ReportMetric(float64(used)/float64(mapTime(batches, b.N)), "x-map")
		})
	}
}

// mapTime is what a Go map of a million strings takes for n of the batches:
// the yardstick, because machines differ and have neighbours.
func mapTime(batches [][]store.Entry, n int) time.Duration {
	m := make(map[string]string, million)
	for i := range uint64(million) {
		e := benchEntry(i)
		m[string(e.Key)] = string(e.Value)
	}
	before := cpu()
	for i := range n {
		for _, e := range batches[i%len(batches)] {
			m[string(e.Key)] = string(e.Value)
		}
	}
	return cpu() - before
}

// drawBatch draws until there are n different entries.
func drawBatch(n int, draw func() uint64) []store.Entry {
	seen := make(map[uint64]bool, n)
	var entries []store.Entry
	for len(entries) < n {
		if k := draw(); !seen[k] {
			seen[k] = true
			entries = append(entries, benchEntry(k))
		}
	}
	return sortEntries(entries)
}

// BenchmarkRestore is a cold restore: large changes one after another, all
// over the keys.
func BenchmarkRestore(b *testing.B) {
	for _, size := range []int{100_000, 500_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			const n = 5 * million
			changes := make([][]store.Entry, 0, n/size)
			for from := 0; from < n; from += size {
				var entries []store.Entry
				for i := from; i < from+size; i++ {
					entries = append(entries, benchEntry(uint64(i)))
				}
				changes = append(changes, sortEntries(entries))
			}
			for b.Loop() {
				b.StopTimer()
				s, t := benchStore(b)
				before := cpu()
				b.StartTimer()
				for _, entries := range changes {
					benchApply(b, s, t, entries, false)
				}
				benchApply(b, s, t, nil, true)
				b.StopTimer()
				b.ReportMetric(float64(cpu()-before)/n, "cpu-ns/entry")
				b.StartTimer()
			}
			b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

func BenchmarkGet(b *testing.B) {
	s, t := benchStore(b)
	fill(b, s, t, million, 100_000)
	rng := rand.New(rand.NewPCG(1, 2))
	m := make(map[string]string, million)
	for i := range uint64(million) {
		e := benchEntry(i)
		m[string(e.Key)] = string(e.Value)
	}
	keys := make([][]byte, 1<<16)
	for name, suffix := range map[string]string{"hit": "", "miss": "x"} {
		for i := range keys {
			keys[i] = append(benchEntry(rng.Uint64N(million)).Key, suffix...)
		}
		b.Run(name, func(b *testing.B) {
			before, dst := cpu(), make([]byte, 0, 64)
			for i := 0; b.Loop(); i++ {
				if _, ok, err := t.Get(dst, keys[i%len(keys)]); err != nil || ok != (suffix == "") {
					b.Fatal(ok, err)
				}
			}
			used := cpu() - before
			before = cpu()
			for i := range b.N {
				if _, ok := m[string(keys[i%len(keys)])]; ok != (suffix == "") {
					b.Fatal(ok)
				}
			}
			b.ReportMetric(float64(used)/float64(cpu()-before), "x-map")
		})
	}
}

func BenchmarkScan(b *testing.B) {
	s, t := benchStore(b)
	fill(b, s, t, million, 100_000)
	for b.Loop() {
		n := 0
		if err := t.Scan(nil, func(_, _ []byte) bool { n++; return true }); err != nil || n != million {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(million*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
