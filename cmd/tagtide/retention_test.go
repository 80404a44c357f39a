package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream"
)

// Whoever creates the input has it keep its posts for longer than they are
// remembered: a lost memory is made again of it.
func TestTheInputIsKeptForLongerThanPostsAreRemembered(t *testing.T) {
	_, brokers := broker(t)
	file := filepath.Join(t.TempDir(), "tweets.jsonl")
	if err := os.WriteFile(file, []byte(`{"id_str":"1","text":"#a"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	for topic, c := range map[string]struct {
		args []string
		want time.Duration
	}{
		"of-emit":         {[]string{"emit", "--once", "--source", "file", "--input", file}, 3 * day},
		"of-create":       {[]string{"topics", "create"}, 3 * day},
		"of-emit-off":     {[]string{"emit", "--once", "--source", "file", "--input", file, "--dedupe", "off"}, 3 * day},
		"of-emit-week":    {[]string{"emit", "--once", "--source", "file", "--input", file, "--dedupe", "168h"}, 10*day + 12*time.Hour},
		"of-create-week":  {[]string{"topics", "create", "--dedupe", "168h"}, 10*day + 12*time.Hour},
		"of-create-short": {[]string{"topics", "create", "--dedupe", "1h"}, 3 * day},
	} {
		mustDo(t, append(c.args, "--brokers", brokers, "--group", topic, "--input-topic", topic)...)
		if got := retention(t, brokers, topic); got != c.want {
			t.Errorf("%v: kept for %v, want %v", c.args, got, c.want)
		}
	}
}

func retention(t *testing.T, brokers, topic string) time.Duration {
	t.Helper()
	l, err := (&brokerFlags{Brokers: []string{brokers}}).open(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	infos, err := stream.DescribeTopics(t.Context(), l, topic)
	if err != nil {
		t.Fatal(err)
	}
	return infos[0].Retention
}
