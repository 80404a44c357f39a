package synth

import (
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/tagtide/tagtide/post"
)

// A generator makes posts. Its posts borrow from it, until the next one.
type generator struct {
	seed   uint64
	source rand.PCG
	dice   *rand.Rand // on source
	words  vocabulary
	trends [6]trend
	buf    []byte // of tags that are put together
	text   []byte
	id     []byte
}

const (
	// maxTags of a post.
	maxTags = 8
	// maxTag is more bytes than a tag that is put together has.
	maxTag = 128
)

// Streams of dice. What a post is about has one of its own, so that a repost
// can be made from the number of the original.
const (
	streamPost uint64 = iota
	streamContent
	streamTrend
)

func newGenerator(seed uint64) *generator {
	g := &generator{seed: seed, words: newVocabulary(), buf: make([]byte, 0, maxTags*maxTag)}
	g.dice = rand.New(&g.source)
	for i := range g.trends {
		g.roll(streamTrend, int64(i))
		g.trends[i] = trend{
			period: 400 << i, // at the usual pace, 20 s to 11 min
			phase:  g.dice.Int64N(400 << i),
			share:  0.05 + 0.05*g.dice.Float64(),
		}
	}
	return g
}

// roll makes the dice a function of the seed and of n.
func (g *generator) roll(stream uint64, n int64) {
	const odd = 0x9e3779b97f4a7c15
	g.source.Seed(g.seed^stream<<60, (uint64(n)+1)*odd)
	g.source.Uint64() // the first one still shows the seed
}

// make makes post n, and its text only if it is wanted.
func (g *generator) make(n int64, text bool, p *post.Post) {
	g.roll(streamPost, n)
	g.id = strconv.AppendUint(g.id[:0], g.seed, 36)
	g.id = append(g.id, '-')
	g.id = strconv.AppendInt(g.id, n, 10)
	*p = post.Post{Source: post.SourceDemo, ID: g.id, Tags: p.Tags[:0]}
	about := n
	if n > 0 && g.dice.Uint64()%100 < 12 {
		const recent = 4000
		p.Repost = true
		about = n - 1 - g.dice.Int64N(min(n, recent))
	}
	g.roll(streamContent, about)
	g.fill(about, p)
	if text {
		g.write(p)
	}
}

// fill gives the post its tags.
func (g *generator) fill(n int64, p *post.Post) {
	g.buf = g.buf[:0]
	for range g.tagCount() {
		if len(p.Tags) > 0 && g.dice.Uint64()%25 == 0 {
			p.Tags = append(p.Tags, g.respell(p.Tags[g.dice.IntN(len(p.Tags))]))
			continue
		}
		p.Tags = append(p.Tags, g.tag(n))
	}
}

// tagCount is mostly one or two.
func (g *generator) tagCount() int {
	x := g.dice.Uint64() % 100
	for count, below := range [maxTags]uint64{12, 50, 76, 88, 94, 97, 99, 100} {
		if x < below {
			return count
		}
	}
	return 1
}

// tag picks what is trending, or popular, or rare.
func (g *generator) tag(n int64) []byte {
	x := g.dice.Float64()
	for i := range g.trends {
		turn, heat := g.trends[i].at(n)
		if x -= g.trends[i].share * heat; x < 0 {
			return g.trending(i, turn)
		}
	}
	if g.dice.Uint64()%100 < 8 {
		return g.rare(n)
	}
	return g.words.tag(g.dice.Float64(), g.dice.Uint64())
}

// A trend lets one tag after the other rise fast and fall slowly.
type trend struct {
	period int64 // posts from one tag to the next
	phase  int64
	share  float64 // of all tags, at the height
}

// at tells how many tags were before the one of post n, and how hot it is.
func (t trend) at(n int64) (turn int64, heat float64) {
	const rise = 0.15
	x := float64((n+t.phase)%t.period) / float64(t.period)
	if x < rise {
		heat = x / rise
	} else {
		heat = (1 - x) / (1 - rise)
		heat *= heat
	}
	return (n + t.phase) / t.period, heat
}

// trending is the tag that has its turn: a known one, or one for the day.
func (g *generator) trending(i int, turn int64) []byte {
	h := mix(g.seed + uint64(i)<<56 + uint64(turn))
	if h&1 == 0 {
		return g.words.spell(int(h>>1%uint64(len(g.words.spellings))), g.dice.Uint64())
	}
	return g.compose(events[h>>8%uint64(len(events))], names[h>>32%uint64(len(names))], 0)
}

// rare is one of the tags of the tail, which has about n^0.7 by now; the older
// ones are more frequent.
func (g *generator) rare(n int64) []byte {
	u := g.dice.Float64()
	k := uint64(u * u * (20 + math.Pow(float64(n), 0.7)))
	h := mix(k) // neighbours should not look alike
	// The three parts tell k: two words, and a number for what they cannot.
	words := uint64(len(firsts) * len(seconds))
	first, second := k%words%uint64(len(firsts)), k%words/uint64(len(firsts))
	tag := g.compose(firsts[first], seconds[second], k/words)
	if h%16 == 0 {
		tag = g.respell(tag)
	}
	return tag
}

// compose puts a tag together in the buffer, which has room for it.
func (g *generator) compose(first, second string, number uint64) []byte {
	start := len(g.buf)
	g.buf = append(g.buf, first...)
	g.buf = append(g.buf, second...)
	if number > 0 {
		g.buf = strconv.AppendUint(g.buf, number, 10)
	}
	return g.buf[start:len(g.buf):len(g.buf)]
}

// respell is the tag in another case, where it has one in ASCII.
func (g *generator) respell(tag []byte) []byte {
	if len(tag) > maxTag {
		return tag
	}
	start, upper := len(g.buf), g.dice.Uint64()&1 == 0
	for _, c := range tag {
		switch {
		case upper && 'a' <= c && c <= 'z', !upper && 'A' <= c && c <= 'Z':
			c ^= 'a' ^ 'A'
		}
		g.buf = append(g.buf, c)
	}
	return g.buf[start:len(g.buf):len(g.buf)]
}

// write gives the post its text: a sentence, the tags, an emoji.
func (g *generator) write(p *post.Post) {
	from := sentences
	if g.dice.Uint64()%8 == 0 {
		from = tracked
	}
	g.text = append(g.text[:0], from[g.dice.IntN(len(from))]...)
	for _, tag := range p.Tags {
		g.text = append(g.text, " #"...)
		g.text = append(g.text, tag...)
	}
	if g.dice.Uint64()%3 == 0 {
		g.text = append(g.text, ' ')
		g.text = append(g.text, emoji[g.dice.IntN(len(emoji))]...)
	}
	p.Text = g.text
}

// mix is SplitMix64's: it makes neighbours strangers.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
