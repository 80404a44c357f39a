package emitter_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/post"
	"github.com/tagtide/tagtide/stream"
)

// A network is a live source that says what it is told to, and ends with err.
type network struct {
	values []string
	state  emitter.State
	err    error
}

func (n *network) Name() string               { return "net" }
func (n *network) Progress() emitter.Progress { return emitter.Progress{} }
func (n *network) State() emitter.State       { return n.state }

func (n *network) Run(ctx context.Context, sink emitter.Sink) error {
	return errors.Join(sink.Send(ctx, values(n.values)), n.err)
}

// values are a block of JSON.
type values []string

func (v values) Len() int { return len(v) }
func (v values) Decode(i int, d *post.Decoder, p *post.Post) (post.Result, error) {
	return d.Decode([]byte(v[i]), p)
}
func (v values) Letter(i int) emitter.Letter { return emitter.Letter{Data: []byte(v[i]), From: "net"} }
func (v values) Cursor(int) (string, []byte) { return "", nil }

// records are all records of the topic, by key.
func records(t testing.TB, l *stream.Log) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	err := stream.ReadTopic(t.Context(), l, "tweets", func(r stream.Record) error {
		all[string(r.Key)] = append(all[string(r.Key)], string(r.Value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWhatConcernsPostsOfAnyPartitionGoesToAll(t *testing.T) {
	l := openLog(t, t.TempDir())
	gone := `{"tagtide":1,"source":"bluesky","account":"did:plc:a","op":"gone"}`
	alias := `{"tagtide":1,"source":"mastodon","alias":"host/7","op":"delete"}`
	known := `{"tagtide":1,"source":"mastodon","id":"uri","alias":"host/8","op":"delete"}`
	e := newEmitter(t, l, &network{values: []string{gone, alias, known}}, options())
	if err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := records(t, l)
	for key, value := range map[string]string{"bluesky:account:did:plc:a": gone, "mastodon:host/7": alias} {
		if len(got[key]) != 4 || got[key][0] != value {
			t.Errorf("%s: %q, want it once in each of 4 partitions", key, got[key])
		}
	}
	if len(got["mastodon:uri"]) != 1 {
		t.Errorf("a delete with an id: %q", got["mastodon:uri"])
	}
}

func TestEveryPostOfAValueIsSent(t *testing.T) {
	l := openLog(t, t.TempDir())
	page := `{"data":[{"id":"1","text":"#a"},{"id":"2","text":"pandemic #b"},{"id":"3","text":"#c pandemic"}],"meta":{"result_count":3}}`
	o := options()
	o.Track = track(t, "pandemic")
	e := newEmitter(t, l, &network{values: []string{page}}, o)
	if err := e.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := records(t, l)
	if len(got["x:1"])+len(got["x:2"])*10+len(got["x:3"])*100 != 110 || e.Report().Sent != 2 || e.Report().Skipped != 1 {
		t.Errorf("%q, %+v", got, e.Report())
	}
}

func track(t testing.TB, phrases ...string) *post.Track {
	t.Helper()
	track, err := post.NewTrack(phrases...)
	if err != nil {
		t.Fatal(err)
	}
	return track
}

// Nobody knows what an edit replaces whose post is older than posts are
// remembered, and it would count once more; only files, which say so by no
// MaxEditAge, have no such limit.
func TestAnEditOfWhatNobodyRemembersIsANotice(t *testing.T) {
	when := func(age time.Duration) string { return time.Now().Add(-age).UTC().Format(time.RFC3339) }
	status := func(id string, created, edited time.Duration) string {
		return fmt.Sprintf(`{"uri":"https://a/%s","created_at":%q,"edited_at":%q,"content":"","tags":[{"name":"a"}]}`, id, when(created), when(edited))
	}
	source := &network{values: []string{
		status("1", 2*time.Minute, time.Minute), status("2", 3*time.Hour, time.Minute), status("3", 4*time.Hour, 3*time.Hour),
		fmt.Sprintf(`{"tagtide":1,"source":"x","id":"4","time":%d,"op":"update"}`, time.Now().Add(-3*time.Hour).UnixMilli()),
		`{"tagtide":1,"source":"x","id":"5","op":"update"}`,
	}}
	for age, want := range map[time.Duration]int{0: 5, time.Hour: 2} {
		l := openLog(t, t.TempDir())
		o := options()
		o.MaxEditAge = age
		if err := newEmitter(t, l, source, o).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := topic(t, l)
		if len(got.posts) != want || got.skipped["late edit"] != int64(5-want) {
			t.Errorf("edits up to %v: %d sent, skipped %v", age, len(got.posts), got.skipped)
		}
	}
}

// With --track, what is edited out of it is out of the counts, and back when it
// matches again.
func TestAnEditThatNoLongerMatchesHidesThePost(t *testing.T) {
	l := openLog(t, t.TempDir())
	o := options()
	o.Track = track(t, "pandemic")
	version := func(text, history string) string {
		return `{"data":{"id":"9","text":"` + text + `","edit_history_tweet_ids":[` + history + `]}}`
	}
	source := &network{values: []string{version("cats #a", `"9"`), version("cats #a", `"7","9"`), version("pandemic #a", `"8","9"`)}}
	if err := newEmitter(t, l, source, o).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	ops := map[string]int{}
	var d post.Decoder
	for _, values := range records(t, l) {
		for _, value := range values {
			var p post.Post
			result, err := d.Decode([]byte(value), &p)
			if err != nil {
				t.Fatal(err)
			}
			ops[fmt.Sprint(result.Kind, p.Op, len(p.Tags), result.Skipped)]++
		}
	}
	want := map[string]int{
		fmt.Sprint(post.KindDelete, post.Hide, 0, 0): 1, fmt.Sprint(post.KindPost, post.Update, 1, 0): 1,
		fmt.Sprint(post.KindSkipped, post.Create, 0, 1): 1,
	}
	if fmt.Sprint(ops) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", ops, want)
	}
}

func TestTheStateOfASourceIsTold(t *testing.T) {
	defer goleak.VerifyNone(t)
	l := openLog(t, t.TempDir())
	r := prometheus.NewPedanticRegistry()
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	source := &network{
		state: emitter.State{Phase: emitter.Connected, Peer: "host", Since: noon, Heard: noon, Reconnects: 3},
		err:   errors.New("the token is refused"),
	}
	o := options()
	o.Stream.Metrics = r
	o.Server = "one.example"
	e := newEmitter(t, l, source, o)
	if got := e.Report(); got.State != source.state || got.Server != "one.example" {
		t.Errorf("%+v", got)
	}
	other := options()
	other.Stream.Metrics, other.Stream.ID, other.Server = r, "other", "two.example"
	newEmitter(t, l, &network{}, other)
	want := map[string]float64{"connected": 1, "reconnects_total": 3, "last_heard_timestamp_seconds": float64(noon.Unix())}
	for name, value := range want {
		if got := metric(t, r, "tagtide_source_"+name, "one.example"); got != value {
			t.Errorf("%s is %v, want %v", name, got, value)
		}
		if got := metric(t, r, "tagtide_source_"+name, "two.example"); got != 0 {
			t.Errorf("%s of another server is %v", name, got)
		}
	}
	if err := e.Run(t.Context()); err == nil {
		t.Error("no error")
	}
	got := e.Report().State
	if got.Phase != emitter.Stopped || got.Problem != "the token is refused" || got.Reconnects != 3 {
		t.Errorf("at the end: %+v", got)
	}
	if metric(t, r, "tagtide_source_connected", "one.example") != 0 {
		t.Error("still connected")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// metric is the value of a metric of a server.
func metric(t testing.TB, r *prometheus.Registry, name, server string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			for _, label := range m.Label {
				if f.GetName() == name && label.GetName() == "server" && label.GetValue() == server {
					return m.GetCounter().GetValue() + m.GetGauge().GetValue()
				}
			}
		}
	}
	t.Errorf("no metric %s", name)
	return -1
}
