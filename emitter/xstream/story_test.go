package xstream

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/post"
	"github.com/tagtide/tagtide/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The way of X's posts into the topic, through the real emitter and the real
// log, with all that X does to its users:
//
//	rules ─▶ 503 ─▶ sample, cut within a post ─▶ 429 ─▶ sample whole, disconnect ─▶ the last post
func TestPostsOfXReachTheTopic(t *testing.T) {
	data, err := os.ReadFile("testdata/x_v2_filtered_stream.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	sample := string(data)
	f := newFakeX(t,
		answers(503, ``),
		then(part(sample[:len(sample)/2]), cut),
		answers(429, ``, "x-rate-limit-remaining", "0"),
		then(part(sample), waits), // X says that it ends
		then(says(`{"data":{"id":"5","text":"a virus, it is said: corona #Last"}}`, `{"data":{"id":"6","text":"theirs #cats"}}`, `{"broken":"secret`), waits))
	l := openLog(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	phrases := append(slices.Clone(articles), "covid19", "longcovid", "safe")
	track, err := post.NewTrack(phrases...)
	if err != nil {
		t.Fatal(err)
	}
	source := New(Options{
		Server: f.URL, Token: goodToken, Track: phrases, Logger: slog.New(slog.DiscardHandler),
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	e, err := emitter.New(l, "tweets", source, emitter.Options{Track: track, Stream: stream.EmitterOptions{
		ID: "hashtags-emitter", Cursors: "cursors", Logger: slog.New(slog.DiscardHandler), CommitInterval: time.Millisecond,
	}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	for source.Progress().Done < 9 && t.Context().Err() == nil {
		time.Sleep(time.Millisecond)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	checkTopic(t, l, data)
}

func openLog(t *testing.T) *stream.Log {
	t.Helper()
	l, err := stream.OpenEmbedded(t.TempDir(), stream.EmbeddedOptions{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// checkTopic compares what is in the topic with what X delivered: the versions
// of a post under one key, the last of which counts.
func checkTopic(t *testing.T, l *stream.Log, sample []byte) {
	t.Helper()
	last, skipped, letters := map[string]string{}, map[string]int64{}, []string{}
	var d post.Decoder
	var p post.Post
	err := stream.ReadTopic(t.Context(), l, "tweets", func(r stream.Record) error {
		if bytes.Contains(r.Value, []byte("tay safe")) || bytes.Contains(r.Value, []byte("secret")) {
			t.Errorf("text is kept: %s", r.Value)
		}
		if len(r.Headers) > 0 {
			letters = append(letters, string(r.Value))
			return nil
		}
		result, err := d.Decode(r.Value, &p)
		if skipped[result.Notice] += result.Skipped; result.Kind == post.KindPost {
			last[string(r.Key)] = fmt.Sprintf("%s", p.Tags)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"x:5": "[Last]"}
	for line := range bytes.Lines(sample) {
		if result, err := d.Decode(line, &p); err == nil && result.Kind == post.KindPost {
			want[string(post.AppendKey(nil, &p))] = fmt.Sprintf("%s", p.Tags)
		}
	}
	delete(skipped, "")
	if !maps.Equal(last, want) || fmt.Sprint(skipped) != "map[notice:1 track:1]" || fmt.Sprint(letters) != `[{"broken":]` {
		t.Errorf("posts %v\nwant %v\nskipped %v, letters %q", last, want, skipped, letters)
	}
}
