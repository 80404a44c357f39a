package emitter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/emitter/archive"
	"github.com/tagtide/tagtide/emitter/synth"
	"github.com/tagtide/tagtide/post"
	"github.com/tagtide/tagtide/stream"
)

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

func options() emitter.Options {
	return emitter.Options{Stream: stream.EmitterOptions{
		ID: "hashtags-emitter", Cursors: "cursors", Logger: quiet, CommitInterval: time.Millisecond,
	}}
}

func newEmitter(t testing.TB, l *stream.Log, s emitter.Source, o emitter.Options) *emitter.Emitter {
	t.Helper()
	e, err := emitter.New(l, "tweets", s, o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func fromFile(paths ...string) *archive.Source {
	return archive.New(archive.Options{Paths: paths, Logger: quiet})
}

// outcome is what lies in the topic, or should.
type outcome struct {
	posts   map[string]string // value by key; key "" is many
	doubled []string          // keys that are there twice
	skipped map[string]int64  // by reason
	letters map[string]string // error by place
}

func newOutcome() outcome {
	return outcome{posts: map[string]string{}, skipped: map[string]int64{}, letters: map[string]string{}}
}

// topic reads what was committed.
func topic(t testing.TB, l *stream.Log) outcome {
	t.Helper()
	got := newOutcome()
	var d post.Decoder
	var p post.Post
	err := stream.ReadTopic(context.Background(), l, "tweets", func(r stream.Record) error {
		if h := headers(r); h[emitter.HeaderError] != "" {
			place := h[emitter.HeaderSource] + ":" + h[emitter.HeaderLine]
			if _, there := got.letters[place]; there {
				got.doubled = append(got.doubled, place)
			}
			got.letters[place] = h[emitter.HeaderError]
			return nil
		}
		switch result, err := d.Decode(r.Value, &p); {
		case err != nil:
			return fmt.Errorf("%q: %w", r.Value, err)
		case result.Kind == post.KindSkipped:
			got.skipped[result.Notice] += result.Skipped
		default:
			got.add(string(r.Key), string(r.Value))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func headers(r stream.Record) map[string]string {
	h := map[string]string{}
	for _, one := range r.Headers {
		h[one.Key] = string(one.Value)
	}
	return h
}

func (o *outcome) add(key, value string) {
	if _, there := o.posts[key]; there {
		o.doubled = append(o.doubled, key)
	}
	o.posts[key] = value
}

// model is what should come of lines: one after the other, all in memory.
func model(from string, lines []string, track *post.Track) outcome {
	want := newOutcome()
	d := post.Decoder{Text: track != nil}
	var p post.Post
	for i, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		result, err := d.Decode([]byte(line), &p)
		switch {
		case err != nil:
			want.letters[from+":"+strconv.Itoa(i+1)] = err.Error()
		case result.Kind == post.KindPost && !track.Match(&p):
			want.skipped["track"]++
		case result.Kind == post.KindPost, result.Kind == post.KindDelete:
			want.add(string(post.AppendKey(nil, &p)), string(post.Append(nil, &p)))
		case result.Kind == post.KindSkipped:
			want.skipped[result.Notice] += result.Skipped
		default:
			want.skipped["notice"]++
		}
	}
	return want
}

func compare(t testing.TB, got, want outcome) {
	t.Helper()
	if fmt.Sprint(got.skipped) != fmt.Sprint(want.skipped) {
		t.Errorf("skipped %v, want %v", got.skipped, want.skipped)
	}
	if fmt.Sprint(got.letters) != fmt.Sprint(want.letters) {
		t.Errorf("letters\n got %v\nwant %v", got.letters, want.letters)
	}
	if len(got.doubled) > 0 {
		t.Errorf("%d are there twice: %.200q", len(got.doubled), got.doubled)
	}
	if len(got.posts) != len(want.posts) {
		t.Errorf("%d posts, want %d", len(got.posts), len(want.posts))
	}
	for key, value := range want.posts {
		if got.posts[key] != value {
			t.Fatalf("post %s: %s, want %s", key, got.posts[key], value)
		}
	}
}

// anArchive makes lines of every kind.
func anArchive(n int) (lines []string) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		switch r.IntN(12) {
		case 0:
			lines = append(lines, "")
		case 1:
			lines = append(lines, fmt.Sprintf(`{"limit":{"track":%d}}`, i))
		case 2:
			lines = append(lines, fmt.Sprintf(`{"delete":{"status":{"id_str":"%d"}}}`, i))
		case 3:
			lines = append(lines, []string{`{"id_str":5}`, `not JSON`, "{\"text\":\"\xff\"}", `{"text":`, `[]`}[r.IntN(5)])
		case 4:
			lines = append(lines, `{"tagtide":1,"skipped":3,"reason":"before"}`)
		default:
			words := []string{"corona virus", "COVID-19", "pandemic", "cats", "weather"}[r.IntN(5)]
			lines = append(lines, fmt.Sprintf(`{"created_at":"Fri Apr 03 12:00:00 +0000 2020","id_str":"%d","text":"%s %s","entities":{"hashtags":[{"text":"Tag%d","indices":[0,4]}]}}`,
				1_000_000_000_000_000+i, words, strings.Repeat("x", 500), i%97))
		}
	}
	return lines
}

func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEverythingInAFileIsInTheTopicOnce(t *testing.T) {
	defer goleak.VerifyNone(t)
	lines := anArchive(4000)
	path := write(t, "a.jsonl", []byte(strings.Join(lines, "\n")))
	track, err := post.NewTrack("corona virus", "COVID-19", "pandemic")
	if err != nil {
		t.Fatal(err)
	}
	for _, track := range []*post.Track{nil, track} {
		l := openLog(t, t.TempDir())
		o := options()
		o.Track = track
		e := newEmitter(t, l, fromFile(path), o)
		if err := e.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := model(path, lines, track)
		compare(t, topic(t, l), want)
		r := e.Report()
		var skipped int64
		for _, n := range want.skipped {
			skipped += n
		}
		if r.Sent != int64(len(want.posts)) || r.Undecodable != int64(len(want.letters)) || r.Skipped != skipped || r.Progress.Done != r.Progress.Total {
			t.Errorf("report %+v", r)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

var errKilled = errors.New("killed")

// killer makes the gate that ends a run at its n-th call, in one of the ways
// in which runs end.
func killer(n int, way int, l *stream.Log, cancel func()) func(context.Context) error {
	return func(context.Context) error {
		n--
		if n > 0 {
			return nil
		}
		switch way {
		case 0: // stopped
			cancel()
		case 1: // the source fails
			return errKilled
		case 2: // as after kill -9: whatever is not committed is gone
			_ = l.Close()
		}
		return nil
	}
}

// However often it is stopped or killed, between any two batches, all that is
// in the file is in the topic once, and what was left out is counted once.
func TestRestartsAreExact(t *testing.T) {
	lines := anArchive(6000)
	data := []byte(strings.Join(lines, "\n"))
	path := write(t, "a.jsonl", data)
	var packed strings.Builder
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(data)
	_ = w.Close()
	track, err := post.NewTrack("corona virus", "COVID-19", "pandemic")
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"plain": path, "gzip": write(t, "a.jsonl.gz", []byte(packed.String()))} {
		dir := t.TempDir()
		ended := false
		for life := 0; !ended; life++ {
			if life > 100 {
				t.Fatal("it does not get on")
			}
			ended = oneLife(t, dir, path, life, track)
		}
		l := openLog(t, dir)
		compare(t, topic(t, l), model(path, lines, track))
		t.Run(name+" when it is finished", func(t *testing.T) {
			e := newEmitter(t, l, fromFile(path), options())
			if err := e.Run(t.Context()); err != nil || e.Report().Messages != 0 {
				t.Errorf("%v, %+v", err, e.Report())
			}
		})
		_ = l.Close()
	}
}

// oneLife runs an emitter until it is killed, or has read everything.
func oneLife(t *testing.T, dir, path string, life int, track *post.Track) (ended bool) {
	l := openLog(t, dir)
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := options()
	o.Track = track
	o.Gate = killer(1+life%4, life%3, l, cancel)
	if life%5 == 0 {
		o.Rate = 50000 // smaller batches
	}
	err := newEmitter(t, l, fromFile(path), o).Run(ctx)
	if err != nil && life%3 == 0 {
		t.Fatalf("a clean stop returned %v", err)
	}
	return err == nil && ctx.Err() == nil
}

func TestALineThatIsTooLongIsSentCutAndTheRestGoesOn(t *testing.T) {
	line := func(size int, id string) string {
		return `{"id_str":"` + id + `","text":"` + strings.Repeat("x", size) + `"}`
	}
	whole := line(1<<20, "1")
	path := write(t, "a.jsonl", []byte(strings.Join([]string{whole, line(10<<20, "2"), "?" + whole, line(1, "3")}, "\n")))
	l := openLog(t, t.TempDir())
	if err := newEmitter(t, l, fromFile(path), options()).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := topic(t, l)
	if len(got.posts) != 2 || got.posts["x:1"] == "" || got.posts["x:3"] == "" {
		t.Errorf("posts %v", got.posts)
	}
	if e := got.letters[path+":2"]; !strings.Contains(e, "bytes") || len(got.letters) != 2 {
		t.Errorf("letters %v", got.letters)
	}
	err := stream.ReadTopic(t.Context(), l, "tweets", func(r stream.Record) error {
		if h := headers(r); h[emitter.HeaderCut] != "" {
			if n, err := strconv.Atoi(h[emitter.HeaderCut]); err != nil || n < 1<<20 || len(r.Value) != 64<<10 {
				t.Errorf("cut at %d of %s", len(r.Value), h[emitter.HeaderCut])
			}
			return nil
		}
		if len(r.Value) > 1000 {
			t.Errorf("a record of %d bytes", len(r.Value))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAFileThatEndsTooEarlyIsAnErrorWhenAllElseIsCommitted(t *testing.T) {
	var packed strings.Builder
	w := gzip.NewWriter(&packed)
	lines := anArchive(3000)
	_, _ = w.Write([]byte(strings.Join(lines, "\n")))
	_ = w.Close()
	cut := write(t, "a.jsonl.gz", []byte(packed.String()[:packed.Len()/2]))
	good := write(t, "b.jsonl", []byte(`{"id_str":"7","text":"#a"}`))
	l := openLog(t, t.TempDir())
	err := newEmitter(t, l, fromFile(cut, good), options()).Run(t.Context())
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), cut) {
		t.Errorf("got %v", err)
	}
	if got := topic(t, l); len(got.posts) < 100 || got.posts["x:7"] == "" {
		t.Errorf("only %d posts were committed", len(got.posts))
	}
}

func TestTheDemoEndsAfterItsPostsAlsoWhenItWasRestarted(t *testing.T) {
	dir := t.TempDir()
	source := func() *synth.Source { return synth.New(synth.Options{Seed: 5, Posts: 3000, Logger: quiet}) }
	for life := range 3 {
		l := openLog(t, dir)
		ctx, cancel := context.WithCancel(t.Context())
		o := options()
		if life == 0 {
			o.Gate = killer(3, 0, l, cancel)
		}
		if err := newEmitter(t, l, source(), o).Run(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		got := topic(t, l)
		if len(got.doubled) > 0 || life == 0 != (len(got.posts) < 3000) || len(got.posts) > 3000 {
			t.Errorf("life %d: %d posts, %d twice", life, len(got.posts), len(got.doubled))
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRateIsKeptAndWhatIsReadIsSentAtOnce(t *testing.T) {
	l := openLog(t, t.TempDir())
	o := options()
	o.Rate = 200
	var mu sync.Mutex
	handed := 0
	o.Gate = func(context.Context) error { mu.Lock(); handed++; mu.Unlock(); return nil }
	begin := time.Now()
	if err := newEmitter(t, l, synth.New(synth.Options{Posts: 60, Logger: quiet}), o).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 59*5*time.Millisecond {
		t.Errorf("60 posts at 200 per second took %v", took)
	}
	if handed < 5 {
		t.Errorf("handed over in %d pieces", handed)
	}
	if got := topic(t, l); len(got.posts) != 60 {
		t.Errorf("%d posts", len(got.posts))
	}
}

func TestARivalEndsTheRun(t *testing.T) {
	l := openLog(t, t.TempDir())
	o := options()
	o.Rate = 1000
	demo := func(seed uint64) *synth.Source { return synth.New(synth.Options{Seed: seed, Logger: quiet}) }
	first := make(chan error, 1)
	started := make(chan struct{}, 1)
	of := o
	of.Gate = func(context.Context) error {
		select {
		case started <- struct{}{}:
		default:
		}
		return nil
	}
	e := newEmitter(t, l, demo(1), of)
	go func() { first <- e.Run(t.Context()) }()
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	second := newEmitter(t, l, demo(2), o)
	ended := make(chan error, 1)
	go func() { ended <- second.Run(ctx) }()
	if err := <-first; !errors.Is(err, stream.ErrFenced) || !strings.Contains(err.Error(), "hashtags-emitter") {
		t.Errorf("the first one: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the second one: %v", err)
	}
}

func TestMetricsAreNamedOnceAndCount(t *testing.T) {
	path := write(t, "a.jsonl", []byte(strings.Join(anArchive(300), "\n")))
	r := prometheus.NewPedanticRegistry()
	l := openLog(t, t.TempDir())
	for range 2 { // a second emitter takes the place of the first
		o := options()
		o.Stream.Metrics = r
		if err := newEmitter(t, l, archive.New(archive.Options{Paths: []string{path}, Again: true, Logger: quiet}), o).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	want := model(path, anArchive(300), nil)
	values := map[string]float64{}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
		for _, m := range f.Metric {
			values[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	if values["tagtide_source_posts_total"] != float64(len(want.posts)) || values["tagtide_source_undecodable_total"] != float64(len(want.letters)) {
		t.Errorf("got %v", values)
	}
	for _, name := range []string{"events_total", "skipped_total", "bytes_total", "remaining_bytes"} {
		if !slices.Contains(names, "tagtide_source_"+name) {
			t.Errorf("no %s in %q", name, names)
		}
	}
}

func BenchmarkEmitter(b *testing.B) {
	var lines []string
	for i := range 200_000 {
		lines = append(lines, fmt.Sprintf(`{"created_at":"Fri Apr 03 12:00:00 +0000 2020","id_str":"%d","text":"%s #Tag%d #Other%d","truncated":false,"user":{"id_str":"%d","screen_name":"somebody"},"entities":{"hashtags":[{"text":"Tag%d","indices":[90,95]},{"text":"Other%d","indices":[96,102]}],"urls":[],"user_mentions":[]},"lang":"en"}`,
			1245999999999000000+i, strings.Repeat("a word ", 12), i%1000, i%77, i, i%1000, i%77))
	}
	path := write(b, "a.jsonl", []byte(strings.Join(lines, "\n")))
	perSecond := func(b *testing.B) { b.ReportMetric(float64(len(lines)*b.N)/b.Elapsed().Seconds(), "posts/s") }
	b.Run("dumb", func(b *testing.B) {
		for b.Loop() {
			dumbLoop(b, path)
		}
		perSecond(b)
	})
	b.Run("source", func(b *testing.B) {
		for b.Loop() {
			if err := fromFile(path).Run(b.Context(), &drain{}); err != nil {
				b.Fatal(err)
			}
		}
		perSecond(b)
	})
	b.Run("emitter", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			l := openLog(b, b.TempDir())
			b.StartTimer()
			if err := newEmitter(b, l, fromFile(path), options()).Run(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			_ = l.Close()
			b.StartTimer()
		}
		perSecond(b)
	})
}

// dumbLoop reads and decodes the same posts, and does nothing with them.
func dumbLoop(b *testing.B, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	var d post.Decoder
	var p post.Post
	for line := range strings.Lines(string(data)) {
		if _, err := d.Decode([]byte(line), &p); err != nil {
			b.Fatal(err)
		}
	}
}

// A drain decodes, encodes and forgets: an emitter without a log.
type drain struct {
	d   post.Decoder
	p   post.Post
	buf []byte
}

func (*drain) Cursors(context.Context, string) (map[string][]byte, error) { return nil, nil }

func (s *drain) Send(_ context.Context, b emitter.Block) error {
	for i := range b.Len() {
		if _, err := b.Decode(i, &s.d, &s.p); err != nil {
			return err
		}
		s.buf = post.Append(s.buf[:0], &s.p)
		s.buf = post.AppendKey(s.buf, &s.p)
	}
	b.Cursor(b.Len())
	return nil
}
