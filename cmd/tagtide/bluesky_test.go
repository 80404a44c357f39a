package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tagtide/tagtide/emitter/bluesky/jetstreamtest"
	"github.com/tagtide/tagtide/post"
)

// jetstream is a server that has a post every few milliseconds, from begin to
// end, where it has a last one.
type jetstream struct {
	*jetstreamtest.Server
	stop chan struct{}
	done sync.WaitGroup
	want map[string]int64 // for after end: posts by tag
}

const lastTag = "thelastone"

func newJetstream(t *testing.T) *jetstream {
	j := &jetstream{Server: jetstreamtest.New(t, jetstreamtest.Options{}), stop: make(chan struct{}), want: map[string]int64{}}
	t.Cleanup(func() { j.end() })
	return j
}

// begin begins the posts.
func (j *jetstream) begin() {
	j.done.Go(func() {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-ticker.C:
				j.add(i, fmt.Sprintf("tag%d", i%17))
			case <-j.stop:
				j.add(i, lastTag)
				return
			}
		}
	})
}

func (j *jetstream) add(i int, tag string) {
	j.want[tag]++
	j.Add(jetstreamtest.Event{
		Time: time.Now().UnixMicro(), DID: fmt.Sprintf("did:plc:author%d", i%9), Op: "create",
		Rkey: fmt.Sprintf("3m%08d", i), Tags: []string{tag},
	})
}

// end ends the posts, and returns how many there were by tag.
func (j *jetstream) end() map[string]int64 {
	select {
	case <-j.stop:
	default:
		close(j.stop)
	}
	j.done.Wait()
	return j.want
}

// connected waits until there were more connections than n.
func (j *jetstream) connected(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); len(j.Queries()) <= n; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody listens")
		}
	}
}

// TestKillNineLosesNoPostOfANetwork: whenever it strikes, the next process
// begins before the last committed post.
func TestKillNineLosesNoPostOfANetwork(t *testing.T) {
	j, data := newJetstream(t), t.TempDir()
	args := []string{"run", "--source", "bluesky", "--server", j.URL(), "--data-dir", data, "--listen", "127.0.0.1:0"}
	first := launch(t, args...)
	j.connected(t, 0)
	first.stop() // its place is committed: from here on nothing may be lost
	j.begin()
	r := rand.New(rand.NewPCG(5, 5))
	for range 8 {
		n := len(j.Queries())
		p := launch(t, args...)
		j.connected(t, n)
		time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond) // when it strikes must not be known
		p.kill()
	}
	want := j.end()
	p := launch(t, args...)
	url := p.said(`page on (http://\S+)`)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := get(t.Context(), url+"/api/v1/hashtags/"+lastTag); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the last post was not counted")
		}
	}
	p.stop()
	got, repeated := distinctPosts(t, data)
	same(t, "posts in the topic, each once", got, want)
	if repeated == 0 {
		t.Error("no overlap was read")
	}
}

// distinctPosts counts the posts in the input topic by tag, each id once, and
// how often one was there again.
func distinctPosts(t *testing.T, data string) (byTag map[string]int64, repeated int) {
	t.Helper()
	code, out, stderr := do(t, "", "topics", "read", "tweets", "--data-dir", data)
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	byTag, seen := map[string]int64{}, map[string]bool{}
	var d post.Decoder
	var p post.Post
	for line := range strings.Lines(out) {
		var r recordJSON
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Decode([]byte(*r.Value), &p); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if id := string(p.ID); seen[id] {
			repeated++
		} else {
			seen[id] = true
			byTag[string(p.Tags[0])]++
		}
	}
	return byTag, repeated
}
