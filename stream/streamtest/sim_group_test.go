package streamtest

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
)

// The group under simulation counts tags, as the product does, and carries
// along what makes a wrong count visible:
//
//	posts ─▶ [totals] ─▶ tags-loop ─▶ [tags-table, tags-audit-table] ─▶ seen
//	             └─▶ tags-dead
//
// A post is "id +tag -tag …"; it adds to its tags, or takes back. Counts carry
// Σ hash(id), so that a loss and a duplicate cannot cancel out; the totals and
// the audit fold what they see in order, so that a swap cannot either.
const (
	simGroup  = "tags"
	simInput  = "posts"
	simOutput = "seen"
)

// A tally is a count, and the sum of the hashes of what was counted.
type tally struct{ n, hash int64 }

func (t tally) add(o tally) tally { return tally{t.n + o.n, t.hash + o.hash} }

func (t tally) String() string { return fmt.Sprintf("%d/%x", t.n, uint64(t.hash)) }

// tallyCodec writes a tally as "n hash".
type tallyCodec struct{}

func (tallyCodec) Append(dst []byte, t tally) ([]byte, error) {
	dst = strconv.AppendInt(dst, t.n, 10)
	return strconv.AppendInt(append(dst, ' '), t.hash, 10), nil
}

func (tallyCodec) Decode(data []byte) (t tally, err error) {
	n, hash, _ := strings.Cut(string(data), " ")
	var err2 error
	t.n, err = strconv.ParseInt(n, 10, 64)
	t.hash, err2 = strconv.ParseInt(hash, 10, 64)
	return t, errors.Join(err, err2)
}

// A fold is what was seen of a partition, in order.
type fold struct {
	count, dead int64
	hash        uint64
}

func (f fold) see(parts ...[]byte) fold {
	h := fnv.New64a()
	_ = binary.Write(h, binary.LittleEndian, f.hash)
	for _, p := range parts {
		_ = binary.Write(h, binary.LittleEndian, int64(len(p)))
		h.Write(p)
	}
	return fold{f.count + 1, f.dead, h.Sum64()}
}

type foldCodec struct{}

func (foldCodec) Append(dst []byte, f fold) ([]byte, error) {
	return fmt.Appendf(dst, "%d %d %d", f.count, f.dead, f.hash), nil
}

func (foldCodec) Decode(data []byte) (f fold, err error) {
	_, err = fmt.Sscanf(string(data), "%d %d %d", &f.count, &f.dead, &f.hash)
	return f, err
}

// A post as the step, and the oracle, understand it.
type post struct {
	raw  string
	id   string
	uses []use
}

type use struct {
	tag  string
	sign int64
}

func (p *post) tally(u use) tally {
	h := fnv.New64a()
	h.Write([]byte(p.id))
	return tally{u.sign, u.sign * int64(h.Sum64()>>8)}
}

// errPoison is the error of a post that cannot be counted.
var errPoison = errors.New("poison")

// postCodec decodes posts. Those that begin with "!" fail, and so do nulls.
type postCodec struct{}

func (postCodec) Append(dst []byte, _ *post) ([]byte, error) { return dst, errors.ErrUnsupported }

func (postCodec) Decode(data []byte) (*post, error) {
	if data == nil || bytes.HasPrefix(data, []byte("!")) {
		return nil, errPoison
	}
	words := strings.Fields(string(data))
	p := &post{raw: string(data), id: words[0]}
	for _, w := range words[1:] {
		sign := int64(1)
		if w[0] == '-' {
			sign = -1
		}
		p.uses = append(p.uses, use{w[1:], sign})
	}
	return p, nil
}

// The ids of posts whose steps fail late, after they have done everything, by
// an error or by a panic.
const (
	lateError = "late"
	latePanic = "panic"
)

// failsLate tells how the step of a post ends.
func (p *post) failsLate() error {
	switch {
	case strings.HasPrefix(p.id, lateError):
		return errPoison
	case strings.HasPrefix(p.id, latePanic):
		panic("poison")
	}
	return nil
}

// A simGraph is the group in one of its shapes, with the names of what it keeps.
type simGraph struct {
	*stream.GroupGraph
	shape shape
}

// A shape of the group.
type shape struct {
	combine bool // in front of the loop
	totals  bool // of each input partition, in a table
	audit   bool // of each loop partition, in a table
	joined  bool // totals and audit are one table: one sub-topology
	output  bool // each loop record, written out
	// keep is for how long posts are remembered by their keys, in a table that is
	// folded from the input: a later one replaces an earlier one. 0: not at all.
	keep time.Duration
}

// simTables are the handles of the group's tables; nil where it has none.
type simTables struct {
	counts        *stream.Table[tally]
	totals, audit *stream.Table[fold]
	once          *stream.Table[string]
	seen          *stream.OutputEdge[tally]
}

func newSimGraph(s shape) *simGraph {
	t := &simTables{counts: stream.Persist(tallyCodec{})}
	var edges []stream.Edge
	inputTables, loopTables := []stream.Stateful{}, []stream.Stateful{t.counts}
	if s.totals {
		t.totals = stream.NamedTable("totals", foldCodec{}).PerPartition()
		inputTables = append(inputTables, t.totals)
	}
	if s.keep > 0 {
		t.once = stream.Fold("once", codec.String, stream.FoldOptions{Keep: s.keep, Replay: 3 * s.keep})
		inputTables = append(inputTables, t.once)
	}
	if s.audit {
		t.audit = t.totals
		if !s.joined || t.audit == nil {
			t.audit = stream.NamedTable("audit", foldCodec{})
		}
		loopTables = append(loopTables, t.audit)
	}
	if s.output {
		t.seen = stream.Output(simOutput, tallyCodec{})
		edges = append(edges, t.seen)
	}
	loop := stream.Loop(tallyCodec{}, t.count, loopTables...)
	if s.combine {
		loop.Combine(tally.add)
	}
	input := stream.Input(simInput, postCodec{}, func(ctx stream.Context, p *post) error {
		changes, err := t.changes(ctx, p)
		for _, c := range changes {
			err = cmp.Or(err, loop.Loopback(ctx, c.tag, c.tally))
		}
		return cmp.Or(err, t.total(ctx, 0), p.failsLate())
	}, inputTables...)
	input.OnDead(func(ctx stream.Context, _ []byte) error { return t.total(ctx, 1) })
	touch := stream.Visit("touch", t.counts, func(ctx stream.Context, v tally) error { return t.counts.SetValue(ctx, v) })
	return &simGraph{stream.DefineGroup(simGroup, append(edges, input, loop, touch)...), s}
}

// total folds a record of the input into the totals of its partition.
func (t *simTables) total(ctx stream.Context, dead int64) error {
	if t.totals == nil {
		return nil
	}
	key := foldKey(simInput, ctx.Partition())
	f, _, err := t.totals.Get(ctx, key)
	if err != nil {
		return err
	}
	f = f.see(strconv.AppendInt(nil, ctx.Offset(), 10))
	f.dead += dead
	return t.totals.Set(ctx, key, f)
}

// foldKey is the key of the fold of one partition, which lies in the task that
// reads it, wherever its hash would have it.
func foldKey(topic string, partition int32) string { return fmt.Sprintf("%s/%d", topic, partition) }

// count is the step of the loop.
func (t *simTables) count(ctx stream.Context, delta tally) error {
	total, _, err := t.counts.Value(ctx)
	if err != nil {
		return err
	}
	if total = total.add(delta); total == (tally{}) {
		err = t.counts.Delete(ctx)
	} else {
		err = t.counts.SetValue(ctx, total)
	}
	if err == nil && t.seen != nil {
		err = t.seen.Emit(ctx, ctx.Key(), delta)
	}
	if err != nil || t.audit == nil {
		return err
	}
	key := foldKey("loop", ctx.Partition())
	f, _, err := t.audit.Get(ctx, key)
	if err != nil {
		return err
	}
	value, _ := tallyCodec{}.Append(nil, delta)
	return t.audit.Set(ctx, key, f.see(strconv.AppendInt(nil, ctx.Offset(), 10), []byte(ctx.Key()), value))
}

var _ = codec.Codec[tally](tallyCodec{})
