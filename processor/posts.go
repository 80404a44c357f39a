package processor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"github.com/tagtide/tagtide/hashtag"
	"github.com/tagtide/tagtide/internal/totals"
	"github.com/tagtide/tagtide/post"
	"github.com/tagtide/tagtide/stream"
)

// PostsTable is the name, within the group, of the table that remembers posts.
const PostsTable = "posts"

// Posts are remembered in a table that is folded from the input, for as long as
// Options.Dedupe since they were last heard of, in the time in which records are
// sent. So each is counted once, however often it comes; an edit moves what the
// post counts; a delete takes it back.
//
//	         │ what is remembered of the post
//	comes    │ nothing       a post          an edit         a delete
//	─────────┼────────────────────────────────────────────────────────
//	a post   │ counts        replaces it     –               –
//	an edit  │ counts        replaces it     replaces it ¹   –
//	a hide   │ remembered    takes it back   takes it back ¹ –
//	a delete │ remembered    takes it back   takes it back   remembered
//
//	¹ but not a newer one
//
// A hide is an edit that counts for nothing: an emitter with --track writes one
// where the words are gone, which a later edit may bring back. Of edits the one
// with the larger post.Order counts, in whatever order they come; one whose
// order is unknown is taken for the newest, and does not outrank any.
//
// What comes too late, marked –, or older than what is there, leaves no trace.
// So what is remembered of a post depends on nothing that is longer ago than
// four times Dedupe: what came last; whether an edit before it was there to
// outrank it, and a newer edit before that; and whether a delete before that.
// Deletes by alias add one more, through the row that leads from the alias to
// the post. That is why a lost table is made again of the last five times
// Dedupe. (Only of a post with three edits that came in exactly the wrong
// order, each nearly Dedupe after the other, could such a table say something
// else.)
const replays = 5 // of Dedupe

// A row is what is remembered under a key: what it is, and its content.
//
//	┌────────┬───────────────────────────────────────────────────────────┐
//	│ kind 1 │ of a post or edit: for each hashtag length, spelling       │
//	│        │ of an edit in order, and a hide: order; the same           │
//	│        │ of an alias: the post's key                                │
//	└────────┴───────────────────────────────────────────────────────────┘
//
// Lengths are uvarints, the order is a varint.
type row struct {
	kind  rowKind
	order int64 // post.Order of what kind.ordered tells, 0 if unknown
	body  []byte
}

// rowKind is the kind of a row. Zero is that of no row.
type rowKind byte

const (
	rowPost    rowKind = 'a'
	rowEdit    rowKind = 'b' // of unknown order
	rowDelete  rowKind = 'c'
	rowOrdered rowKind = 'e' // an edit in order
	rowGone    rowKind = 'g'
	rowHidden  rowKind = 'h'
	rowAlias   rowKind = 'n'
)

func (k rowKind) ordered() bool { return k == rowOrdered || k == rowHidden }

// counts tells whether a post that is remembered so is counted.
func (k rowKind) counts() bool { return k == rowPost || k == rowEdit || k == rowOrdered }

// rank is that of what is remembered of a post: a higher one outranks a lower.
func (k rowKind) rank() int {
	switch k {
	case rowEdit, rowOrdered, rowHidden:
		return 1
	case rowDelete:
		return 2
	}
	return 0
}

// rowOf is the row of a post, an edit or a hide, without body.
func rowOf(p *post.Post) row {
	switch order := p.Order(); {
	case p.Op == post.Hide:
		return row{kind: rowHidden, order: order}
	case p.Op == post.Create:
		return row{kind: rowPost}
	case order == 0:
		return row{kind: rowEdit}
	default:
		return row{kind: rowOrdered, order: order}
	}
}

// outranks tells whether r, which is remembered, stays when next comes.
func (r row) outranks(next row) bool {
	if a, b := r.kind.rank(), next.kind.rank(); a != b {
		return a > b
	}
	return r.order != 0 && next.order != 0 && r.order > next.order
}

type rowCodec struct{}

func (rowCodec) Append(dst []byte, r row) ([]byte, error) {
	dst = append(dst, byte(r.kind))
	if r.kind.ordered() {
		dst = binary.AppendVarint(dst, r.order)
	}
	return append(dst, r.body...), nil
}

func (rowCodec) Decode(data []byte) (row, error) {
	if len(data) == 0 {
		return row{}, errors.New("decode what is remembered of a post: nothing")
	}
	r := row{kind: rowKind(data[0]), body: data[1:]}
	if r.kind.ordered() {
		order, width := binary.Varint(r.body)
		if width <= 0 {
			return row{}, errors.New("decode what is remembered of a post: it is cut")
		}
		r.order, r.body = order, r.body[width:]
	}
	return r, nil
}

// appendSpelling appends a hashtag to the body of a post's row.
func appendSpelling(body, spelling []byte) []byte {
	return append(binary.AppendUvarint(body, uint64(len(spelling))), spelling...)
}

// appendUses appends the hashtags of a post's row to uses. Their keys are folded
// into buf, which is returned.
func (r row) appendUses(uses []post.Use, buf []byte) ([]post.Use, []byte, error) {
	for body := r.body; len(body) > 0; {
		n, width := binary.Uvarint(body)
		if width <= 0 || n > uint64(len(body)-width) {
			return nil, nil, errors.New("decode what is remembered of a post: it is cut")
		}
		spelling := body[width : width+int(n)]
		start := len(buf)
		buf = hashtag.Fold(buf, spelling)
		uses = append(uses, post.Use{Key: buf[start:len(buf):len(buf)], Spelling: spelling})
		body = body[width+int(n):]
	}
	return uses, buf, nil
}

// A memory is the table of posts, and what working on it needs. It belongs to
// one step at a time.
type memory struct {
	keys
	key, alias []byte // scratch
	body       []byte
	was        []post.Use
	folded     []byte
}

// remember counts a post or an edit, if it is news.
func (g *group) remember(ctx stream.Context, d *desk) error {
	p, m := &d.post, &d.memory
	uses := d.uses.Of(p)
	if g.posts == nil || len(p.ID) == 0 {
		return g.change(ctx, nil, uses, 1)
	}
	is := rowOf(p)
	was, late, err := g.before(ctx, m, p, is)
	if err != nil {
		return err
	}
	if late {
		return g.add(ctx, totals.Duplicates, 1)
	}
	if err := g.replace(ctx, m, was, uses, is); err != nil {
		return err
	}
	is.body = m.body[:0]
	for _, use := range uses {
		is.body = appendSpelling(is.body, use.Spelling)
	}
	m.body = is.body
	return g.posts.Set(ctx, borrow(m.key), is)
}

// hide takes back what a post counts, until a later edit.
func (g *group) hide(ctx stream.Context, d *desk) error {
	m, is := &d.memory, rowOf(&d.post)
	was, late, err := g.before(ctx, m, &d.post, is)
	if err != nil || late {
		return err
	}
	if err := g.uncount(ctx, m, was); err != nil {
		return err
	}
	return g.posts.Set(ctx, borrow(m.key), is)
}

// before tells what is remembered of the post, under m.key, and whether that, or
// what is remembered of its alias or account, outranks what comes. It makes the
// alias lead to the post.
func (g *group) before(ctx stream.Context, m *memory, p *post.Post, is row) (was row, late bool, err error) {
	m.key = m.appendPost(m.key[:0], p.Source, p.ID)
	was, known, err := g.posts.Get(ctx, borrow(m.key))
	if err != nil {
		return row{}, false, err
	}
	late = was.outranks(is)
	if len(p.Alias) > 0 {
		m.alias = m.appendAlias(m.alias[:0], p.Source, p.Alias)
		led, there, err := g.posts.Get(ctx, borrow(m.alias))
		if err != nil {
			return row{}, false, err
		}
		if there && led.kind == rowDelete {
			return was, true, nil
		}
		if err := g.posts.Set(ctx, borrow(m.alias), row{kind: rowAlias, body: m.key}); err != nil {
			return row{}, false, err
		}
	}
	if known || accountOf(p.Source, p.ID) == nil {
		return was, late, nil
	}
	_, gone, err := g.posts.Get(ctx, borrow(m.key[:accountLen]))
	return was, gone, err
}

// replace counts a post in the place of what it was.
func (g *group) replace(ctx stream.Context, m *memory, was row, uses []post.Use, is row) (err error) {
	if !was.kind.counts() {
		return g.change(ctx, nil, uses, 1)
	}
	if m.was, m.folded, err = was.appendUses(m.was[:0], m.folded[:0]); err != nil {
		return err
	}
	what := totals.Edits
	if is.kind == rowPost {
		what = totals.Duplicates
	}
	if err := g.add(ctx, what, 1); err != nil {
		return err
	}
	return g.change(ctx, m.was, uses, 0)
}

// change takes uses back and counts others, and so many posts.
func (g *group) change(ctx stream.Context, was, is []post.Use, posts int64) error {
	for i := range was {
		if !has(is, &was[i]) {
			if err := g.use(ctx, was[i], -1); err != nil {
				return err
			}
		}
	}
	for i := range is {
		if !has(was, &is[i]) {
			if err := g.use(ctx, is[i], 1); err != nil {
				return err
			}
		}
	}
	if err := g.add(ctx, totals.Uses, int64(len(is)-len(was))); err != nil {
		return err
	}
	return g.add(ctx, totals.Posts, posts)
}

// has tells whether a use is among others, in the same spelling.
func has(uses []post.Use, u *post.Use) bool {
	for i := range uses {
		if bytes.Equal(uses[i].Spelling, u.Spelling) {
			return true
		}
	}
	return false
}

// forget takes back a post that was hidden, or deleted by its id or its alias.
func (g *group) forget(ctx stream.Context, d *desk) error {
	p, m := &d.post, &d.memory
	switch {
	case g.posts == nil:
		return nil
	case p.Op == post.Hide:
		return g.hide(ctx, d)
	case len(p.ID) > 0:
		m.key = m.appendPost(m.key[:0], p.Source, p.ID)
		return g.takeBack(ctx, m, true)
	}
	m.alias = m.appendAlias(m.alias[:0], p.Source, p.Alias)
	led, there, err := g.posts.Get(ctx, borrow(m.alias))
	if err != nil {
		return err
	}
	if there && led.kind == rowAlias {
		m.key = append(m.key[:0], led.body...)
		if err := g.takeBack(ctx, m, true); err != nil {
			return err
		}
	}
	return g.posts.Set(ctx, borrow(m.alias), row{kind: rowDelete})
}

// takeBack takes back what the post of m.key counts, if it does, and remembers
// the delete if one was heard of.
func (g *group) takeBack(ctx stream.Context, m *memory, deleted bool) error {
	was, _, err := g.posts.Get(ctx, borrow(m.key))
	if err != nil {
		return err
	}
	if err := g.uncount(ctx, m, was); err != nil {
		return err
	}
	if deleted {
		return g.posts.Set(ctx, borrow(m.key), row{kind: rowDelete})
	}
	return g.posts.Remove(ctx, borrow(m.key))
}

// uncount takes back what a post counts.
func (g *group) uncount(ctx stream.Context, m *memory, was row) (err error) {
	if !was.kind.counts() {
		return nil
	}
	if m.was, m.folded, err = was.appendUses(m.was[:0], m.folded[:0]); err != nil {
		return err
	}
	if err := g.change(ctx, m.was, nil, -1); err != nil {
		return err
	}
	return g.add(ctx, totals.Deletes, 1)
}

// account takes back all posts of an account that is gone, and counts none of it
// until it is back, or Dedupe is over. Those that were taken back stay so.
func (g *group) account(ctx stream.Context, d *desk) error {
	p, m := &d.post, &d.memory
	if g.posts == nil {
		return nil
	}
	account := string(m.appendAccount(nil, p.Source, p.ID))
	if p.Op == post.Back {
		return g.posts.Remove(ctx, account)
	}
	keys, err := g.posts.Prefix(ctx, account)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if len(key) != accountLen+idLen {
			continue
		}
		m.key = append(m.key[:0], key...)
		was, _, err := g.posts.Get(ctx, key)
		if err != nil {
			return err
		}
		if was.kind == rowDelete {
			continue
		}
		if err := g.takeBack(ctx, m, false); err != nil {
			return err
		}
	}
	return g.posts.Set(ctx, account, row{kind: rowGone})
}

// postsTable makes the table of posts, nil if they are not remembered.
func postsTable(dedupe time.Duration) *stream.Table[row] {
	if dedupe == 0 {
		return nil
	}
	return stream.Fold(PostsTable, rowCodec{}, stream.FoldOptions{Keep: dedupe, Replay: replays * dedupe})
}
