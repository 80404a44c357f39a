package processor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tagtide/tagtide/processor"
	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/streamtest"
)

// own writes what an emitter would.
func own(source, id, alias, op string, tags ...string) string {
	value := fmt.Sprintf(`{"tagtide":1,"source":%q`, source)
	if op == "gone" || op == "back" {
		return value + fmt.Sprintf(`,"account":%q,"op":%q}`, id, op)
	}
	if id != "" {
		value += fmt.Sprintf(`,"id":%q`, id)
	}
	if alias != "" {
		value += fmt.Sprintf(`,"alias":%q`, alias)
	}
	if op != "" {
		value += fmt.Sprintf(`,"op":%q`, op)
	}
	for i, tag := range tags {
		value += []string{`,"tags":[`, `,`}[min(i, 1)] + fmt.Sprintf("%q", tag)
	}
	if len(tags) > 0 {
		value += "]"
	}
	return value + "}"
}

// version is what own writes, as a version.
func version(own string, n int) string {
	return strings.Replace(own, `,"tags"`, fmt.Sprintf(`,"version":%d,"tags"`, n), 1)
}

// A world is the group with its input, which has one partition, so that every
// record meets every other.
type world struct {
	*streamtest.Tester
	tweets *streamtest.Topic[string]
	counts *streamtest.Table[int64]
	o      processor.Options
}

func newWorld(t streamtest.TB, dedupe time.Duration) *world {
	w := &world{o: processor.Options{Dedupe: dedupe}}
	w.Tester = streamtest.New(t, processor.Graph(w.o), streamtest.Options{Partitions: 1})
	w.tweets = streamtest.NewTopic(w.Tester, "tweets", codec.String)
	w.counts = streamtest.NewTable(w.Tester, stream.GroupTable("hashtags"), codec.Int64)
	return w
}

// totals are the sums of the group.
func (w *world) totals() map[string]int64 {
	return streamtest.NewTable(w.Tester, stream.TableTopic("hashtags", "totals"), codec.Int64).All()
}

// A fate is what becomes of posts.
type fate struct {
	records []string
	want    string // counts
	posts   int64
}

func TestWhatBecomesOfAPost(t *testing.T) {
	const at = "at://did:plc:a/app.bsky.feed.post/1"
	post := own("bluesky", at, "", "", "One", "Two")
	edit := own("bluesky", at, "", "update", "Two", "Three")
	del := own("bluesky", at, "", "delete")
	gone, back := own("bluesky", "did:plc:a", "", "gone"), own("bluesky", "did:plc:a", "", "back")
	toot := own("mastodon", "https://m/1", "m/1", "", "One")
	become(t, map[string]fate{
		"twice":                        {[]string{post, post}, "map[one:1 two:1]", 1},
		"edited":                       {[]string{post, edit}, "map[three:1 two:1]", 1},
		"edited twice the same":        {[]string{post, edit, edit}, "map[three:1 two:1]", 1},
		"an edit of nothing known":     {[]string{edit}, "map[three:1 two:1]", 1},
		"a late post after its edit":   {[]string{edit, post}, "map[three:1 two:1]", 1},
		"deleted":                      {[]string{post, del}, "map[]", 0},
		"deleted twice":                {[]string{post, del, del}, "map[]", 0},
		"edited and deleted":           {[]string{post, edit, del}, "map[]", 0},
		"a late post after its delete": {[]string{del, post}, "map[]", 0},
		"a late edit after its delete": {[]string{post, del, edit}, "map[]", 0},
		"the account is gone":          {[]string{post, gone}, "map[]", 0},
		"late, the account is gone":    {[]string{gone, post}, "map[]", 0},
		"the account is back":          {[]string{post, gone, back, own("bluesky", "at://did:plc:a/app.bsky.feed.post/2", "", "", "New")}, "map[new:1]", 1},
		"another account is gone":      {[]string{post, own("bluesky", "did:plc:b", "", "gone")}, "map[one:1 two:1]", 1},
		"deleted by its alias":         {[]string{toot, own("mastodon", "", "m/1", "delete")}, "map[]", 0},
		"late after its alias is":      {[]string{own("mastodon", "", "m/1", "delete"), toot}, "map[]", 0},
		"another server's alias":       {[]string{toot, own("mastodon", "", "n/1", "delete")}, "map[one:1]", 1},
		"the same post of two servers": {[]string{toot, own("mastodon", "https://m/1", "n/7", "", "One")}, "map[one:1]", 1},
		"and deleted on the second":    {[]string{toot, own("mastodon", "https://m/1", "n/7", "", "One"), own("mastodon", "", "n/7", "delete")}, "map[]", 0},
		"without an id":                {[]string{own("x", "", "", "", "One"), own("x", "", "", "", "One")}, "map[one:2]", 2},
		"another network's":            {[]string{own("x", "1", "", "", "One"), own("y", "1", "", "", "One")}, "map[one:2]", 2},
		"only the spelling is edited":  {[]string{own("x", "1", "", "", "ONE"), own("x", "1", "", "update", "One")}, "map[one:1]", 1},
	})
}

func TestWhatBecomesOfVersions(t *testing.T) {
	plain, first := own("x", "1", "", "", "One"), version(own("x", "1", "", "update", "First"), 1_900_000_000_000_000_001)
	second, third := version(own("x", "1", "", "update", "Second"), 1_900_000_000_000_000_002), version(own("x", "1", "", "update", "Third"), 1_900_000_000_000_000_010)
	hidden := strings.Replace(own("x", "1", "", "hide"), "}", `,"version":1900000000000000005}`, 1)
	toot := own("mastodon", "https://m/1", "m/1", "", "One")
	timed := func(tag string, milli int) string {
		return strings.Replace(own("mastodon", "https://m/1", "m/1", "update", tag), `,"tags"`, fmt.Sprintf(`,"time":%d,"tags"`, milli), 1)
	}
	become(t, map[string]fate{
		"an older edit comes late":   {[]string{plain, third, second}, "map[third:1]", 1},
		"edits in the wrong order":   {[]string{third, second, first, plain}, "map[third:1]", 1},
		"edits in order":             {[]string{plain, first, second, third}, "map[third:1]", 1},
		"the newest edit again":      {[]string{third, second, third}, "map[third:1]", 1},
		"edits are ordered by time":  {[]string{toot, timed("Late", 2000), timed("Early", 1000)}, "map[late:1]", 1},
		"an edit of unknown version": {[]string{third, own("x", "1", "", "update", "Any"), second}, "map[second:1]", 1},
		"hidden by an older version": {[]string{third, hidden}, "map[third:1]", 1},
		"hidden by a newer version":  {[]string{second, hidden, first}, "map[]", 0},
		"hidden and newer again":     {[]string{second, hidden, third}, "map[third:1]", 1},
	})
}

func TestWhatBecomesOfAHiddenPost(t *testing.T) {
	const at = "at://did:plc:a/app.bsky.feed.post/1"
	post := own("bluesky", at, "", "", "One", "Two")
	edit, hide := own("bluesky", at, "", "update", "Two", "Three"), own("bluesky", at, "", "hide")
	del, gone := own("bluesky", at, "", "delete"), own("bluesky", "did:plc:a", "", "gone")
	become(t, map[string]fate{
		"hidden":                      {[]string{post, hide}, "map[]", 0},
		"hidden twice":                {[]string{post, hide, hide}, "map[]", 0},
		"hidden, and late the post":   {[]string{hide, post}, "map[]", 0},
		"hidden and back":             {[]string{post, hide, edit}, "map[three:1 two:1]", 1},
		"hidden, back and deleted":    {[]string{post, hide, edit, del}, "map[]", 0},
		"hidden and deleted":          {[]string{post, hide, del, edit}, "map[]", 0},
		"deleted and hidden":          {[]string{del, hide, edit}, "map[]", 0},
		"hidden, the account is gone": {[]string{post, hide, gone, edit}, "map[]", 0},
	})
}

// become counts each and counts again.
func become(t *testing.T, fates map[string]fate) {
	for name, c := range fates {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, time.Hour)
			for _, r := range c.records {
				w.tweets.EmitKeyless(r)
			}
			w.Settle()
			if got := fmt.Sprint(w.counts.All()); got != c.want || w.totals()["posts"] != c.posts {
				t.Errorf("counts %s, totals %v; want %s and %d posts", got, w.totals(), c.want, c.posts)
			}
			if fault, err := processor.Recount(t.Context(), w.Log(), w.o); fault != "" || err != nil {
				t.Errorf("recounted: %q, %v", fault, err)
			}
		})
	}
}

// What is forgotten counts anew; until then each sighting is remembered for the
// whole time again.
func TestPostsAreForgottenBySendTime(t *testing.T) {
	w := newWorld(t, time.Hour)
	post := own("x", "1", "", "", "One")
	begin := w.Now()
	for _, c := range []struct {
		after time.Duration
		want  int64
	}{{0, 1}, {59 * time.Minute, 1}, {118 * time.Minute, 1}, {178 * time.Minute, 1}, {238*time.Minute + time.Millisecond, 2}} {
		w.tweets.EmitAt(begin.Add(c.after), "x:1", post)
		w.Settle()
		if n, _ := w.counts.Get("one"); n != c.want {
			t.Fatalf("after %s: counted %d times, want %d", c.after, n, c.want)
		}
	}
}

// Whatever comes in whatever order, at whatever time, and whatever machine is
// lost: the group counts what plain maps do, and remembers it.
func TestTheGroupCountsAsTheLedgerDoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, time.Hour)
		at := w.Now()
		for range rapid.IntRange(1, 40).Draw(rt, "records") {
			at = at.Add(time.Duration(rapid.IntRange(-20, 50).Draw(rt, "minutes")) * time.Minute)
			w.tweets.EmitAt(at, "k", drawRecord(rt))
			switch last := w.Members()[len(w.Members())-1]; rapid.IntRange(0, 9).Draw(rt, "fault") {
			case 0, 1:
				w.Settle()
			case 2:
				last.Crash()
				last.Restart()
			case 3:
				last.Crash() // and its disk is lost
				w.Join()
			}
		}
		w.Settle()
		if fault, err := processor.Recount(t.Context(), w.Log(), w.o); fault != "" || err != nil {
			rt.Fatalf("recounted: %q, %v", fault, err)
		}
	})
}

func drawRecord(rt *rapid.T) string {
	n := rapid.IntRange(1, 3).Draw(rt, "post")
	tags := rapid.SliceOfN(rapid.SampledFrom([]string{"One", "ONE", "Two", "three", "漢字"}), 0, 3).Draw(rt, "tags")
	op := rapid.SampledFrom([]string{"", "", "", "update", "update", "hide", "delete", "gone", "back"}).Draw(rt, "op")
	account := rapid.SampledFrom([]string{"did:plc:a", "did:plc:b"}).Draw(rt, "account")
	switch source := rapid.SampledFrom([]string{"x", "bluesky", "mastodon"}).Draw(rt, "source"); {
	case op == "gone" || op == "back":
		return own("bluesky", account, "", op)
	case source == "bluesky":
		return own(source, fmt.Sprintf("at://%s/app.bsky.feed.post/%d", account, n), "", op, tags...)
	case source == "mastodon" && op == "delete":
		return own(source, "", fmt.Sprintf("%s/%d", account, n), op)
	case source == "mastodon":
		return own(source, fmt.Sprintf("https://m/%d", n), fmt.Sprintf("%s/%d", account, n), op, tags...)
	case op == "update":
		return version(own(source, fmt.Sprint(n), "", op, append(tags, "edited")...), rapid.IntRange(1, 2).Draw(rt, "version"))
	default:
		return own(source, fmt.Sprint(n), "", op, tags...)
	}
}
