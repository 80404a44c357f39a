package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/emitter/archive"
	"github.com/tagtide/tagtide/emitter/synth"
	"github.com/tagtide/tagtide/post"
	"github.com/tagtide/tagtide/stream"
)

// sourceNames are what --source takes.
var sourceNames = []string{"demo", "file", "none"}

// sourceFlags say where posts come from.
type sourceFlags struct {
	Source string   `help:"Where posts come from: demo (made up, no internet needed), file, or none." enum:"${sources}" default:"demo"`
	Input  []string `help:"With --source file: a file or folder of JSON lines, plain or gzip, bzip2, zstd; - is standard input. Repeatable." sep:"none" placeholder:"PATH"`
	Again  bool     `help:"With --source file: read files once more that were read before."`
	Track  []string `help:"Only posts with all words of the phrase, or of another --track. Repeatable." sep:"none" placeholder:"PHRASE"`
	Rate   *float64 `help:"Posts per second (default: demo 20, file as fast as it goes)." placeholder:"N"`
	Posts  int64    `help:"With --source demo: stop after so many." placeholder:"N"`
	Seed   uint64   `help:"With --source demo: the same seed gives the same posts." default:"1"`
}

func (f *sourceFlags) validate(once bool) error {
	switch {
	case f.Rate != nil && *f.Rate < 0:
		return usagef("--rate must not be negative")
	case f.Posts < 0:
		return usagef("--posts must not be negative")
	case f.Source == "file" && len(f.Input) == 0:
		return usagef("--source file needs --input PATH")
	case f.Source != "file" && (len(f.Input) > 0 || f.Again):
		return usagef("--input and --again go with --source file, not with %s", f.Source)
	case f.Source != "demo" && f.Posts > 0:
		return usagef("--posts goes with --source demo, not with %s", f.Source)
	case once && f.Source == "demo" && f.Posts == 0:
		return usagef("--once with --source demo needs --posts N: the demo has no end")
	}
	if _, err := post.NewTrack(f.Track...); err != nil {
		return usagef("--track: %w", err)
	}
	return nil
}

// inputsThere tells at once of inputs that cannot be read at all, before
// anything is begun. What is found while reading is told at the end.
func (f *sourceFlags) inputsThere() error {
	for _, path := range f.Input {
		if path == archive.Stdin {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("--input: %w", err)
		}
	}
	return nil
}

// source makes the source, nil for none.
func (f *sourceFlags) source(s std, logger *slog.Logger) (emitter.Source, error) {
	switch f.Source {
	case "file":
		return archive.New(archive.Options{Paths: f.Input, Stdin: s.in, Again: f.Again, Logger: logger}), nil
	case "demo":
		return synth.New(synth.Options{Seed: f.Seed, Posts: f.Posts, Logger: logger}), nil
	case "none":
		return nil, nil
	}
	return nil, usagef("--source %s: choose one of %s", f.Source, strings.Join(sourceNames, ", "))
}

// rate is the pace in posts per second; 0 is as fast as it goes.
func (f *sourceFlags) rate() float64 {
	switch {
	case f.Rate != nil:
		return *f.Rate
	case f.Source == "demo":
		return 20
	}
	return 0
}

// backlog holds the emitter back while too much waits to be counted, so that
// an input larger than memory and disk goes through.
type backlog struct {
	log   *stream.Log
	graph *stream.GroupGraph

	mu    sync.Mutex
	asked time.Time
}

// The bound of what may wait, in records: a canonical post has 100 to 250
// bytes, so that is less than 1 GiB. Dead letters are larger, but few.
const maxWaiting = 4 << 20

// wait returns when there is room.
func (b *backlog) wait(ctx context.Context) error {
	b.mu.Lock()
	recent := time.Since(b.asked) < 100*time.Millisecond
	if !recent {
		b.asked = time.Now()
	}
	b.mu.Unlock()
	for !recent {
		n, err := stream.Backlog(ctx, b.log, b.graph)
		if err != nil || n < maxWaiting {
			return ctx.Err() // no answer is no reason to stop: sending will tell
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}
