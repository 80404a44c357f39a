package main

import (
	"archive/tar"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// tweetLines are the tweets with the numbers from..to-1, each always the same.
func tweetLines(from, to int) []byte {
	var b bytes.Buffer
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, `{"created_at":"Fri Apr 03 12:00:00 +0000 2020","id_str":"%d","text":"t","entities":{"hashtags":[{"text":"Tag%d"},{"text":"TAG%d"}]},"user":{"id_str":"1"}}`+"\n", i, i%37, i%11)
	}
	return b.Bytes()
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// archiveOfTweets writes a tar.gz with members packed in every way, in which
// many tweets are twice or more, and returns what is in them.
func archiveOfTweets(t *testing.T, file string) (lines []byte) {
	t.Helper()
	some, err := os.ReadFile("testdata/tweets.jsonl.bz2")
	if err != nil {
		t.Fatal(err)
	}
	packed := bytes.Repeat(some, 4)
	bz, err := io.ReadAll(bzip2.NewReader(bytes.NewReader(packed)))
	if err != nil {
		t.Fatal(err)
	}
	first, plain, last := tweetLines(0, 8_000), tweetLines(4_000, 10_000), tweetLines(10_000, 16_000)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range []struct {
		name string
		data []byte
	}{{"2020/00.json.gz", gzipped(t, first)}, {"2020/01.json.bz2", packed}, {"2020/02.json", plain}, {"2020/03.json.gz", gzipped(t, last)}} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: m.name, Size: int64(len(m.data)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(m.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, gzipped(t, b.Bytes()), 0o600); err != nil {
		t.Fatal(err)
	}
	return slices.Concat(first, bz, plain, last)
}

// dumbCount counts tweets, each once if they are told apart.
func dumbCount(t *testing.T, lines []byte, apart bool) map[string]int64 {
	t.Helper()
	counts, known := map[string]int64{}, map[string]bool{}
	for line := range bytes.Lines(lines) {
		var tweet struct {
			ID       string `json:"id_str"`
			Entities struct{ Hashtags []struct{ Text string } }
		}
		if err := json.Unmarshal(line, &tweet); err != nil {
			t.Fatal(err)
		}
		if apart && known[tweet.ID] {
			continue
		}
		known[tweet.ID] = true
		tags := map[string]bool{}
		for _, h := range tweet.Entities.Hashtags {
			tags[strings.ReplaceAll(strings.ToLower(h.Text), "ς", "σ")] = true // one letter, written so at a word's end
		}
		for tag := range tags {
			counts[tag]++
		}
	}
	return counts
}

var readingFrom = regexp.MustCompile(`msg=reading .*member=(\S+) from_line=(\d+)`)

// Wherever in an archive kill -9 strikes, the next process goes on behind the
// last committed post: also if nothing else keeps it from counting twice.
func TestKillNineInAnArchiveCountsOnce(t *testing.T) {
	for _, dedupe := range []string{"off", "48h"} {
		t.Run("dedupe "+dedupe, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file, data := filepath.Join(dir, "tweets.tar.gz"), filepath.Join(dir, "data")
			want := dumbCount(t, archiveOfTweets(t, file), dedupe != "off")
			args := []string{"run", "--once", "--source", "file", "--input", file, "--output", "ndjson", "--data-dir", data, "--dedupe", dedupe}
			r := rand.New(rand.NewPCG(8, 8))
			members := map[string]bool{} // in the middle of which one was killed
			for kills := 0; kills < 7 || len(members) < 2 && kills < 50; kills++ {
				p := launch(t, append(args, "--rate", "12000")...)
				p.said(`msg=(reading)`)
				time.Sleep(100*time.Millisecond + time.Duration(r.IntN(250))*time.Millisecond) // when it strikes must not be known
				p.kill()
				if m := readingFrom.FindStringSubmatch(p.log.String()); m != nil && m[2] != "1" {
					members[m[1]] = true
				}
			}
			if len(members) < 2 {
				t.Errorf("killed in the middle of no members but %v", members)
			}
			same(t, "counts", counted(t, mustDo(t, args...)), want)
			mustDo(t, "check", "--data-dir", data, "--dedupe", dedupe) // --once removes what is counted: no recount
		})
	}
}
