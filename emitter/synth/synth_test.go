package synth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/hashtag"
	"github.com/tagtide/tagtide/post"
)

// show is everything that is in post n.
func show(g *generator, n int64, text bool) string {
	var p post.Post
	g.make(n, text, &p)
	return fmt.Sprintf("%s %s %q %q %v %v", p.Source, p.ID, p.Tags, p.Text, p.Op, p.Repost)
}

func TestAPostIsAFunctionOfSeedAndNumber(t *testing.T) {
	forth, back := newGenerator(7), newGenerator(7)
	var want []string
	for n := range int64(3000) {
		want = append(want, show(forth, n, true))
	}
	for n := int64(2999); n >= 0; n-- {
		if got := show(back, n, true); got != want[n] {
			t.Fatalf("post %d: %s, and on the way back %s", n, want[n], got)
		}
	}
	if show(newGenerator(8), 5, true) == want[5] {
		t.Error("another seed gives the same post")
	}
}

func TestTagsAreThereWithoutTheText(t *testing.T) {
	g := newGenerator(1)
	var with, without post.Post
	for n := range int64(1000) {
		g.make(n, true, &with)
		tags := fmt.Sprintf("%q", with.Tags)
		g.make(n, false, &without)
		if got := fmt.Sprintf("%q", without.Tags); got != tags || without.Text != nil {
			t.Fatalf("post %d: %s with text, %s without", n, tags, got)
		}
	}
}

// A text names exactly the hashtags that its post has, so each is a hashtag.
func TestTextsHaveTheTagsInThem(t *testing.T) {
	g := newGenerator(3)
	var p post.Post
	for n := range int64(5000) {
		g.make(n, true, &p)
		want, got := keys(p.Tags), keys(slices.Collect(hashtag.Scan(p.Text)))
		if !slices.Equal(got, want) || !utf8.Valid(p.Text) {
			t.Fatalf("post %d: %s\nhas %q, want %q", n, p.Text, got, want)
		}
	}
}

func keys(tags [][]byte) (folded []string) {
	for _, tag := range tags {
		folded = append(folded, string(hashtag.Fold(nil, tag)))
	}
	return folded
}

func TestPostsAreLifelike(t *testing.T) {
	track, err := post.NewTrack("corona virus", "COVID-19", "pandemic")
	if err != nil {
		t.Fatal(err)
	}
	const posts = 20000
	g := newGenerator(1)
	var p post.Post
	counts, letters := map[string]int{}, map[rune]bool{}
	tracked, reposts, repeated, uses := 0, 0, 0, 0
	for n := range int64(posts) {
		g.make(n, true, &p)
		if track.Match(&p) {
			tracked++
		}
		if p.Repost {
			reposts++
		}
		folded := keys(p.Tags)
		for _, key := range folded {
			counts[key]++
			uses++
		}
		slices.Sort(folded)
		if len(slices.Compact(folded)) < len(p.Tags) {
			repeated++
		}
		for _, r := range string(p.Text) {
			if r > 0x7f {
				letters[r] = true
			}
		}
	}
	between := func(what string, got, from, to float64) {
		if got < from || got > to {
			t.Errorf("%s: %.4f, want %v to %v", what, got, from, to)
		}
	}
	between("tracked", float64(tracked)/posts, 0.08, 0.3)
	between("reposts", float64(reposts)/posts, 0.1, 0.14)
	between("posts with a tag twice", float64(repeated)/posts, 0.01, 0.1)
	between("tags of a post", float64(uses)/posts, 1.5, 2)
	top := slices.MaxFunc(slices.Collect(maps.Keys(counts)), func(a, b string) int { return counts[a] - counts[b] })
	between("share of the top tag "+top, float64(counts[top])/float64(uses), 0.02, 0.12)
	between("tags seen", float64(len(counts)), 800, 5000)
	for _, script := range []string{"Latin", "Cyrillic", "Arabic", "Hebrew", "Devanagari", "Thai", "Han", "Katakana", "Hiragana", "Hangul", "Greek"} {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(letters)), func(r rune) bool { return unicode.Is(unicode.Scripts[script], r) }) {
			t.Errorf("nothing in %s", script)
		}
	}
}

func TestTrendsRiseAndFallAndTheTailGrows(t *testing.T) {
	g := newGenerator(1)
	const window, windows = 2000, 40
	var p post.Post
	perWindow := make([]map[string]int, windows)
	seen := map[string]bool{}
	var distinct []int
	for w := range perWindow {
		perWindow[w] = map[string]int{}
		for n := range int64(window) {
			g.make(int64(w)*window+n, false, &p)
			for _, key := range keys(p.Tags) {
				perWindow[w][key]++
				seen[key] = true
			}
		}
		distinct = append(distinct, len(seen))
	}
	bursts := 0
	for w := 1; w+1 < windows; w++ {
		for key, n := range perWindow[w] {
			if n > 50 && perWindow[w-1][key] < n/5 {
				bursts++
			}
		}
	}
	if bursts < 10 {
		t.Errorf("only %d bursts in %d windows", bursts, windows)
	}
	if early, late := distinct[9]-distinct[4], distinct[39]-distinct[34]; late < 50 || late > early*2 {
		t.Errorf("new tags: %d early, %d late", early, late)
	}
}

// A collector takes posts, and may die after so many.
type collector struct {
	cursors map[string][]byte
	got     []string
	left    int // -1: it lives for ever
}

var errDead = errors.New("dead")

func (c *collector) Cursors(_ context.Context, prefix string) (map[string][]byte, error) {
	for name := range c.cursors {
		if !strings.HasPrefix(name, prefix) {
			return nil, fmt.Errorf("a cursor %q was asked for as %q", name, prefix)
		}
	}
	return c.cursors, nil
}

func (c *collector) Send(_ context.Context, b emitter.Block) error {
	var p post.Post
	for i := range b.Len() {
		if c.left == 0 {
			return errDead
		}
		c.left--
		if _, err := b.Decode(i, &post.Decoder{}, &p); err != nil {
			return err
		}
		c.got = append(c.got, string(post.Append(nil, &p)))
		name, value := b.Cursor(i + 1)
		c.cursors[name] = slices.Clone(value)
	}
	return nil
}

func TestASourceGoesOnBehindItsCursor(t *testing.T) {
	o := Options{Seed: 4, Posts: 1500, Logger: slog.New(slog.DiscardHandler)}
	whole := &collector{cursors: map[string][]byte{}, left: -1}
	if err := New(o).Run(t.Context(), whole); err != nil || len(whole.got) != 1500 {
		t.Fatal(len(whole.got), err)
	}
	parts := &collector{cursors: map[string][]byte{}}
	for lives := 1; ; lives++ {
		parts.left = 123
		s := New(o)
		err := s.Run(t.Context(), parts)
		if err == nil {
			if p := s.Progress(); p.Done != 1500 || p.Total != 1500 {
				t.Errorf("progress %+v", p)
			}
			break
		}
		if !errors.Is(err, errDead) || lives > 20 {
			t.Fatal(lives, err)
		}
	}
	if !slices.Equal(parts.got, whole.got) {
		t.Errorf("%d posts in parts are not the %d in one run", len(parts.got), len(whole.got))
	}
	parts.left = 0
	if err := New(o).Run(t.Context(), parts); err != nil {
		t.Error("a finished demo goes on:", err)
	}
}

func TestMakingPostsDoesNotAllocate(t *testing.T) {
	g, n := newGenerator(1), int64(0)
	var p post.Post
	for range 1000 {
		g.make(n, true, &p)
		n++
	}
	if allocs := testing.AllocsPerRun(1000, func() { g.make(n, true, &p); n++ }); allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkMake(b *testing.B) {
	for _, text := range []bool{false, true} {
		b.Run(fmt.Sprintf("text=%v", text), func(b *testing.B) {
			g, n := newGenerator(1), int64(0)
			var p post.Post
			for b.Loop() {
				g.make(n, text, &p)
				n++
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
		})
	}
}
