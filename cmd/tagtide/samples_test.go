package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// expected are the counts that the samples must give, by file and by what is
// counted.
func expected(t *testing.T) map[string]map[string]map[string]int64 {
	t.Helper()
	data, err := os.ReadFile("testdata/samples/expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string]map[string]int64{}
	for file, counts := range raw {
		if strings.HasPrefix(file, "_") {
			continue // remarks
		}
		var by map[string]map[string]int64
		if err := json.Unmarshal(counts, &by); err != nil {
			t.Fatal(err)
		}
		want[file] = by
	}
	return want
}

// What each network says, from a file through the whole of it to the counts.
func TestTheSamplesAreCountedAsExpected(t *testing.T) {
	of := expected(t)
	none := map[string]int64{}
	for _, c := range []struct {
		file  string
		lines int // the first ones only; 0: all
		flags string
		want  map[string]int64
	}{
		{"x_v2_filtered_stream.ndjson", 0, "--reposts=skip", of["x_v2_filtered_stream.ndjson"]["count_retweets=false,edits=replace"]},
		{"x_v2_filtered_stream.ndjson", 0, "--dedupe=off", of["x_v2_filtered_stream.ndjson"]["count_retweets=true,edits=ignore"]},
		{"x_v2_filtered_stream.ndjson", 0, "", map[string]int64{"covid19": 2, "stayhome": 1, "longcovid": 1}},
		{"twitter_v1_1.jsonl", 0, "--reposts=skip", of["twitter_v1_1.jsonl"]["count_retweets=false,deletes=subtract"]},
		{"twitter_v1_1.jsonl", 0, "--dedupe=off --reposts=skip", of["twitter_v1_1.jsonl"]["count_retweets=false,deletes=ignore"]},
		{"twitter_v1_1.jsonl", 0, "--dedupe=off", of["twitter_v1_1.jsonl"]["count_retweets=true,deletes=ignore"]},
		{"twitter_v1_1.jsonl", 0, "", map[string]int64{"covid19": 2, "coronavirus": 1, "stayhome": 1}},
		{"jetstream_v1.jsonl", 0, "", of["jetstream_v1.jsonl"]["deletes=subtract,updates=replace"]},
		{"jetstream_v1.jsonl", 3, "", of["jetstream_v1.jsonl"]["after line 3, updates=replace"]},
		{"jetstream_v1.jsonl", 2, "", of["jetstream_v1.jsonl"]["deletes=ignore,updates=ignore,text_fallback=false"]},
		{"jetstream_v1.jsonl", 3, "--bluesky-text", map[string]int64{"corona": 1, "notafacet": 1}},
		{"jetstream_v2.jsonl", 0, "", none},
		{"mastodon_public.sse", 0, "", of["mastodon_public.sse"]["deletes=subtract"]},
		{"mastodon_public.sse", 4, "", of["mastodon_public.sse"]["deletes=ignore,edits=ignore"]},
		{"mastodon_ws.jsonl", 0, "", none},
	} {
		t.Run(c.file+" "+c.flags, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", "samples", c.file))
			if err != nil {
				t.Fatal(err)
			}
			if c.lines > 0 {
				data = []byte(strings.Join(strings.SplitAfter(string(data), "\n")[:c.lines], ""))
			}
			path := filepath.Join(t.TempDir(), "input")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			args := append([]string{"run", "--once", "--output", "ndjson", "--source", "file", "--input", path}, strings.Fields(c.flags)...)
			code, out, stderr := do(t, "", args...)
			if code != exitDone {
				t.Fatalf("exit %d: %s", code, stderr)
			}
			if c.want == nil {
				t.Fatal("expected.json does not say")
			}
			same(t, "counts", counted(t, out), c.want)
		})
	}
}

// What a thousand real tweets had for hashtags counts as a dumb count says, to
// the last of them.
func TestRealTweetsCountExactly(t *testing.T) {
	file := filepath.Join("testdata", "covid_2021.jsonl.gz")
	packed, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	r, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	want, uses := dumbCount(t, lines, true), int64(0)
	for _, n := range want {
		uses += n
	}
	if n := bytes.Count(lines, []byte("\n")); n != 1000 || len(want) != 623 || uses != 1524 {
		t.Fatalf("%d posts, %d hashtags, %d uses are not those tweets", n, len(want), uses)
	}
	for _, flags := range []string{"", "--dedupe=off"} {
		args := append([]string{"run", "--once", "--output", "ndjson", "--source", "file", "--input", file}, strings.Fields(flags)...)
		same(t, "counts "+flags, counted(t, mustDo(t, args...)), want)
	}
}
