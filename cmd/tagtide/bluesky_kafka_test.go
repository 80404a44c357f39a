//go:build kafka

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/tagtide/tagtide/post"
)

// A network is counted once, though the emitter is killed again and again and
// repeats what it has read, one processor is killed now and then, and the other
// loses its disk with all that it remembers of posts.
func TestKillLoopOfANetworkCountsOnce(t *testing.T) {
	t.Parallel()
	brokers, _ := shared(t)
	f, n := newFleet(t, brokers), newNetwork(t)
	f.do("topics", "create", "--partitions", "8")
	f.process(0)
	f.process(1)
	url := f.serve()
	emit := f.launch("emit", "emit", "--source", "bluesky", "--server", n.URL())
	n.connected(t, 0)
	emit.stop() // its place is committed: from here on nothing may be lost
	n.begin()
	r := rand.New(rand.NewPCG(9, 9))
	for i := range 10 {
		before := len(n.Queries())
		f.again("emit")
		n.connected(t, before)
		time.Sleep(time.Duration(200+r.IntN(1600)) * time.Millisecond) // when it strikes must not be known
		if i%3 == 2 {
			name := fmt.Sprint("process-", i/3%2)
			f.programs[name].kill()
			if name == "process-1" {
				if err := os.RemoveAll(f.state(name)); err != nil {
					t.Fatal(err)
				}
			}
			f.again(name)
		}
		f.programs["emit"].kill()
	}
	f.again("emit")
	time.Sleep(time.Duration(r.IntN(500)) * time.Millisecond)
	want, posts := n.end()
	same(t, "after all kills", lastCounted(t, url, posts), want)
	f.programs["emit"].stop() // what it repeats until then is to be handled, too
	same(t, "and when the emitter has stopped", exported(t, url, posts), want)
	again := repeats(t, f.kafka[5], f.kafka...)
	t.Logf("%d posts of %v are left; repeated: %v", posts, n.events, again)
	if again[post.Create] == 0 || again[post.Delete] == 0 || again[post.Gone] == 0 {
		t.Errorf("too little came again: %v", again)
	}
	f.audit()
}
