package post

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/tagtide/tagtide/hashtag"
)

// The formats of X. A post has mostly the same fields in all of them, so one reader reads them all:
//
//	                    v1.1                        v2 (in brackets the spellings of 2026)
//	id                  id_str, else id             id
//	time                timestamp_ms, created_at    created_at
//	text                full_text, text             text
//	its hashtags        entities.hashtags[].text    entities.hashtags[].tag
//	both of a long one  extended_tweet              note_tweet (note_post)
//	repost of           retweeted_status            referenced_tweets (referenced_posts) with type "retweeted";
//	                                                the post itself in there, or in includes.tweets (includes.posts)
//	versions            –                           edit_history_tweet_ids (edit_history_post_ids): the post is
//	                                                the first of them, in a later version
//
// The text and hashtags of a repost are cut off, so the original's count, and if that is missing only those that
// the network gave. What a post quotes is no part of it.

// content is what a post says.
type content struct {
	text     value
	given    bool // the network gave the hashtags, perhaps none:
	from, to int  // their place in Decoder.listed
}

func (c *content) present() bool { return c.given || c.text.kind != absent }

// xPost is a post of X as it is read, at the root or inside.
type xPost struct {
	idStr, id, firstID value // firstID is the first version's
	timestamp, created value
	fullText           value
	short, long        content
	repost             bool
	original           content
	originalID         value
	role               value // in a list of references: "retweeted", "quoted", "replied_to"

	// In an envelope may be, instead of a post, something about one, or that it is gone.
	compliance, deleted bool
	deletion            deletion
}

// says is what counts of the post.
func (x *xPost) says() content {
	switch {
	case x.original.present():
		return x.original
	case x.long.present():
		return x.long
	}
	return x.short
}

// includedOne is a post that came with another one.
type includedOne struct {
	id      []byte
	content content
}

func byID(a, b includedOne) int { return bytes.Compare(a.id, b.id) }

// x reads a post that stands at the root.
func (d *Decoder) x(p *Post) Result {
	x := d.readPost()
	return d.finishX(&x, p)
}

// envelope reads what is in "data": a post, something about one, or a page of posts. The first is p, the others
// wait for Next.
func (d *Decoder) envelope(p *Post) Result {
	page := false
	for key := d.object(); key != nil; key = d.member() {
		switch string(key) {
		case "data":
			page = d.next() == '['
			d.readData(page)
		case "includes":
			d.readIncludes()
		default:
			d.skip()
		}
	}
	if d.findOriginals(); page {
		d.checkPage()
	}
	switch {
	case d.err != nil:
		return Result{}
	case len(d.page) == 0:
		return Result{Kind: KindNotice, Notice: emptyPage}
	}
	d.taken = 1
	return d.finishX(&d.page[0], p)
}

// emptyPage is the name of a response without posts.
const emptyPage = "empty page"

func (d *Decoder) readData(page bool) {
	if d.page = d.page[:0]; !page {
		d.page = append(d.page, d.readPost())
		return
	}
	for more := d.array(); more; more = d.element() {
		d.page = append(d.page, d.readPost())
	}
}

// findOriginals gives the reposts that came without their originals the included ones.
func (d *Decoder) findOriginals() {
	slices.SortStableFunc(d.included, byID)
	for i := range d.page {
		x := &d.page[i]
		if !x.repost || x.original.present() || x.originalID.kind != text {
			continue
		}
		id := d.bytes(x.originalID)
		at, _ := slices.BinarySearchFunc(d.included, includedOne{id: id}, byID)
		if at < len(d.included) && bytes.Equal(d.included[at].id, id) {
			x.original = d.included[at].content
		}
	}
}

// checkPage makes sure that there are only posts on the page, so that Next cannot fail.
func (d *Decoder) checkPage() {
	for i := range d.page {
		if !d.page[i].isPost() {
			d.fail(0, "a post without text on a page of posts")
		}
	}
}

// isPost reports whether x is a post, not something about one.
func (x *xPost) isPost() bool {
	says := x.says()
	return says.present() || x.repost
}

// readPost reads the post at hand. Inlined into a loop of its own recursion, its result would be allocated.
//
//go:noinline
func (d *Decoder) readPost() (x xPost) {
	d.readFields(&x)
	if x.fullText.kind != absent {
		x.short.text = x.fullText
	}
	return x
}

func (d *Decoder) readFields(x *xPost) {
	for key := d.object(); key != nil; key = d.member() {
		switch string(key) {
		case "id_str":
			x.idStr = d.field("id_str", text)
		case "id":
			x.id = d.value()
		case "created_at":
			x.created = d.field("created_at", text)
		case "timestamp_ms":
			x.timestamp = d.value()
		case "text":
			x.short.text = d.field("text", text)
		case "full_text":
			x.fullText = d.field("full_text", text)
		case "entities":
			d.readEntities(&x.short)
		case "extended_tweet", "note_tweet", "note_post":
			x.long = d.readLong()
		case "retweeted_status":
			x.original, x.repost = d.readOriginal()
		case "referenced_tweets", "referenced_posts":
			d.readReferences(x)
		case "edit_history_tweet_ids", "edit_history_post_ids":
			x.firstID = d.readFirst()
		default:
			d.readRare(x, key)
		}
	}
}

// readRare reads what is neither in most posts nor in most places.
func (d *Decoder) readRare(x *xPost, key []byte) {
	switch string(key) {
	case "type":
		x.role = d.value()
	case "delete":
		x.deleted, x.deletion = true, d.readDeleted("tweet")
	case "withheld", "drop", "undrop", "tweet_edit":
		x.compliance = true
		d.skip()
	default:
		x.compliance = x.compliance || bytes.HasPrefix(key, []byte("user_"))
		d.skip()
	}
}

// readEntities reads the hashtags that the network gives.
func (d *Decoder) readEntities(c *content) {
	c.given, c.from, c.to = false, 0, 0
	for key := d.objectOf("entities"); key != nil; key = d.member() {
		if string(key) != "hashtags" {
			d.skip()
			continue
		}
		c.given, c.from = d.next() == '[', len(d.listed)
		for more := d.arrayOf("hashtags"); more; more = d.element() {
			d.listed = append(d.listed, d.readHashtag())
		}
		c.to = len(d.listed)
	}
}

func (d *Decoder) readHashtag() (tag value) {
	at := d.pos
	for key := d.object(); key != nil; key = d.member() {
		switch string(key) {
		case "text", "tag":
			tag = d.field("a hashtag", text)
		default:
			d.skip()
		}
	}
	if tag.kind == absent {
		d.fail(at, "a hashtag without text")
	}
	return tag
}

// readLong reads what a long post says in full.
func (d *Decoder) readLong() (c content) {
	for key := d.objectOf("the long text"); key != nil; key = d.member() {
		switch string(key) {
		case "full_text", "text":
			c.text = d.field("the long text", text)
		case "entities":
			d.readEntities(&c)
		default:
			d.skip()
		}
	}
	return c
}

// readOriginal reads the post that a repost passes on.
func (d *Decoder) readOriginal() (c content, is bool) {
	if d.next() != '{' {
		d.field("retweeted_status", object)
		return content{}, false
	}
	x := d.readPost()
	return x.says(), true
}

// readReferences reads which posts this one refers to, and finds the one that it passes on.
func (d *Decoder) readReferences(x *xPost) {
	x.repost = false
	for more := d.arrayOf("the references"); more; more = d.element() {
		other := d.readPost()
		if other.role.kind == text && string(d.bytes(other.role)) == "retweeted" {
			x.repost, x.original, x.originalID = true, other.says(), other.id
		}
	}
}

func (d *Decoder) readIncludes() {
	d.included = d.included[:0]
	for key := d.objectOf("includes"); key != nil; key = d.member() {
		switch string(key) {
		case "tweets", "posts":
			for more := d.arrayOf("the included posts"); more; more = d.element() {
				x := d.readPost()
				if says := x.says(); says.present() && x.id.kind == text {
					d.included = append(d.included, includedOne{d.bytes(x.id), says})
				}
			}
		default:
			d.skip()
		}
	}
}

// readFirst reads a list of ids and is the first one.
func (d *Decoder) readFirst() (first value) {
	for more := d.arrayOf("the edit history"); more; more = d.element() {
		if id := d.field("the id of a version", text); first.kind == absent {
			first = id
		}
	}
	return first
}

// finishX makes the post of what was read.
func (d *Decoder) finishX(x *xPost, p *Post) Result {
	says := x.says()
	switch {
	case d.err != nil:
		return Result{}
	case x.isPost():
	case x.deleted:
		return deleted(p, x.deletion)
	case x.compliance:
		return Result{Kind: KindNotice, Notice: "compliance"}
	default:
		d.fail(0, "a post without text")
		return Result{}
	}
	p.Source, p.ID, p.Repost = SourceX, d.id(x.idStr, x.id), x.repost
	p.Time = d.xTime(x)
	if first := d.bytes(x.firstID); x.firstID.kind == text && !bytes.Equal(first, p.ID) {
		p.Version = parseVersion(p.ID)
		p.ID, p.Op, p.Created = first, Update, snowflakeTime(first) // the same post under all its versions
	}
	d.fill(p, says, says.given || x.repost && !x.original.present())
	return Result{Kind: KindPost}
}

// fill sets text and hashtags. Unless they are listed, they are found in the text.
func (d *Decoder) fill(p *Post, says content, listed bool) {
	var plain []byte
	if d.Text || !listed {
		plain = d.plain(says.text)
	}
	if d.Text {
		p.Text = plain
	}
	for _, tag := range d.listed[says.from:says.to] {
		d.tags = append(d.tags, d.bytes(tag))
	}
	if !listed {
		for tag := range hashtag.Scan(plain) {
			d.tags = append(d.tags, tag)
		}
	}
	p.Tags = d.tags
}

// plain is a text of X without the HTML entities that X puts in. The value itself is not touched.
func (d *Decoder) plain(v value) []byte {
	raw := d.data[v.start:v.end]
	if !v.escaped && bytes.IndexByte(raw, '&') < 0 {
		return raw
	}
	start := len(d.buf)
	d.buf = d.unescape(d.buf, v)
	return unescapeHTML(d.buf[start:])
}

// xTime is the time, 0 if unknown.
func (d *Decoder) xTime(x *xPost) int64 {
	if milli, valid := d.integer(x.timestamp); valid {
		return milli
	}
	return d.time(x.created)
}

// snowflakeTime is when X made an id, 0 if it is none. From November 2010 on X's ids are
//
//	┌───────────────────────────────────┬─────────┬──────────┐
//	│ milliseconds since 1288834974657  │ machine │ sequence │
//	└───────────────────────────────────┴─────────┴──────────┘
//	 41 bits                             10 bits   12 bits
//
// and before that are so small that they look like the first of those.
func snowflakeTime(id []byte) int64 {
	const epoch = 1288834974657
	n, err := strconv.ParseUint(string(id), 10, 63)
	if err != nil {
		return 0
	}
	return int64(n>>22) + epoch
}
