package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What becomes of a post that is edited, from a file through the whole of it to
// the counts: of its versions the newest counts, in whatever order they come, and
// with --track only as long as it has the words.
func TestOfAnEditedPostTheNewestVersionCounts(t *testing.T) {
	version := func(n int, text string) string {
		history := ""
		for i := range n {
			history += fmt.Sprintf(`,"190000000000000000%d"`, i+1)
		}
		return fmt.Sprintf(`{"data":{"id":"190000000000000000%d","text":%q,"edit_history_tweet_ids":[%s]}}`, n, text, history[1:])
	}
	toot := func(edited, text string) string {
		return fmt.Sprintf(`{"uri":"https://m/1","id":"1","visibility":"public","created_at":"2026-08-20T10:00:00.000Z","edited_at":%s,"content":"<p>%s</p>"}`, edited, text)
	}
	first, away, back := version(1, "pandemic #a"), version(2, "cats #b"), version(3, "the pandemic again #c")
	for name, c := range map[string]struct {
		lines []string
		flags string
		want  map[string]int64
	}{
		"edited":                         {[]string{first, away}, "", map[string]int64{"b": 1}},
		"the second comes last":          {[]string{first, back, away}, "", map[string]int64{"c": 1}},
		"the first comes last":           {[]string{back, away, first}, "", map[string]int64{"c": 1}},
		"away from the words":            {[]string{first, away}, "--track=pandemic", map[string]int64{}},
		"away before the first":          {[]string{away, first}, "--track=pandemic", map[string]int64{}},
		"away and back":                  {[]string{first, away, back}, "--track=pandemic", map[string]int64{"c": 1}},
		"away after it was back":         {[]string{first, back, away}, "--track=pandemic", map[string]int64{"c": 1}},
		"away and back on Mastodon":      {[]string{toot("null", "pandemic #a"), toot(`"2026-08-20T10:01:00.000Z"`, "#b"), toot(`"2026-08-20T10:02:00.000Z"`, "#c pandemic")}, "--track=pandemic", map[string]int64{"c": 1}},
		"on Mastodon the second is late": {[]string{toot("null", "#a"), toot(`"2026-08-20T10:02:00.000Z"`, "#c"), toot(`"2026-08-20T10:01:00.000Z"`, "#b")}, "", map[string]int64{"c": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "input")
			if err := os.WriteFile(path, []byte(strings.Join(c.lines, "\n")), 0o600); err != nil {
				t.Fatal(err)
			}
			args := append([]string{"run", "--once", "--output", "ndjson", "--source", "file", "--input", path}, strings.Fields(c.flags)...)
			code, out, stderr := do(t, "", args...)
			if code != exitDone {
				t.Fatalf("exit %d: %s", code, stderr)
			}
			same(t, "counts", counted(t, out), c.want)
		})
	}
}
