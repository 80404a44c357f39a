package mastodon_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/emitter/mastodon"
	"github.com/tagtide/tagtide/post"
	"github.com/tagtide/tagtide/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

func openLog(t testing.TB, dir string) *stream.Log {
	t.Helper()
	l, err := stream.OpenEmbedded(dir, stream.EmbeddedOptions{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// A run is an emitter that runs.
type run struct {
	source  *mastodon.Source
	emitter *emitter.Emitter
	cancel  context.CancelFunc
	ended   chan error
}

func start(t testing.TB, l *stream.Log, o mastodon.Options) *run {
	t.Helper()
	source := mastodon.New(o)
	e, err := emitter.New(l, "tweets", source, emitter.Options{Stream: stream.EmitterOptions{
		ID: "hashtags-emitter", Cursors: "cursors", Logger: quiet, CommitInterval: time.Millisecond,
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &run{source: source, emitter: e, cancel: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- e.Run(ctx) }()
	t.Cleanup(func() { r.cancel() })
	return r
}

// stop ends the run and waits for it.
func (r *run) stop(t testing.TB) {
	t.Helper()
	r.cancel()
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
}

// until polls until something holds.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("it never came: %s", what)
		}
	}
}

// outcome is what lies in the topic.
type outcome struct {
	tags    map[string]string // by the id of the post, what it said last; without those that were deleted
	ops     []string          // each op and id or alias that came, in order of the alphabet
	records int               // deletes are in every partition
	letters []string          // what is wrong with them
}

// topic reads what was committed.
func topic(t testing.TB, l *stream.Log) outcome {
	t.Helper()
	got := outcome{tags: map[string]string{}}
	ids := map[string]string{} // by alias
	var deleted []string
	var d post.Decoder
	var p post.Post
	err := stream.ReadTopic(context.Background(), l, "tweets", func(r stream.Record) error {
		for _, h := range r.Headers {
			if h.Key == emitter.HeaderError {
				got.letters = append(got.letters, string(h.Value))
				return nil
			}
		}
		result, err := d.Decode(r.Value, &p)
		if err != nil {
			return fmt.Errorf("%q: %w", r.Value, err)
		}
		if result.Kind == post.KindSkipped {
			return nil // a notice that was told of, a delete among them
		}
		got.records++
		if p.Op == post.Delete {
			deleted = append(deleted, string(p.Alias))
			got.ops = append(got.ops, "delete "+string(p.Alias))
			return nil
		}
		ids[string(p.Alias)] = string(p.ID)
		got.tags[string(p.ID)] = string(slices.Concat(p.Tags...))
		got.ops = append(got.ops, map[post.Op]string{post.Create: "create ", post.Update: "update "}[p.Op]+string(p.ID))
		return nil
	})
	if err != nil && !errors.Is(err, stream.ErrUnknownTopic) {
		t.Fatal(err)
	}
	for _, alias := range deleted {
		delete(got.tags, ids[alias])
	}
	slices.Sort(got.ops)
	got.ops = slices.Compact(got.ops)
	return got
}

// want waits until the topic tells what the server shows, and nothing else.
func want(t testing.TB, l *stream.Log, s *server) {
	t.Helper()
	shown := map[string]string{}
	s.do(func() {
		for _, st := range s.statuses {
			if !st.deleted {
				shown[s.uri(st.id)] = fmt.Sprintf("tag%d", st.tags)
			}
		}
	})
	tick := time.NewTicker(5 * time.Millisecond) // reading the topic is work
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		got := topic(t, l)
		if maps.Equal(got.tags, shown) {
			return
		}
		if time.Now().After(deadline) {
			maps.DeleteFunc(shown, func(id, tags string) bool { return got.tags[id] == tags })
			t.Fatalf("of the topic's %d posts are missing or different: %v", len(got.tags), shown)
		}
	}
}

// connected waits until the n-th stream stands and the gap before it is filled.
func connected(t testing.TB, s *server, r *run, n int) {
	t.Helper()
	s.until("a stream without a gap", func() bool { return s.filled >= n && len(s.streams) > 0 })
	until(t, "a connection", func() bool { return r.source.State().Phase == emitter.Connected })
}

func TestTheSampleIsReadAsItIs(t *testing.T) {
	sample, err := os.ReadFile("testdata/mastodon_public.sse")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	l := openLog(t, t.TempDir())
	r := start(t, l, options(t, s))
	connected(t, s, r, 1)
	s.send(string(sample))
	until(t, "three messages", func() bool { return r.source.Progress().Done == 3 })
	r.stop(t)
	const uri = "https://social.example/users/a/statuses/115000000000000001"
	alias := s.host() + "/115000000000000001"
	if got := topic(t, l); !slices.Equal(got.ops, []string{"create " + uri, "delete " + alias, "update " + uri}) || len(got.tags) > 0 {
		t.Errorf("got %q, of which remains %v", got.ops, got.tags)
	}
}

// What the network did shows in the topic, whatever happens to the connection.
func TestPostsEditsAndDeletesArrive(t *testing.T) {
	s := newServer(t)
	s.post(1, 2, 3)
	l := openLog(t, t.TempDir())
	r := start(t, l, options(t, s))
	connected(t, s, r, 1)
	s.post(10, 9, 100, 99)
	s.edit(2, 55)
	s.remove(3)
	s.send(eventOf("announcement", `{}`) + eventOf("filters_changed", "undefined") + ": a comment\n\nretry: 5\n\n")
	want(t, l, s)
	if state := r.source.State(); state.Phase != emitter.Connected || state.Peer != s.host() || state.Problem != "" || state.Heard.IsZero() {
		t.Errorf("%+v", state)
	}
	r.stop(t)
	if state := r.source.State(); state.Phase != emitter.Stopped || state.Problem != "" {
		t.Errorf("%+v", state)
	}
}
