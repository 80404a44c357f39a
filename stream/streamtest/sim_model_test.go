package streamtest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// The model is the dumb oracle: it is told of every transaction that commits,
// and keeps in plain maps and slices what must follow. After each of them it
// checks, with P the group's committed positions in the inputs and L those in
// the loop (those in its changelogs only have to rise):
//
//	I2   for every tag: count in the changelog + Σ loop records at or after L
//	     = Σ uses of the tag in the input records before P
//	     totals  = fold of the input records before P, in order
//	     audit   = fold of the loop records before L, in order
//	     outputs = one for each loop record before L
//	I12  dead letters = the poison among the input records before P, each once
//	I5   in a partition generations do not go back, and have one writer each
//	I6   positions do not go back, nor past what was stable
type model struct {
	w     *world
	shape shape
	parts map[string]int32 // partitions of each topic

	logs      map[record.Partition]*committed // every topic's partitions
	positions map[record.Partition]int64      // of the group
	writers   map[record.Partition]owner      // of what the group has positions for

	input  map[string]tally // by tag, of the input before the positions
	flight map[string]tally // by tag, in the loop at or after the positions
	looped map[string]tally // by tag, in the loop before the positions
	counts map[string]tally // by tag, in the changelog
	out    map[string]tally // by tag, in the output
	folds  map[string]fold  // by key, of what lies before the positions
	kept   map[string]fold  // by key, in the changelogs
	once   map[int32]*once  // by partition of the input, before the position
	poison map[string]int   // expected dead letters, by place
	dead   map[string]int   // dead letters, by the place they name

	emitted  map[string]int       // by emitter, posts that are committed
	versions map[string][]version // of each tag's count, oldest first
	txns     int                  // committed
}

// committed is what a partition has of committed records, by rising offset,
// whether compaction or a purge took them out since or not.
type committed struct{ recs []rec }

type rec struct {
	offset  int64
	key     []byte
	value   []byte
	time    int64 // Unix milliseconds
	headers []record.Header
	txn     int    // that wrote it
	by      string // its transactional id
}

// A version of a count.
type version struct {
	value tally
	ok    bool
}

type owner struct {
	generation int32
	member     string
	id         string
}

// An effect is what a transaction does if it commits.
type effect struct {
	id     string
	claim  log.GroupClaim
	writes []effectWrite
	moves  []move // sorted
}

type effectWrite struct {
	partition record.Partition
	recs      []rec
}

type move struct {
	partition record.Partition
	next      int64
}

func newModel(w *world, s shape, parts map[string]int32) *model {
	return &model{
		w: w, shape: s, parts: parts, logs: map[record.Partition]*committed{},
		positions: map[record.Partition]int64{}, writers: map[record.Partition]owner{},
		input: map[string]tally{}, flight: map[string]tally{}, looped: map[string]tally{},
		counts: map[string]tally{}, out: map[string]tally{},
		folds: map[string]fold{}, kept: map[string]fold{},
		once: map[int32]*once{}, poison: map[string]int{}, dead: map[string]int{},
		emitted: map[string]int{}, versions: map[string][]version{},
	}
}

func (m *model) log(p record.Partition) *committed {
	c := m.logs[p]
	if c == nil {
		c = &committed{}
		m.logs[p] = c
	}
	return c
}

// add puts records where their offsets say.
func (c *committed) add(recs []rec) {
	if len(recs) == 0 {
		return
	}
	c.recs = slices.Insert(c.recs, c.find(recs[0].offset), recs...)
}

// find is the index of the first record at or after an offset.
func (c *committed) find(offset int64) int {
	i, _ := slices.BinarySearchFunc(c.recs, offset, func(r rec, o int64) int { return int(r.offset - o) })
	return i
}

// between are the records in [from, to).
func (c *committed) between(from, to int64) []rec {
	return c.recs[c.find(from):max(c.find(from), c.find(to))]
}

var (
	loopTopic  = topology.LoopTopic(simGroup)
	countTopic = topology.GroupTable(simGroup)
	deadTopic  = topology.DeadTopic(simGroup)
)

// commit takes over a transaction that has committed, and checks what must
// hold behind it.
func (m *model) commit(e *effect) {
	m.txns++
	for _, w := range e.writes {
		for i := range w.recs {
			w.recs[i].txn, w.recs[i].by = m.txns, e.id
		}
		m.log(w.partition).add(w.recs)
	}
	if strings.HasPrefix(e.id, emitterPrefix) {
		m.emit(e)
		return
	}
	m.checkWriter(e)
	for _, w := range e.writes {
		m.write(e, w)
	}
	for _, mv := range e.moves {
		m.move(mv)
	}
	m.checkPrefix()
}

// emit checks that an emitter's transaction has the posts whose turn it is,
// each once, in the order of its source, with the cursor behind them.
func (m *model) emit(e *effect) {
	m.checkUnread(e)
	if e.id == foreignID {
		return
	}
	first, cursor := m.emitted[e.id], ""
	var sent []int
	for _, w := range e.writes {
		if w.partition.Topic == simCursors {
			cursor = cursorIn(w.recs)
			continue
		}
		for i, r := range w.recs {
			n := sourceIndex(r.headers)
			if i > 0 && n <= sent[len(sent)-1] {
				m.w.violated("emitter", "post %d of %s comes after post %d in %v", n, e.id, sent[len(sent)-1], w.partition)
			}
			sent = append(sent, n)
		}
	}
	slices.Sort(sent)
	for i, n := range sent {
		if n != first+i {
			m.w.violated("emitter", "%s commits posts %v behind %d", e.id, sent, first)
		}
	}
	m.emitted[e.id] += len(sent)
	if cursor != "" && cursor != strconv.Itoa(m.emitted[e.id]) {
		m.w.violated("emitter", "%s has cursor %s behind %d posts", e.id, cursor, m.emitted[e.id])
	}
}

// checkUnread holds I6 for what was committed late: nobody has read past it.
func (m *model) checkUnread(e *effect) {
	for _, w := range e.writes {
		if p := m.positions[w.partition]; len(w.recs) > 0 && w.recs[0].offset < p {
			m.w.violated("I6", "%s commits offset %d of %v, which the group has passed at %d", e.id, w.recs[0].offset, w.partition, p)
		}
	}
}

// cursorIn is the last cursor in what was written to the table of cursors.
func cursorIn(recs []rec) (cursor string) {
	for _, r := range recs {
		if _, name, ok := strings.Cut(string(r.key), "/"); ok && name == simCursor {
			cursor = string(r.value)
		}
	}
	return cursor
}

// sourceIndex is where in its source a post stood.
func sourceIndex(headers []record.Header) int {
	i := slices.IndexFunc(headers, func(h record.Header) bool { return h.Key == indexHeader })
	n, _ := strconv.Atoi(string(headers[i].Value))
	return n
}

// succeeds tells whether a member has stepped into the claim of another, as the
// next life of its instance. Ids are made of the instance, if there is one, the
// generation and how many have joined before.
func succeeds(member, other string) bool {
	var instances [2]string
	var joined [2]int
	for n, id := range []string{member, other} {
		words := strings.Split(id, "-")
		instances[n] = words[0]
		joined[n], _ = strconv.Atoi(words[len(words)-1])
	}
	return instances[0] != "member" && instances[0] == instances[1] && joined[0] > joined[1]
}

// checkWriter holds I5, and of I8 that a task has one owner in a generation, of
// whose lives none writes any more when a later one has.
func (m *model) checkWriter(e *effect) {
	for _, mv := range e.moves {
		if m.writers[mv.partition].member != e.claim.Member {
			m.w.happened["owner changes"]++
		}
		if succeeds(e.claim.Member, m.writers[mv.partition].member) && m.writers[mv.partition].generation == e.claim.Generation {
			m.w.happened["claims stepped into"]++
		}
		was, is := m.writers[mv.partition], owner{e.claim.Generation, e.claim.Member, e.id}
		switch {
		case is.generation < was.generation:
			m.w.violated("I5", "%v is written under generation %d by %s, after %d by %s", mv.partition, is.generation, is.id, was.generation, was.id)
		case is.generation == was.generation && is != was && !succeeds(is.member, was.member):
			m.w.violated("I8", "%v is written under generation %d by %s of %s, and by %s of %s", mv.partition, is.generation, is.id, is.member, was.id, was.member)
		}
		m.writers[mv.partition] = is
	}
}

// write takes over what a transaction of the group wrote to one partition.
func (m *model) write(e *effect, w effectWrite) {
	for _, r := range w.recs {
		switch w.partition.Topic {
		case loopTopic:
			if r.offset < m.positions[w.partition] {
				m.w.violated("I6", "%s writes offset %d of %v, which the group has passed", e.id, r.offset, w.partition)
			}
			m.sum(m.flight, string(r.key), m.tally(r.value))
		case simOutput:
			m.sum(m.out, string(r.key), m.tally(r.value))
		case deadTopic:
			m.dead[deadPlace(r.headers)]++
		case countTopic:
			if n := record.FNV.Of(r.key, m.parts[countTopic]); n != w.partition.Number {
				m.w.violated("I1", "tag %s is counted in partition %d, and belongs to %d", r.key, w.partition.Number, n)
			}
			m.count(string(r.key), r.value)
		case onceTopic:
			m.w.violated("I2", "%v gets %q under %s, though the group has begun with the oldest records", w.partition, r.value, r.key)
		default:
			f, err := foldCodec{}.Decode(r.value)
			if err != nil {
				m.w.violated("I2", "%v holds %q under %s", w.partition, r.value, r.key)
			}
			m.kept[string(r.key)] = f
		}
	}
}

func (m *model) count(tag string, value []byte) {
	v := version{ok: value != nil}
	if v.ok {
		v.value = m.tally(value)
	}
	m.counts[tag] = v.value
	m.versions[tag] = append(m.versions[tag], v)
}

func (m *model) tally(value []byte) tally {
	t, err := tallyCodec{}.Decode(value)
	if err != nil {
		m.w.violated("I2", "%q is no tally", value)
	}
	return t
}

func (m *model) sum(to map[string]tally, tag string, t tally) { to[tag] = to[tag].add(t) }

// deadPlace is where a dead letter says that it lay.
func deadPlace(headers []record.Header) string {
	get := func(key string) string {
		i := slices.IndexFunc(headers, func(h record.Header) bool { return h.Key == key })
		if i < 0 {
			return "?"
		}
		return string(headers[i].Value)
	}
	return fmt.Sprintf("%s/%s@%s", get("topic"), get("partition"), get("offset"))
}

// move takes over a committed position, and all that lies before it.
func (m *model) move(mv move) {
	was := m.positions[mv.partition]
	if mv.next < was {
		m.w.violated("I6", "the position of %v goes back from %d to %d", mv.partition, was, mv.next)
	}
	m.positions[mv.partition] = mv.next
	for _, r := range m.log(mv.partition).between(was, mv.next) {
		switch mv.partition.Topic {
		case loopTopic:
			m.loop(mv.partition, r)
		case simInput:
			m.post(mv.partition, r)
		}
	}
}

func (m *model) loop(p record.Partition, r rec) {
	t := m.tally(r.value)
	m.sum(m.flight, string(r.key), tally{-t.n, -t.hash})
	m.sum(m.looped, string(r.key), t)
	if m.shape.audit {
		key := foldKey("loop", p.Number)
		m.folds[key] = m.folds[key].see(strconv.AppendInt(nil, r.offset, 10), r.key, r.value)
	}
}

func (m *model) post(p record.Partition, r rec) {
	key := foldKey(simInput, p.Number)
	f := m.folds[key].see(strconv.AppendInt(nil, r.offset, 10))
	decoded, ok := parsePost(r.value)
	if !ok {
		m.poison[fmt.Sprintf("%s/%d@%d", p.Topic, p.Number, r.offset)]++
		f.dead++
	}
	for _, change := range m.onceOf(p.Number).see(r, decoded) {
		m.sum(m.input, change.tag, change.tally)
	}
	if m.shape.totals {
		m.folds[key] = f
	}
}

// parsePost tells what a post counts, and whether it counts at all.
func parsePost(value []byte) (*post, bool) {
	p, err := postCodec{}.Decode(value)
	if err != nil || strings.HasPrefix(p.id, lateError) || strings.HasPrefix(p.id, latePanic) {
		return nil, false
	}
	return p, true
}

// checkPrefix holds I2 and I12.
func (m *model) checkPrefix() {
	for _, tag := range m.tags() {
		if got := m.counts[tag].add(m.flight[tag]); got != m.input[tag] {
			m.w.violated("I2", "tag %s: the changelog has %v and the loop %v, but up to the positions the input has %v", tag, m.counts[tag], m.flight[tag], m.input[tag])
		}
		if m.shape.output && m.out[tag] != m.looped[tag] {
			m.w.violated("I2", "tag %s: the output has %v, but the loop up to the positions %v", tag, m.out[tag], m.looped[tag])
		}
	}
	if !maps.Equal(m.folds, m.kept) {
		m.w.violated("I2", "the tables fold to %v, but up to the positions it is %v", m.kept, m.folds)
	}
	if !maps.Equal(m.dead, m.poison) {
		m.w.violated("I12", "dead letters are %v, but up to the positions there are %v", m.dead, m.poison)
	}
}

func (m *model) tags() []string {
	all := maps.Clone(m.input)
	maps.Copy(all, m.counts)
	maps.Copy(all, m.flight)
	return slices.Sorted(maps.Keys(all))
}

// live are the rows that a table's partition has at a position.
func (c *committed) live(next int64) map[string]string {
	rows := map[string]string{}
	for _, r := range c.between(0, next) {
		if r.value == nil {
			delete(rows, string(r.key))
		} else {
			rows[string(r.key)] = string(r.value)
		}
	}
	return rows
}

// superseded tells whether a key is written again at or after a position.
func (c *committed) superseded(key string, next int64) bool {
	return slices.ContainsFunc(c.recs[c.find(next):], func(r rec) bool { return bytes.Equal(r.key, []byte(key)) })
}
