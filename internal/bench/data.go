package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tagtide/tagtide/post"
)

func (b bench) file(name string) string { return filepath.Join(b.dir, name) }

// writeData makes the two data sets: tweets of about 350 bytes as the article's
// producer sends them, two hashtags each, drawn by Zipf's law (1.1) from
// 200,000; and a wide one in which every hashtag is new.
func (b bench) writeData(context.Context) (result, error) {
	r := rand.New(rand.NewPCG(1, 1))
	zipf := rand.NewZipf(r, 1.1, 1, 200_000-1)
	next := int64(0)
	begin := time.Now()
	err := errors.Join(
		writeTweets(b.file("tweets.jsonl"), b.posts, func() string { return fmt.Sprintf("Tag%d", zipf.Uint64()) }),
		writeTweets(b.file("wide.jsonl"), b.tags/2, func() string { next++; return fmt.Sprintf("wide%d", next) }),
	)
	return result{Items: int64(b.posts + b.tags/2), Seconds: time.Since(begin).Seconds()}, err
}

func writeTweets(path string, n int, tag func() string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	text := strings.Repeat("stay safe and wash your hands ", 3)
	for i := range n {
		one, two := tag(), tag()
		fmt.Fprintf(w, `{"created_at":"Fri Apr 03 12:00:00 +0000 2020","id_str":"%d","text":"%s#%s #%s","user":{"id_str":"42"},"lang":"en",`+
			`"entities":{"hashtags":[{"text":"%s","indices":[90,98]},{"text":"%s","indices":[99,107]}],"urls":[],"user_mentions":[]}}`+"\n",
			1_245_999_999_999_000_000+int64(i), text, one, two, one, two)
	}
	return errors.Join(w.Flush(), f.Close())
}

// dumb only reads and decodes the posts and finds their hashtags' keys, in one
// goroutine: what everything else is set against.
func (b bench) dumb(context.Context) (result, error) {
	f, err := os.Open(b.file("tweets.jsonl"))
	if err != nil {
		return result{}, err
	}
	defer f.Close()
	var d post.Decoder
	var p post.Post
	var u post.Uses
	uses := 0
	begin := time.Now()
	lines := bufio.NewScanner(bufio.NewReaderSize(f, 1<<20))
	n := int64(0)
	for lines.Scan() {
		if _, err := d.Decode(lines.Bytes(), &p); err != nil {
			return result{}, err
		}
		uses += len(u.Of(&p))
		n++
	}
	if uses == 0 {
		return result{}, errors.New("no hashtags found")
	}
	return result{Items: n, Seconds: time.Since(begin).Seconds()}, lines.Err()
}
