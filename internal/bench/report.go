package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// report is the table of a run.
func (b bench) report(r map[string]result) string {
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\tper second\tratio to dumb loop\tprocessor time\tpeak memory")
	dumb := r["dumb"]
	row := func(what string, x result, unit string) {
		fmt.Fprintf(t, "%s\t%.0f %s\t%.2f\t%.2f µs each\t%.0f MiB\n", what, x.rate(), unit, x.rate()/dumb.rate(), x.micros(), x.MiB)
	}
	row("dumb loop: read and decode, one goroutine", dumb, "posts")
	row("emit alone: file → topic, committed", r["emit"], "posts")
	row("process: topic → counts, view live", r["process"], "posts")
	row("the same, no post remembered", r["forgetful"], "posts")
	row("whole pipeline, view live", r["pipeline"], "posts")
	row("whole pipeline, every hashtag new", r["wide"], "posts")
	row("restore of a processor's tables", r["restore"], "records")
	row("view from the topic", r["view"], "hashtags")
	row("view from its own store", r["reopen"], "hashtags")
	_ = t.Flush() // a strings.Builder does not fail
	text.WriteString(memoryReport(r))
	l, x := r["latency"].Extra, r["index"].Extra
	fmt.Fprintf(&text, "\ntop 10 at %d hashtags while counting 40,000 posts a second, %d requests one after another:\n", b.tags, r["latency"].Items)
	fmt.Fprintf(&text, "  in the server, request read to answer written: 99 %% within %.0f µs\n", l["handled_us"])
	fmt.Fprintf(&text, "  for a client on the same processors: p50 %.0f µs, p99 %.0f µs, max %.0f µs; the server took %.0f MiB\n",
		l["p50_us"], l["p99_us"], l["max_us"], l["program_mib"])
	fmt.Fprintf(&text, "the order itself: %.0f bytes a hashtag\n", x["bytes_per_tag"])
	return text.String() + "\n" + decodeReport(r["decode"].Extra)
}

// memoryReport says what it costs that each post counts once.
func memoryReport(r map[string]result) string {
	with, without, apart := r["process"], r["forgetful"], r["memory"]
	return fmt.Sprintf("\nthat each post counts once takes %.2f µs of processor time a post more (both at their best of %d turns; within a turn %.2f to %.2f), %.2f times as much in all; the rate is %.2f times that without\n",
		with.micros()-without.micros(), apart.Items, apart.Extra["least"], apart.Extra["most"], with.micros()/without.micros(), with.rate()/without.rate())
}

// decodeReport is the table of what a post takes by the shape it comes in.
func decodeReport(r map[string]float64) string {
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "decode a post, find and fold its hashtags\tprocessor time\tbytes\tencoding/json takes, times that")
	sum := 0.0
	for _, s := range shapes {
		fmt.Fprintf(t, "%s\t%.2f µs each\t%.0f\t%.1f\n", s.name, r[s.name], r[s.name+sizeSuffix], r[s.name+plainSuffix]/r[s.name])
		sum += r[s.name]
	}
	fmt.Fprintf(t, "their mean\t%.2f µs each\n", sum/float64(len(shapes)))
	_ = t.Flush() // a strings.Builder does not fail
	return text.String()
}

// kafkaReport is the table of a run on a broker.
func kafkaReport(name string, r map[string]result) string {
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "on %s\tper second\tratio to raw\tprocessor time\tpeak memory\n", name)
	row := func(what string, x, raw result, unit string) {
		fmt.Fprintf(t, "%s\t%.0f %s\t%.2f\t%.2f µs each\t%.0f MiB\n", what, x.rate(), unit, x.rate()/raw.rate(), x.micros(), x.MiB)
	}
	row("raw write: acknowledged, no transactions", r["raw-write"], r["raw-write"], "posts")
	row("raw read", r["raw-read"], r["raw-read"], "posts")
	row("emit: file → topic, exactly once", r["emit"], r["raw-write"], "posts")
	row("process: topic → counts, view live", r["process"], r["raw-read"], "posts")
	row("the same, no post remembered", r["forgetful"], r["raw-read"], "posts")
	row("restore of a processor's tables", r["restore"], r["raw-read"], "records")
	_ = t.Flush() // a strings.Builder does not fail
	text.WriteString(memoryReport(r))
	p := r["pause"].Extra
	fmt.Fprintf(&text, "\nlongest pause of any of 8 partitions, %d posts a second: undisturbed %.0f ms; a second instance joins %.0f ms, leaves %.0f ms, joins again %.0f ms, is killed %.0f ms\n",
		pauseRate, p["still"], p["join"], p["leave"], p["join again"], p["kill"])
	return text.String()
}

// document is the table with what it was measured on.
func document(table string) string {
	return fmt.Sprintf(`# Benchmarks

The last run of `+"`make bench`"+`: %s, %s %s, %d CPUs (%s).

Read the ratios: each is taken within this one run against a loop in one
goroutine that only reads and decodes the same posts. The absolute figures are
of a shared machine and mean little elsewhere. The posts are tweets of about
350 bytes in X v1.1 with two hashtags each, drawn by Zipf's law (1.1) from
200,000; in the wide set every hashtag is new. What decoding takes by the shape
of a post is measured on those of post/testdata, in turn with encoding/json,
which reads the same bytes into a struct and looks for no hashtags. Posts are
remembered for 48 hours, as by default, so that each counts once, unless a line
says that none is; a processor's time has the writing of its tables in it.

`+"```\n%s```\n", time.Now().UTC().Format("2006-01-02"), runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH, runtime.NumCPU(), cpu(), table)
}

// cpu is the processor's name, where the system tells.
func cpu() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
