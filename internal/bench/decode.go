package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/tagtide/tagtide/post"
)

// A shape is one in which posts come.
type shape struct {
	name  string
	file  string // of the decoder's test data
	plain func(value []byte) error
}

var shapes = []shape{
	{"x v1.1", "twitter_v1_1.jsonl", plain[plainX]},
	{"x v2", "x_v2_filtered_stream.ndjson", plain[plainEnvelope]},
	{"jetstream v1", "jetstream_v1.jsonl", plain[plainJetstream]},
	{"jetstream v2", "jetstream_v2.jsonl", plain[plainMessage]},
	{"mastodon, status", "mastodon_statuses.jsonl", plain[plainStatus]},
	{"mastodon, event", "mastodon_ws.jsonl", plainInside},
	{ownShape, "twitter_v1_1.jsonl", plain[plainOwn]},
}

// ownShape is the form in which emitters send posts.
const ownShape = "canonical form"

// posts are the values of the shape's file that are posts.
func (s shape) posts() (values [][]byte, err error) {
	data, err := os.ReadFile(filepath.Join("post", "testdata", s.file))
	if err != nil {
		return nil, err
	}
	var d post.Decoder
	var p post.Post
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		result, err := d.Decode(line, &p)
		if len(line) == 0 || err == nil && result.Kind != post.KindPost {
			continue
		}
		if s.name == ownShape {
			line = post.Append(nil, &p)
		}
		if err := s.plain(line); err != nil {
			return nil, fmt.Errorf("%s is not %s: %w", s.file, s.name, err)
		}
		values = append(values, line)
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("%s has no posts", s.file)
	}
	return values, nil
}

// decode measures for each shape what it takes to decode a post and to find and
// fold its hashtags, beside what encoding/json takes for the same bytes. All
// take turns; of each the best turn counts, which other programs on the machine
// disturbed least.
func (b bench) decode(context.Context) (result, error) {
	r := result{Extra: map[string]float64{}}
	begin := time.Now()
	posts := make([][][]byte, len(shapes))
	for i, s := range shapes {
		var err error
		if posts[i], err = s.posts(); err != nil {
			return r, err
		}
		r.Extra[s.name], r.Extra[s.name+plainSuffix], r.Extra[s.name+sizeSuffix] = math.Inf(1), math.Inf(1), meanLen(posts[i])
	}
	ours := decodes()
	for range turns {
		for i, s := range shapes {
			r.Extra[s.name] = min(r.Extra[s.name], turn(posts[i], ours))
			r.Extra[s.name+plainSuffix] = min(r.Extra[s.name+plainSuffix], turn(posts[i], s.plain))
			r.Items += 2 * turnPosts
		}
	}
	r.Seconds = time.Since(begin).Seconds()
	return r, nil
}

const (
	turns     = 20
	turnPosts = 2000

	// Suffixes of a shape's name in the result.
	plainSuffix = ", encoding/json"
	sizeSuffix  = ", bytes"
)

// decodes returns what the processor does to a post before it counts.
func decodes() func([]byte) error {
	var d post.Decoder
	var p post.Post
	var u post.Uses
	return func(value []byte) error {
		_, err := d.Decode(value, &p)
		u.Of(&p)
		return err
	}
}

// turn is the processor time that decoding one of the values takes, in
// microseconds. All of them have been decoded before.
func turn(values [][]byte, decode func([]byte) error) (micros float64) {
	begin := processorTime()
	for i := range turnPosts {
		if err := decode(values[i%len(values)]); err != nil {
			panic(err)
		}
	}
	return (processorTime() - begin) / turnPosts * 1e6
}

func meanLen(values [][]byte) float64 {
	return float64(len(bytes.Join(values, nil))) / float64(len(values))
}
