//go:build kafka

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Dead letters are sent back once each, though whoever sends them is killed.
func TestDeadLettersOfAKafkaAreReplayedOnce(t *testing.T) {
	t.Parallel()
	brokers, _ := shared(t)
	f := newFleet(t, brokers)
	const bad = 12_000 // more than one transaction
	var lines strings.Builder
	for n := range bad {
		fmt.Fprintf(&lines, "{%d is no JSON, and long enough for some transactions %s\n", n, strings.Repeat(".", 300))
	}
	file := filepath.Join(f.dir, "bad.jsonl")
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	f.process(0)
	url := f.serve()
	f.launch("emit", "emit", "--source", "file", "--input", file, "--once").ends(exitDone)
	letters := func(n int64) {
		t.Helper()
		eventually(t, url, fmt.Sprint(n, " dead letters"), time.Minute, func(s stats) bool {
			return s.Data.DeadLetters == n && s.Meta.Lag != nil && *s.Meta.Lag == 0
		})
	}
	letters(bad)
	f.programs["process-0"].stop() // so that no letters are added meanwhile
	for n := range 4 {
		replay := launch(t, append([]string{"dead", "replay", "--yes"}, f.kafka...)...)
		if n == 3 {
			replay.ends(exitDone)
			break
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(300+150*n)*time.Millisecond)
		select {
		case <-replay.done:
		case <-ctx.Done(): // when it strikes must not be known
		}
		cancel()
		replay.kill()
	}
	f.again("process-0")
	letters(2 * bad)
	if out := f.do("dead", "list", "--json"); strings.Count(out, "\n") != bad {
		t.Errorf("%d letters wait to be replayed, want %d", strings.Count(out, "\n"), bad)
	}
	f.audit()
}
