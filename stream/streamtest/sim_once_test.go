package streamtest

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// In some shapes of the group posts with one key are versions of one post: what
// counts is the last one. Some are edits, which a plain one does not replace any
// more, and some deletes, which nothing replaces. It is forgotten after a while.

// A change of a tag's count.
type change struct {
	tag   string
	tally tally
}

// changes are what a post does to counts.
func (p *post) changes(sign int64) (all []change) {
	for _, u := range p.uses {
		t := p.tally(u)
		all = append(all, change{u.tag, tally{sign * t.n, sign * t.hash}})
	}
	return all
}

// rank says what replaces what: nothing of a lower rank.
func (p *post) rank() int {
	switch p.id[0] {
	case 'd':
		return 2
	case 'u':
		return 1
	}
	return 0
}

// changes is the part of the input's step that remembers posts.
func (t *simTables) changes(ctx stream.Context, p *post) ([]change, error) {
	if t.once == nil || ctx.Key() == "" {
		return p.changes(1), nil
	}
	was, ok, err := t.once.Value(ctx)
	if err != nil {
		return nil, err
	}
	var back []change
	if ok {
		old, err := postCodec{}.Decode([]byte(was))
		if err != nil || p.rank() < old.rank() {
			return nil, err
		}
		back = old.changes(-1)
	}
	return append(back, p.changes(1)...), t.once.SetValue(ctx, p.raw)
}

// once is the same in plain words: what an input partition has said, up to some
// position.
type once struct {
	shape shape
	now   int64 // stream time
	rows  map[string]onceRow
}

type onceRow struct {
	post *post
	at   int64
}

func (m *model) onceOf(partition int32) *once {
	if m.once[partition] == nil {
		m.once[partition] = &once{shape: m.shape, rows: map[string]onceRow{}}
	}
	return m.once[partition]
}

// see takes a record in, nil if it does not count, and tells what it changes.
func (o *once) see(r rec, p *post) []change {
	o.now = max(o.now, r.time)
	switch {
	case p == nil:
		return nil
	case o.shape.keep == 0 || len(r.key) == 0:
		return p.changes(1)
	}
	row, ok := o.rows[string(r.key)]
	var back []change
	if ok && o.lives(row) {
		if p.rank() < row.post.rank() {
			return nil
		}
		back = row.post.changes(-1)
	}
	o.rows[string(r.key)] = onceRow{p, o.now}
	return append(back, p.changes(1)...)
}

func (o *once) lives(row onceRow) bool { return o.now-row.at <= o.shape.keep.Milliseconds() }

// alive are the rows of the table as a store has them.
func (o *once) alive() map[string]string {
	rows := map[string]string{}
	for key, row := range o.rows {
		if o.lives(row) {
			rows[key] = string(binary.BigEndian.AppendUint64(nil, uint64(row.at))) + row.post.raw
		}
	}
	return rows
}

var onceTopic = topology.NamedTable(simGroup, "once")

// checkFolded holds I3 for a table that is folded from the input: what lives in
// it is what the input says up to its checkpoint, which is not past what is
// committed. One that is made again from the middle of the input need not be that
// before it is where the group was then.
func (t *simTable) checkFolded(when string) {
	w, input := t.store.w, record.Partition{Topic: simInput, Number: t.Changelog().Number}
	if at := w.model.positions[input]; t.until > at {
		w.violated("I3", "%s: %v is %s up to %d, but the group is at %d", t.store.owner, t.Changelog(), when, t.until, at)
	}
	o := &once{shape: w.conf.shape, rows: map[string]onceRow{}}
	for _, r := range w.model.log(input).between(0, t.until) {
		p, _ := parsePost(r.value)
		o.see(r, p)
	}
	if now := t.Checkpoint().Stream; now != o.now {
		w.violated("I3", "%s: %v, %s up to %d, has stream time %d, and the input %d", t.store.owner, t.Changelog(), when, t.until, now, o.now)
	}
	has := maps.Clone(t.rows)
	maps.DeleteFunc(has, func(_, row string) bool {
		return o.now-int64(binary.BigEndian.Uint64([]byte(row))) > o.shape.keep.Milliseconds()
	})
	if want := o.alive(); t.until >= w.whole[t.name()] && !maps.Equal(has, want) {
		w.violated("I3", "%s: %v, %s up to %d, has\n%s, but the input says\n%s", t.store.owner, t.Changelog(), when, t.until, printRows(has), printRows(want))
	}
}

func printRows(rows map[string]string) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		b.WriteString("  " + key + " = " + rows[key][8:] + "\n")
	}
	return b.String()
}
