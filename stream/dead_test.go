package stream_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/streamtest"
)

// A posts is a group that counts posts by hashtag, with an input and a loop that
// take poison for poison until they are mended.
type posts struct {
	*testing.T
	group  *streamtest.Tester
	graph  *stream.GroupGraph
	mended map[string]bool // by the poison's kind, "post" or "tag"
	rand   *rand.Rand
}

func newPosts(t *testing.T, seed uint64) *posts {
	p := &posts{T: t, mended: map[string]bool{}, rand: rand.New(rand.NewPCG(seed, 7))}
	counts := stream.Persist(codec.Int64)
	total := stream.NamedTable("totals", codec.Int64)
	add := func(ctx stream.Context, tab *stream.Table[int64], key string) error {
		n, _, err := tab.Get(ctx, key)
		if err != nil {
			return err
		}
		return tab.Set(ctx, key, n+1)
	}
	tags := stream.Loop(codec.Int64, func(ctx stream.Context, n int64) error {
		if err := add(ctx, counts, ctx.Key()); err != nil {
			return err
		}
		if strings.HasPrefix(ctx.Key(), "tag") && !p.mended["tag"] {
			panic("a tag of a kind we do not know") // what was added is undone
		}
		return nil
	}, counts)
	in := stream.Input("posts", codec.String, func(ctx stream.Context, post string) error {
		if err := add(ctx, total, post); err != nil {
			return err
		}
		if err := tags.Loopback(ctx, post, 1); err != nil {
			return err
		}
		if strings.HasPrefix(post, "post") && !p.mended["post"] {
			return stream.Undecodable(fmt.Errorf("no post: %s", post))
		}
		return nil
	}, total)
	p.graph = stream.DefineGroup("g", in, tags, counts, total)
	p.group = streamtest.New(t, p.graph, streamtest.Options{Members: 2, Partitions: 3})
	return p
}

// replay sends chosen letters back, and returns how many.
func (p *posts) replay(choose func(stream.DeadLetter) bool) int64 {
	p.Helper()
	r, err := stream.NewReplay(p.Context(), p.group.Log(), p.graph, stream.ReplayOptions{
		Choose: choose, Logger: slog.New(slog.DiscardHandler), Now: p.group.Now,
	})
	if err != nil {
		p.Fatal(err)
	}
	sent, err := r.Run(p.Context())
	if err != nil || sent != r.Plan().Records() {
		p.Fatalf("sent %d of %d: %v", sent, r.Plan().Records(), err)
	}
	return sent
}

// letters counts dead letters, all and those that wait, and finds places that
// have two.
func (p *posts) letters() (all, waiting int64) {
	p.Helper()
	places := map[string]bool{}
	err := stream.ReadDeadLetters(p.Context(), p.group.Log(), p.graph, func(d stream.DeadLetter) error {
		place := fmt.Sprint(d.Topic, d.Partition, d.Offset)
		if places[place] {
			p.Errorf("%s has two dead letters", place)
		}
		places[place] = true
		all++
		if !d.Replayed {
			waiting++
		}
		return nil
	})
	if err != nil {
		p.Fatal(err)
	}
	return all, waiting
}

// counted sums up a table.
func (p *posts) counted(table string) (n int64) {
	for _, r := range streamtest.NewTable(p.group, table, codec.Int64).All() {
		n += r
	}
	return n
}

// disturb lets members crash and come back, or something be replayed in vain.
func (p *posts) disturb() (sent int64) {
	m := p.group.Members()[p.rand.IntN(2)]
	switch p.rand.IntN(4) {
	case 0:
		m.Crash()
	case 1:
		if !m.Up() {
			m.Restart()
		}
	case 2:
		p.group.Advance(time.Duration(p.rand.IntN(300)) * time.Millisecond)
	case 3:
		odd := p.rand.Int64N(2)
		sent = p.replay(func(d stream.DeadLetter) bool { return d.Offset%2 == odd })
	}
	return sent
}

// Every record that a step cannot take is a dead letter once, and counts for
// nothing; replayed to steps that can take it, it counts once. So what is
// counted is what was good, and what was replayed.
func TestCountedIsGoodAndReplayed(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			p := newPosts(t, seed)
			in := streamtest.NewTopic(p.group, "posts", codec.String)
			good, poison := map[string]int64{}, int64(0)
			var inVain int64
			p.group.Settle() // the topics are there
			for n := range 40 {
				kind := []string{"good", "post", "tag"}[p.rand.IntN(3)]
				in.EmitKeyless(fmt.Sprintf("%s%d", kind, n))
				good[kind]++
				if kind != "good" {
					poison++
				}
				inVain += p.disturb()
			}
			for _, m := range p.group.Members() {
				if !m.Up() {
					m.Restart()
				}
			}
			p.group.Settle()
			all, waiting := p.letters()
			if all != poison+inVain || waiting != poison {
				t.Fatalf("%d dead letters, %d to be replayed; want %d and %d", all, waiting, poison+inVain, poison)
			}
			if posts, uses := p.counted("g-totals-table"), p.counted("g-table"); posts != good["good"]+good["tag"] || uses != good["good"] {
				t.Fatalf("%d posts and %d tags are counted, of %v", posts, uses, good)
			}
			p.mended["post"], p.mended["tag"] = true, true
			sent := p.replay(func(d stream.DeadLetter) bool { return d.Offset%3 > 0 })
			p.group.Members()[0].Crash()
			sent += p.replay(nil)
			p.group.Settle()
			if posts, uses := p.counted("g-totals-table"), p.counted("g-table"); sent != poison || posts != 40 || uses != 40 {
				t.Errorf("replayed %d of %d, and %d posts and %d tags are counted", sent, poison, posts, uses)
			}
			for tag, n := range streamtest.NewTable(p.group, "g-table", codec.Int64).All() {
				if n != 1 {
					t.Errorf("%s is counted %d times", tag, n)
				}
			}
			if more := p.replay(nil); more != 0 {
				t.Errorf("replayed %d again", more)
			}
		})
	}
}
