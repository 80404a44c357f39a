package post

import (
	"bytes"
	"slices"

	"github.com/tagtide/tagtide/hashtag"
)

// Mastodon: a status, or an event of a stream with a status, or the id of one, in "payload":
//
//	{"id":"115000000000000001","uri":"https://social.example/…","content":"<p>…</p>","tags":[{"name":"covid19"}], …}
//	{"stream":["public"],"event":"update","payload":"{\"id\":\"115000000000000001\", …}"}
//	{"stream":["public"],"event":"delete","payload":"115000000000000001"}
//
// A status is the same on all servers by its uri, its id. The number that a server gives it is its alias.
//
// Only public statuses count, as they do for Mastodon; a boost counts as a repost of one. The hashtags are those
// that the server gives. It gives them folded, so how they are spelled is looked up in the content.

// toot is what a status says.
type toot struct {
	content    []byte // HTML, in the decoder's scratch; nil if there is none
	tags       list
	visibility value
}

func (t *toot) present() bool { return t.tags.present || t.content != nil }

// status is a status as it is read, at the root or inside.
type status struct {
	id, uri, created, edited value
	says                     toot
	reblog                   bool
	original                 toot
}

// message reads an event of a stream.
func (d *Decoder) message(p *Post) Result {
	var name value
	d.payload = d.payload[:0]
	for key := d.object(); key != nil; key = d.member() {
		switch string(key) {
		case "event":
			name = d.field("event", text)
		case "payload":
			d.readPayload()
		default:
			d.skip()
		}
	}
	if d.close(); d.err != nil {
		return Result{}
	}
	known := d.bytes(name)
	if result := d.event(string(known), d.payload, p); result.Kind != 0 || d.err != nil {
		return result
	}
	return d.named(known)
}

// readPayload reads the payload of an event, mostly a long string.
func (d *Decoder) readPayload() {
	d.payload = d.payload[:0]
	if d.next() == '"' {
		d.payload = d.strTo(d.payload)
		return
	}
	if v := d.value(); v.kind == number || v.kind == object { // not Mastodon, but somebody who meant well
		d.payload = append(d.payload, d.data[v.start:v.end]...)
	}
}

// event decodes an event of a stream. If it is of no name that matters, the result is zero.
func (d *Decoder) event(name string, payload []byte, p *Post) (result Result) {
	switch name {
	case "update", "status.update":
		d.open(payload)
		result = d.status(p, name == "status.update")
		d.close()
	case "delete":
		d.open(payload)
		d.pos = len(payload)
		result = d.deleteStatus(p, bytes.TrimSpace(payload))
	}
	if d.err != nil {
		d.err.Reason = "in a payload, " + d.err.Reason
	}
	return result
}

// deleteStatus makes of p that the status of an alias is gone.
func (d *Decoder) deleteStatus(p *Post, id []byte) Result {
	const longest = 128
	unlikely := func(r rune) bool { return r <= ' ' || r == '"' || r == '{' || r == '\uFFFD' }
	if len(id) == 0 || len(id) > longest || bytes.ContainsFunc(id, unlikely) {
		d.fail(0, "not the id of a status")
	}
	p.Source, p.Alias, p.Op = SourceMastodon, id, Delete
	return Result{Kind: KindDelete, Notice: "delete"}
}

// status reads a status; edited says that it is a later version, if it does not say so itself.
func (d *Decoder) status(p *Post, edited bool) Result {
	s := d.readStatus()
	says := s.says
	if s.reblog {
		says = s.original
	}
	switch {
	case d.err != nil:
		return Result{}
	case !d.isPublic(s.says) || !d.isPublic(says):
		return Result{Kind: KindNotice, Notice: "not public"}
	case !says.present() && !s.reblog:
		d.fail(0, "a status without content")
		return Result{}
	}
	p.Source, p.ID, p.Alias, p.Repost = SourceMastodon, d.bytes(s.uri), d.id(value{}, s.id), s.reblog
	p.Time = d.time(s.created)
	if edited || s.edited.kind == text {
		p.Op, p.Created = Update, p.Time
		if at := d.time(s.edited); at != 0 {
			p.Time = at
		}
	}
	d.fillMastodon(&says, p)
	return Result{Kind: KindPost}
}

// readStatus reads the status at hand. For noinline see readPost.
//
//go:noinline
func (d *Decoder) readStatus() (s status) {
	for key := d.object(); key != nil; key = d.member() {
		switch string(key) {
		case "id":
			s.id = d.value()
		case "uri":
			s.uri = d.field("uri", text)
		case "created_at":
			s.created = d.field("created_at", text)
		case "edited_at":
			s.edited = d.field("edited_at", text)
		case "visibility":
			s.says.visibility = d.field("visibility", text)
		case "content":
			s.says.content = d.readContent()
		case "tags":
			s.says.tags = d.readTagNames()
		case "reblog":
			s.original, s.reblog = d.readReblog()
		default:
			d.skip()
		}
	}
	return s
}

func (d *Decoder) readContent() []byte {
	if d.next() != '"' {
		d.field("content", text)
		return nil
	}
	start := len(d.buf)
	d.buf = d.strTo(d.buf)
	return d.buf[start:len(d.buf):len(d.buf)]
}

func (d *Decoder) readTagNames() list {
	names := list{d.next() == '[', len(d.listed), 0}
	for more := d.arrayOf("tags"); more; more = d.element() {
		at := d.pos
		var name value
		for key := d.object(); key != nil; key = d.member() {
			if string(key) == "name" {
				name = d.field("the name of a tag", text)
			} else {
				d.skip()
			}
		}
		if name.kind == absent {
			d.fail(at, "a tag without name")
		}
		d.listed = append(d.listed, name)
	}
	names.to = len(d.listed)
	return names
}

// readReblog reads the status that a boost passes on.
func (d *Decoder) readReblog() (t toot, is bool) {
	if d.next() != '{' {
		d.field("reblog", object)
		return toot{}, false
	}
	s := d.readStatus()
	return s.says, true
}

// isPublic reports whether everybody is meant to find t by its hashtags. Who does not say gives it to everybody.
func (d *Decoder) isPublic(t toot) bool {
	return t.visibility.kind == absent || string(d.bytes(t.visibility)) == "public"
}

// fillMastodon sets text and hashtags. Unless they are listed, they are found in the text.
func (d *Decoder) fillMastodon(t *toot, p *Post) {
	var plain []byte
	if d.Text || !t.tags.present || t.tags.from < t.tags.to {
		plain = textOfHTML(t.content)
	}
	if d.Text {
		p.Text = plain
	}
	if !t.tags.present {
		for tag := range hashtag.ScanMastodon(plain) {
			d.tags = append(d.tags, tag)
		}
		p.Tags = d.tags
		return
	}
	d.spelled.find(plain, t.tags.to-t.tags.from)
	for _, v := range d.listed[t.tags.from:t.tags.to] {
		d.tags = append(d.tags, d.spelled.of(d.bytes(v)))
	}
	p.Tags = d.tags
}

// spellings are how the hashtags of a text are spelled.
type spellings struct {
	uses  Uses
	tags  [][]byte
	found []Use
	key   []byte
}

// maxSpelled bounds how many hashtags of a text are looked at, so that the time to decode is linear.
const maxSpelled = 64

// find finds them in a text, if there are names to look for.
func (s *spellings) find(text []byte, names int) {
	if s.tags, s.found = s.tags[:0], nil; names == 0 {
		return
	}
	for tag := range hashtag.ScanMastodon(text) {
		if s.tags = append(s.tags, tag); len(s.tags) == maxSpelled {
			break
		}
	}
	s.found = s.uses.Of(&Post{Tags: s.tags})
}

// of is how the hashtag of that name is spelled, the name if it is not in the text.
func (s *spellings) of(name []byte) []byte {
	if i := s.index(name); i >= 0 { // it is folded already, as nearly all are
		return s.found[i].Spelling
	}
	s.key = hashtag.Fold(s.key[:0], name)
	if i := s.index(s.key); i >= 0 {
		return s.found[i].Spelling
	}
	return name
}

func (s *spellings) index(key []byte) int {
	return slices.IndexFunc(s.found, func(u Use) bool { return bytes.Equal(u.Key, key) })
}
