package post

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tagtide/tagtide/hashtag"
)

// sample is a message of a sample file, and the event it came under if the file has events in lines of their own.
type sample struct {
	event string
	value []byte
}

func readSamples(t testing.TB, file string) (samples []sample) {
	for _, line := range lines(t, file) {
		if !strings.HasSuffix(file, ".sse") {
			samples = append(samples, sample{value: line})
		} else if name, found := bytes.CutPrefix(line, []byte("event: ")); found {
			samples = append(samples, sample{event: string(name)})
		} else if data, found := bytes.CutPrefix(line, []byte("data: ")); found {
			samples[len(samples)-1].value = data
		}
	}
	return samples
}

func (s sample) decode(d *Decoder, p *Post) (Result, error) {
	if s.event != "" {
		return d.DecodeEvent(s.event, s.value, p)
	}
	return d.Decode(s.value, p)
}

// board counts posts as simply as can be: it keeps the keys of each post, and counts by looking at all of them.
type board struct {
	posts  map[string][]string // the keys of a post, by source:id
	byName map[string]string   // alias → source:id
	kinds  []Kind              // of every value
}

// rules are what the rows of expected.json differ in.
type rules struct{ skipReposts, ignoreDeletes, ignoreUpdates, updatesAreNew bool }

func rulesOf(row string) rules {
	has := func(rule string) bool { return strings.Contains(row, rule) }
	return rules{has("count_retweets=false"), has("deletes=ignore"), has("updates=ignore") || has("deletes=ignore,edits=ignore"), has("count_retweets=true,edits=ignore")}
}

func play(t testing.TB, samples []sample, r rules) *board {
	b := &board{posts: map[string][]string{}, byName: map[string]string{}}
	var d Decoder
	var u Uses
	var p Post
	for _, s := range samples {
		result, err := s.decode(&d, &p)
		if err != nil {
			t.Fatalf("%s: %v", s.value, err)
		}
		b.kinds = append(b.kinds, result.Kind)
		for more := true; more; more = d.Next(&p) {
			b.apply(result.Kind, &p, u.Of(&p), r)
		}
	}
	return b
}

func (b *board) apply(kind Kind, p *Post, uses []Use, r rules) {
	key := string(AppendKey(nil, p))
	switch {
	case kind == KindDelete && !r.ignoreDeletes:
		delete(b.posts, key)
		if len(p.Alias) > 0 {
			delete(b.posts, b.byName[string(p.Alias)])
		}
	case kind == KindAccount && p.Op == Gone && !r.ignoreDeletes:
		maps.DeleteFunc(b.posts, func(post string, _ []string) bool {
			return strings.HasPrefix(post, "bluesky:at://"+string(p.ID)+"/")
		})
	case kind != KindPost, r.skipReposts && p.Repost, r.ignoreUpdates && p.Op == Update:
	default:
		if r.updatesAreNew && p.Op == Update {
			key += " again"
		}
		var keys []string
		for _, use := range uses {
			keys = append(keys, string(use.Key))
		}
		b.posts[key], b.byName[string(p.Alias)] = keys, key
	}
}

func (b *board) counts() map[string]int {
	counts := map[string]int{}
	for _, keys := range b.posts {
		for _, key := range keys {
			counts[key]++
		}
	}
	return counts
}

func TestSamplesCountAsExpected(t *testing.T) {
	data, err := os.ReadFile("testdata/expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var expected map[string]json.RawMessage
	if err := json.Unmarshal(data, &expected); err != nil {
		t.Fatal(err)
	}
	for file, raw := range expected {
		if strings.HasPrefix(file, "_") {
			continue
		}
		var rows map[string]map[string]int
		if err := json.Unmarshal(raw, &rows); err != nil {
			t.Fatal(err)
		}
		for row, want := range rows {
			samples := readSamples(t, file)
			if strings.HasPrefix(row, "after line 3") {
				samples = samples[:3]
			}
			if got := play(t, samples, rulesOf(row)).counts(); !maps.Equal(got, want) {
				t.Errorf("%s, %s: %v, want %v", file, row, got, want)
			}
		}
	}
}

func TestSamplesAreWhatTheyAre(t *testing.T) {
	for file, want := range map[string][]Kind{
		"twitter_v1_1.jsonl":          {KindPost, KindPost, KindPost, KindDelete, KindNotice, KindPost},
		"x_v2_filtered_stream.ndjson": {KindPost, KindPost, KindPost, KindPost, KindNotice},
		"jetstream_v1.jsonl":          {KindPost, KindPost, KindPost, KindDelete, KindNotice, KindAccount},
		"jetstream_v2.jsonl":          {KindNotice, KindPost, KindDelete, KindAccount, KindNotice},
		"mastodon_public.sse":         {KindPost, KindPost, KindDelete},
		"mastodon_ws.jsonl":           {KindPost, KindDelete, KindNotice},
	} {
		if got := play(t, readSamples(t, file), rules{}).kinds; !slices.Equal(got, want) {
			t.Errorf("%s is %v, want %v", file, got, want)
		}
	}
}

// Of real tweets the scanner finds what X found.
func TestScanAgreesWithX(t *testing.T) {
	d := Decoder{Text: true}
	var p Post
	for _, line := range lines(t, "covid_2021.jsonl") {
		if _, err := d.Decode(line, &p); err != nil {
			t.Fatal(err)
		}
		var found []string
		for tag := range hashtag.Scan(p.Text) {
			found = append(found, string(tag))
		}
		if want := tagsOf(&p); !slices.Equal(found, want) {
			t.Errorf("%q has %q, want %q", p.Text, found, want)
		}
	}
}

// What comes over a WebSocket and what comes in lines is the same.
func FuzzDecodeEvent(f *testing.F) {
	for _, s := range readSamples(f, "mastodon_public.sse") {
		f.Add(s.event, string(s.value))
	}
	f.Add("notification", "{}")
	f.Add("delete", " \x00")
	f.Add("update", `{"uri":"u","content":"#a\\u"`)
	f.Fuzz(func(t *testing.T, event, payload string) {
		if event != strings.ToValidUTF8(event, "") || payload != strings.ToValidUTF8(payload, "") {
			return
		}
		message, _ := json.Marshal(map[string]string{"event": event, "payload": payload})
		d := &Decoder{Text: true}
		var p Post
		result, err := d.DecodeEvent(event, []byte(payload), &p)
		got := outcomeOf(result, &p)
		result, wrong := d.Decode(message, &p)
		if want := outcomeOf(result, &p); (err != nil) != (wrong != nil) || err == nil && got != want {
			t.Fatalf("%q %q:\n got %+v, %v\nwant %+v, %v", event, payload, got, err, want, wrong)
		}
	})
}
