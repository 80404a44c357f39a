// Package processor is the hashtags group: it counts how many posts use each
// hashtag.
//
//	tweets ─▶ post ─▶ each of its hashtags, +1 ─▶ hashtags-loop ─▶ count ─▶ hashtags-table
//	           │ │     (summed per commit)        keyed by hashtag  │
//	           │ └─ posts that were seen, folded from tweets        └─▶ hashtags-spellings-table
//	           └─▶ hashtags-totals-table: posts, uses, skipped, dead letters, …
//
// A post counts once, and each of its hashtags once; see posts.go. What cannot
// be decoded goes to hashtags-dead, is counted there, and stops nothing.
package processor

import (
	"bytes"
	"sync"
	"time"
	"unsafe"

	"github.com/tagtide/tagtide/internal/spelling"
	"github.com/tagtide/tagtide/internal/totals"
	"github.com/tagtide/tagtide/post"
	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
)

// Options of the group. The zero value is good.
type Options struct {
	Group string // default "hashtags"
	Input string // default "tweets"
	// SkipReposts leaves out posts that pass on somebody else's; the default
	// counts every post that is delivered, as the stream did.
	SkipReposts bool
	// BlueskyText is post.Decoder.BlueskyText, for what other producers than our
	// emitters have sent.
	BlueskyText bool
	// Dedupe is for how long posts are remembered since they were last heard of,
	// by the times at which records are sent: what comes again in that time
	// counts once, and edits and deletes are followed. 0: not at all.
	Dedupe time.Duration
}

// Graph returns the group. This is the whole topology.
func Graph(o Options) *stream.GroupGraph {
	if o.Group == "" {
		o.Group = "hashtags"
	}
	if o.Input == "" {
		o.Input = "tweets"
	}
	g := &group{options: o}
	g.counts = stream.Persist(codec.Int64)
	g.spellings = stream.NamedTable(spelling.Table, spelling.Rows)
	g.totals = stream.NamedTable(totals.Table, codec.Int64).PerPartition()
	g.loop = stream.Loop(spelling.Changes, g.count, g.counts, g.spellings).Combine(spelling.Add)
	tables := []stream.Stateful{g.totals}
	if g.posts = postsTable(o.Dedupe); g.posts != nil {
		tables = append(tables, g.posts)
	}
	posts := stream.Input(o.Input, codec.Borrowed, g.post, tables...).OnDead(g.dead).OnSkip(g.skip)
	return stream.DefineGroup(o.Group, posts, g.loop, g.counts, g.spellings, g.totals)
}

type group struct {
	options   Options
	counts    *stream.Table[int64]
	spellings *stream.Table[spelling.Row]
	totals    *stream.Table[int64]
	posts     *stream.Table[row] // nil: posts are not remembered
	loop      *stream.LoopEdge[spelling.Change]
	desks     sync.Pool // of *desk
}

// A desk is what one step works on: decoding keeps its scratch here.
type desk struct {
	decoder post.Decoder
	post    post.Post
	uses    post.Uses
	memory  memory
}

func newDesk(o Options) *desk { return &desk{decoder: post.Decoder{BlueskyText: o.BlueskyText}} }

// post takes a post apart into uses of hashtags.
func (g *group) post(ctx stream.Context, value []byte) error {
	d, _ := g.desks.Get().(*desk)
	if d == nil {
		d = newDesk(g.options)
	}
	defer g.desks.Put(d)
	result, err := d.decoder.Decode(value, &d.post)
	if err != nil {
		return stream.Undecodable(err)
	}
	switch result.Kind {
	case post.KindPost:
		for more := true; more && err == nil; more = d.decoder.Next(&d.post) {
			err = g.one(ctx, d)
		}
		return err
	case post.KindSkipped:
		return g.add(ctx, totals.Skipped, result.Skipped)
	case post.KindDelete:
		err = g.forget(ctx, d)
	case post.KindAccount:
		err = g.account(ctx, d)
	}
	if err != nil || told(result, &d.post, value) {
		return err
	}
	return g.add(ctx, totals.Skipped, 1)
}

// told tells whether an emitter has counted a notice that it sends to every
// partition.
func told(r post.Result, p *post.Post, value []byte) bool {
	all := r.Kind == post.KindAccount || r.Kind == post.KindDelete && len(p.ID) == 0
	return all && bytes.HasPrefix(value, []byte(post.OwnPrefix))
}

// one counts one post.
func (g *group) one(ctx stream.Context, d *desk) error {
	if d.post.Repost && g.options.SkipReposts {
		return g.add(ctx, totals.Skipped, 1)
	}
	return g.remember(ctx, d)
}

// use sends n uses of a hashtag in one spelling to its count; with -1 one is
// taken back.
func (g *group) use(ctx stream.Context, u post.Use, n int64) error {
	return g.loop.Loopback(ctx, borrow(u.Key), spelling.Use(u.Key, u.Spelling, n))
}

// count adds what was used to the hashtag of the key. Back at 0 it is gone, and
// its spellings with it.
func (g *group) count(ctx stream.Context, change spelling.Change) error {
	before, _, err := g.counts.Value(ctx)
	if err != nil {
		return err
	}
	if err := g.spell(ctx, before, change); err != nil {
		return err
	}
	switch {
	case change.Total == 0:
		return nil
	case before+change.Total == 0:
		return g.counts.Delete(ctx)
	}
	return g.counts.SetValue(ctx, before+change.Total)
}

// spell keeps the spellings of a hashtag that was used so often before. One that
// was not used has no row, which need not be looked for.
func (g *group) spell(ctx stream.Context, before int64, change spelling.Change) error {
	var row spelling.Row
	if before != 0 {
		var err error
		if row, _, err = g.spellings.Value(ctx); err != nil {
			return err
		}
	}
	next, err := row.After(ctx.Key(), before+change.Total, change)
	switch {
	case err != nil || next == row:
		return err
	case next == "":
		return g.spellings.Delete(ctx)
	}
	return g.spellings.SetValue(ctx, next)
}

// dead counts a record that could not be decoded.
func (g *group) dead(ctx stream.Context, _ []byte) error { return g.add(ctx, totals.DeadLetters, 1) }

// skip counts one that is left out for the same reasons, if the policy says so.
func (g *group) skip(ctx stream.Context, _ []byte) error { return g.add(ctx, totals.Skipped, 1) }

func (g *group) add(ctx stream.Context, row string, n int64) error {
	if n == 0 {
		return nil
	}
	total, _, err := g.totals.Get(ctx, row)
	if err != nil {
		return err
	}
	return g.totals.Set(ctx, row, total+n)
}

// borrow looks at bytes as a string, for a call that does not keep it.
func borrow(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
