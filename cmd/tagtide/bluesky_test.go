package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tagtide/tagtide/emitter/bluesky/jetstreamtest"
	"github.com/tagtide/tagtide/post"
)

// A network is a Jetstream on which something happens every few milliseconds,
// from begin to end, where it has a last post. Posts are written, edited and
// deleted, and accounts are taken down and come back, without their old posts.
type network struct {
	*jetstreamtest.Server
	stop chan struct{}
	done sync.WaitGroup

	// For after end, until then the writer's.
	r      *rand.Rand
	begun  int                 // posts so far
	alive  map[string][]string // the tags of what is there, by DID and key
	gone   map[string]bool     // DIDs that are taken down
	events map[string]int      // by what happened
}

const lastTag = "thelastone"

func newNetwork(t *testing.T) *network {
	n := &network{
		Server: jetstreamtest.New(t, jetstreamtest.Options{}), stop: make(chan struct{}), r: rand.New(rand.NewPCG(6, 6)),
		alive: map[string][]string{}, gone: map[string]bool{}, events: map[string]int{},
	}
	t.Cleanup(func() { n.end() })
	return n
}

// begin begins what happens.
func (n *network) begin() {
	n.done.Go(func() {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				n.happen()
			case <-n.stop:
				n.write("did:plc:last", lastTag)
				return
			}
		}
	})
}

// happen lets something happen to an account or to one of its posts.
func (n *network) happen() {
	did := fmt.Sprintf("did:plc:author%d", n.r.IntN(9))
	var keys []string
	for id := range n.alive {
		if author, key, _ := strings.Cut(id, " "); author == did {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	dice := n.r.IntN(40)
	switch {
	case n.gone[did]:
		delete(n.gone, did)
		n.add(did, "active", "")
	case dice == 0:
		n.gone[did] = true
		for _, key := range keys {
			delete(n.alive, did+" "+key)
		}
		n.add(did, "deleted", "")
	case dice < 5 && len(keys) > 0:
		key := keys[n.r.IntN(len(keys))]
		delete(n.alive, did+" "+key)
		n.add(did, "delete", key)
	case dice < 12 && len(keys) > 0:
		key := keys[n.r.IntN(len(keys))]
		n.alive[did+" "+key] = n.tags()
		n.add(did, "update", key, n.alive[did+" "+key]...)
	default:
		n.write(did, n.tags()...)
	}
}

// tags are one or two, never the same twice.
func (n *network) tags() []string {
	first := n.r.IntN(17)
	return []string{fmt.Sprintf("tag%d", first), fmt.Sprintf("tag%d", first+1)}[:1+n.r.IntN(2)]
}

func (n *network) write(did string, tags ...string) {
	n.begun++
	key := fmt.Sprintf("3m%08d", n.begun)
	n.alive[did+" "+key] = tags
	n.add(did, "create", key, tags...)
}

func (n *network) add(did, op, key string, tags ...string) {
	n.events[op]++
	n.Add(jetstreamtest.Event{Time: time.Now().UnixMicro(), DID: did, Op: op, Rkey: key, Tags: tags})
}

// end ends what happens, and returns how many posts are there by tag and in all.
func (n *network) end() (byTag map[string]int64, posts int64) {
	select {
	case <-n.stop:
	default:
		close(n.stop)
	}
	n.done.Wait()
	byTag = map[string]int64{}
	for _, tags := range n.alive {
		for _, tag := range tags {
			byTag[tag]++
		}
	}
	return byTag, int64(len(n.alive))
}

// connected waits until there were more connections than so many.
func (n *network) connected(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); len(n.Queries()) <= before; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody listens")
		}
	}
}

// lastCounted waits until the last post is counted, and returns all counts.
func lastCounted(t *testing.T, url string, posts int64) map[string]int64 {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := get(t.Context(), url+"/api/v1/hashtags/"+lastTag); err == nil {
			return exported(t, url, posts)
		}
		if time.Now().After(deadline) {
			t.Fatal("the last post was not counted")
		}
	}
}

// TestKillNineLosesNoPostOfANetwork: whenever it strikes, the next process
// begins before the last committed post; and what it reads again counts once.
func TestKillNineLosesNoPostOfANetwork(t *testing.T) {
	n, data := newNetwork(t), t.TempDir()
	args := []string{"run", "--source", "bluesky", "--server", n.URL(), "--data-dir", data, "--listen", "127.0.0.1:0"}
	first := launch(t, args...)
	n.connected(t, 0)
	first.stop() // its place is committed: from here on nothing may be lost
	n.begin()
	r := rand.New(rand.NewPCG(5, 5))
	for range 8 {
		before := len(n.Queries())
		p := launch(t, args...)
		n.connected(t, before)
		time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond) // when it strikes must not be known
		p.kill()
	}
	want, posts := n.end()
	p := launch(t, args...)
	same(t, "counts", lastCounted(t, p.said(`page on (http://\S+)`), posts), want)
	p.stop()
	again := repeats(t, "tweets", "--data-dir", data)
	t.Logf("%d posts of %v are left; repeated: %v", posts, n.events, again)
	for _, op := range []post.Op{post.Create, post.Update, post.Delete, post.Gone, post.Back} {
		if again[op] == 0 {
			t.Errorf("nothing of kind %v came again", op)
		}
	}
	out := mustDo(t, "check", "--recount", "--data-dir", data)
	for _, what := range []string{"hashtags-posts", "recount"} {
		if !strings.Contains(out, what) {
			t.Errorf("%s was not checked:\n%s", what, out)
		}
	}
}

// repeats tells how many values of a topic came more than once, by what
// they say.
func repeats(t *testing.T, topic string, where ...string) map[post.Op]int {
	t.Helper()
	again, seen := map[post.Op]int{}, map[string]bool{}
	var d post.Decoder
	var p post.Post
	for line := range strings.Lines(mustDo(t, append([]string{"topics", "read", topic}, where...)...)) {
		var r recordJSON
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Decode([]byte(*r.Value), &p); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		place := fmt.Sprint(r.Partition, *r.Value) // what befalls an account is in every partition
		if seen[place] {
			again[p.Op]++
		}
		seen[place] = true
	}
	return again
}
