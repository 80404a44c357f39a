package bluesky_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/emitter/bluesky"
	"github.com/tagtide/tagtide/emitter/bluesky/jetstreamtest"
	"github.com/tagtide/tagtide/emitter/live"
	"github.com/tagtide/tagtide/post"
	"github.com/tagtide/tagtide/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

func openLog(t testing.TB) *stream.Log {
	t.Helper()
	l, err := stream.OpenEmbedded(t.TempDir(), stream.EmbeddedOptions{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// fast are options with which a test does not wait for long.
func fast(servers ...string) bluesky.Options {
	return bluesky.Options{
		Servers: servers, Logger: quiet, Replay: 24 * time.Hour,
		Waits: live.Schedule{First: time.Millisecond, Factor: 2, Max: 20 * time.Millisecond},
	}
}

// A listener is a source whose posts a real emitter writes to a log.
type listener struct {
	source *bluesky.Source
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // when it has ended
}

// listen starts a listener, which ends with the test.
func listen(t testing.TB, l *stream.Log, o bluesky.Options, more ...func(*emitter.Options)) *listener {
	t.Helper()
	s, err := bluesky.New(o)
	if err != nil {
		t.Fatal(err)
	}
	options := emitter.Options{Stream: stream.EmitterOptions{
		ID: "emitter", Cursors: "cursors", Logger: quiet, CommitInterval: time.Millisecond,
	}}
	for _, f := range more {
		f(&options)
	}
	e, err := emitter.New(l, "tweets", s, options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := &listener{source: s, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(n.ended)
		n.err = e.Run(ctx)
	}()
	t.Cleanup(n.stop)
	return n
}

func (n *listener) stop() {
	n.cancel()
	<-n.ended
}

// until waits for something that other goroutines do.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// records are what lies in the topic: "create ID #tag", "delete ID", "gone DID"
// and so on, and for dead letters what is wrong.
func records(t testing.TB, l *stream.Log) []string {
	t.Helper()
	var found []string
	var d post.Decoder
	var p post.Post
	err := stream.ReadTopic(context.Background(), l, "tweets", func(r stream.Record) error {
		for _, h := range r.Headers {
			if h.Key == emitter.HeaderError {
				found = append(found, "letter "+string(h.Value))
				return nil
			}
		}
		result, err := d.Decode(r.Value, &p)
		if err != nil {
			return fmt.Errorf("%q: %w", r.Value, err)
		}
		if result.Kind == post.KindSkipped {
			return nil
		}
		op := [...]string{post.Create: "create", post.Update: "update", post.Delete: "delete", post.Gone: "gone", post.Back: "back"}
		one := op[p.Op] + " " + string(p.ID)
		for _, tag := range p.Tags {
			one += " #" + string(tag)
		}
		found = append(found, one)
		return nil
	})
	if err != nil && !strings.Contains(err.Error(), "does not exist") {
		t.Fatal(err)
	}
	return found
}

// awaitAll waits until all of want lies in the topic, in any order, and returns
// how many records there are besides.
func awaitAll(t testing.TB, l *stream.Log, want []string) (besides int) {
	t.Helper()
	var missing []string
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		found := map[string]int{}
		all := records(t, l)
		for _, one := range all {
			found[one]++
		}
		missing = slices.DeleteFunc(slices.Clone(want), func(one string) bool { return found[one] > 0 })
		if len(missing) == 0 {
			return len(all) - len(want)
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d are missing: %q …\nthere are %d: %q …", len(missing), len(want),
				missing[:min(5, len(missing))], len(all), all[:min(5, len(all))])
		}
	}
}

// posts are n created posts from a time on, a millisecond apart.
func posts(from time.Time, first, n int) (events []jetstreamtest.Event) {
	for i := first; i < first+n; i++ {
		events = append(events, jetstreamtest.Event{
			Time: from.UnixMicro() + int64(i)*1000, DID: fmt.Sprintf("did:plc:author%d", i%7), Op: "create",
			Rkey: fmt.Sprintf("3m%06d", i), Tags: []string{fmt.Sprintf("tag%d", i%5)},
		})
	}
	return events
}

// asRecords are the events as they should lie in the topic.
func asRecords(events []jetstreamtest.Event) (want []string) {
	for _, e := range events {
		want = append(want, e.Op+" "+e.ID()+" #"+strings.Join(e.Tags, " #"))
	}
	return want
}

// hourAgo is a time that every server has and no clock doubts.
func hourAgo() time.Time { return time.Now().Add(-time.Hour).Truncate(time.Millisecond) }

// dictionary is one that fits the frames of the tests.
func dictionary(t testing.TB, id uint32) []byte {
	t.Helper()
	d, err := zstd.BuildDict(zstd.BuildDictOptions{
		ID: id, Offsets: [3]int{1, 4, 8}, Level: zstd.SpeedDefault,
		History: []byte(strings.Repeat(`{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#commit","seq":`, 4)),
		Contents: [][]byte{
			[]byte(`{"$type":"message","payload":{"did":"did:plc:author1","operation":"create","rkey":"3m000001"}}`),
			[]byte(`{"$type":"message","payload":{"did":"did:plc:author2","operation":"delete","rkey":"3m000702"}}`),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// logged is a logger that keeps what it was told.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *logged) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.buf.String(), text)
}
