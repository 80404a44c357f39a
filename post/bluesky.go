package post

import (
	"bytes"
	"strings"

	"github.com/tagtide/tagtide/hashtag"
)

// The events of Bluesky's Jetstream. Version 2 is version 1 with all in one object, and that in an envelope:
//
//	           v1                              v2, in "payload"
//	kind       kind                            $type, behind its #
//	whose      did                             did
//	time       time_us                         time
//	a post     commit.operation, .collection,  operation, collection,
//	           .rkey, .record                  rkey, record
//	account    account.active, .status         account.active, .status
//	name       –                               name of an #info; error of a frame of $type "error"
//
// A post is app.bsky.feed.post; other collections, identities and the rest are notices. Its id is its at-uri, its
// time that of the event, since its own is what its author's program claims.
//
// A record is whatever its author's program wrote. What is not of the type it should be is not there.

const (
	postCollection = "app.bsky.feed.post"
	tagFeature     = "app.bsky.richtext.facet#tag"
	maxBlueskyTag  = 640 // bytes: a longer one is none for Bluesky
)

// list is a list of hashtags.
type list struct {
	present  bool // the list is there, perhaps empty:
	from, to int  // its place in Decoder.listed
}

// event is an event as it is read.
type event struct {
	frame, kind, name           value // frame is the $type at the root
	did, timeUS, time           value
	operation, collection, rkey value
	hasRecord                   bool
	text                        value // these three are the record's
	facets, tags                list
	active, status              value // these two the account's
}

// jetstream reads an event.
func (d *Decoder) jetstream(p *Post) Result {
	var e event
	d.readEvent(&e, &e.frame)
	if d.err != nil {
		return Result{}
	}
	p.Source, p.Time = SourceBluesky, d.eventTime(&e)
	switch kind := d.eventKind(&e); string(kind) {
	case "commit":
		return d.finishCommit(&e, p)
	case "account":
		return d.finishBlueskyAccount(&e, p)
	case "":
		d.fail(0, "an event of no kind")
		return Result{}
	default:
		if name := d.bytes(e.name); len(name) > 0 {
			kind = name
		}
		return d.named(kind)
	}
}

// readEvent reads an event, kind is where its $type goes.
func (d *Decoder) readEvent(e *event, kind *value) {
	for key := d.object(); key != nil; key = d.member() {
		switch string(key) {
		case "did":
			e.did = d.field("did", text)
		case "time_us":
			e.timeUS = d.value()
		case "time":
			e.time = d.value()
		case "kind":
			e.kind = d.field("kind", text)
		case "$type":
			*kind = d.field("$type", text)
		case "commit":
			for key := d.objectOf("commit"); key != nil; key = d.member() {
				d.readCommit(e, key)
			}
		case "account":
			d.readAccount(e)
		case "payload":
			if d.next() == '{' {
				d.readEvent(e, &e.kind)
			} else {
				d.field("payload", object)
			}
		case "name", "error":
			e.name = d.field("the name", text)
		default:
			d.readCommit(e, key)
		}
	}
}

// readCommit reads a member of a commit.
func (d *Decoder) readCommit(e *event, key []byte) {
	switch string(key) {
	case "operation":
		e.operation = d.field("operation", text)
	case "collection":
		e.collection = d.field("collection", text)
	case "rkey":
		e.rkey = d.field("rkey", text)
	case "record":
		e.hasRecord = d.next() == '{'
		d.readRecord(e)
	default:
		d.skip()
	}
}

func (d *Decoder) readRecord(e *event) {
	e.text, e.facets, e.tags = value{}, list{}, list{}
	for key := d.anyObject(); key != nil; key = d.member() {
		switch string(key) {
		case "text":
			e.text = d.value()
		case "facets":
			e.facets = d.readFacets()
		case "tags":
			e.tags = list{d.next() == '[', len(d.listed), 0}
			for more := d.anyArray(); more; more = d.element() {
				d.list(d.value())
			}
			e.tags.to = len(d.listed)
		default:
			d.skip()
		}
	}
}

// list adds v to the hashtags if it is a string.
func (d *Decoder) list(v value) {
	if v.kind == text {
		d.listed = append(d.listed, v)
	}
}

// readFacets reads the hashtags among what marks parts of a text.
func (d *Decoder) readFacets() list {
	facets := list{d.next() == '[', len(d.listed), 0}
	for more := d.anyArray(); more; more = d.element() {
		for key := d.anyObject(); key != nil; key = d.member() {
			if string(key) != "features" {
				d.skip()
				continue
			}
			for more := d.anyArray(); more; more = d.element() {
				d.readFeature()
			}
		}
	}
	facets.to = len(d.listed)
	return facets
}

func (d *Decoder) readFeature() {
	var kind, tag value
	for key := d.anyObject(); key != nil; key = d.member() {
		switch string(key) {
		case "$type":
			kind = d.value()
		case "tag":
			tag = d.value()
		default:
			d.skip()
		}
	}
	if kind.kind == text && string(d.bytes(kind)) == tagFeature {
		d.list(tag)
	}
}

func (d *Decoder) readAccount(e *event) {
	for key := d.objectOf("account"); key != nil; key = d.member() {
		switch string(key) {
		case "active":
			e.active = d.field("active", boolean)
		case "status":
			e.status = d.field("status", text)
		default:
			d.skip()
		}
	}
}

// eventKind is the kind, in the words of v1. A frame that only wraps has none.
func (d *Decoder) eventKind(e *event) []byte {
	kind := d.bytes(e.kind)
	if len(kind) == 0 {
		kind = d.bytes(e.frame)
	}
	return kind[bytes.IndexByte(kind, '#')+1:]
}

func (d *Decoder) eventTime(e *event) int64 {
	if micro, valid := d.integer(e.timeUS); valid {
		return micro / 1000
	}
	return d.time(e.time)
}

// finishCommit makes the post of what was read.
func (d *Decoder) finishCommit(e *event, p *Post) Result {
	if string(d.bytes(e.collection)) != postCollection {
		return Result{Kind: KindNotice, Notice: "other collection"}
	}
	result := Result{Kind: KindPost}
	switch string(d.bytes(e.operation)) {
	case "create":
	case "update":
		p.Op = Update
	case "delete":
		p.Op, result = Delete, Result{Kind: KindDelete, Notice: "delete"}
	default:
		return Result{Kind: KindNotice, Notice: "commit"}
	}
	did, rkey := d.bytes(e.did), d.bytes(e.rkey)
	switch {
	case len(did) == 0 || len(rkey) == 0:
		d.fail(0, "a post without did and rkey")
	case p.Op == Delete:
	case !e.hasRecord:
		d.fail(0, "a post without record")
	default:
		d.fillBluesky(e, p)
	}
	if p.Op == Update {
		p.Created = tidTime(rkey)
	}
	p.ID = d.atURI(did, rkey)
	return result
}

func (d *Decoder) atURI(did, rkey []byte) []byte {
	start := len(d.buf)
	d.buf = append(d.buf, "at://"...)
	d.buf = append(d.buf, did...)
	d.buf = append(d.buf, "/"+postCollection+"/"...)
	d.buf = append(d.buf, rkey...)
	return d.buf[start:len(d.buf):len(d.buf)]
}

// tidTime is when a record's key was made, 0 if it is no TID (https://atproto.com/specs/tid), of which posts have one:
// 13 digits of base 32, of which the microseconds since 1970 are all but the last ten bits.
func tidTime(rkey []byte) int64 {
	const digits, length, clockBits = "234567abcdefghijklmnopqrstuvwxyz", 13, 10
	if len(rkey) != length || rkey[0] > 'j' { // the highest bit is 0
		return 0
	}
	var n int64
	for _, c := range rkey {
		digit := strings.IndexByte(digits, c)
		if digit < 0 {
			return 0
		}
		n = n<<5 | int64(digit)
	}
	return (n >> clockBits) / 1000
}

// fillBluesky sets text and hashtags: those in the facets and those in the list, together.
func (d *Decoder) fillBluesky(e *event, p *Post) {
	var plain []byte
	scan := d.BlueskyText && !e.facets.present && !e.tags.present
	if (d.Text || scan) && e.text.kind == text {
		plain = d.bytes(e.text)
	}
	if d.Text {
		p.Text = plain
	}
	for _, l := range []list{e.facets, e.tags} {
		for _, v := range d.listed[l.from:l.to] {
			if tag := blueskyTag(d.bytes(v)); len(tag) > 0 {
				d.tags = append(d.tags, tag)
			}
		}
	}
	if scan {
		for tag := range hashtag.ScanBluesky(plain) {
			d.tags = append(d.tags, tag)
		}
	}
	p.Tags = d.tags
}

// blueskyTag is the hashtag that tag says, empty if it is none. Bluesky's app marks $AAPL as one, too, and other
// programs leave space and hash signs on.
func blueskyTag(tag []byte) []byte {
	tag = hashtag.Trim(tag)
	if len(tag) > maxBlueskyTag || bytes.HasPrefix(tag, []byte("$")) || bytes.HasPrefix(tag, []byte("＄")) {
		return nil
	}
	return tag
}

// finishBlueskyAccount makes of p what happened to an account. One that its owner switched off, or that is behind,
// may be back tomorrow, and its posts were not taken down: that is a notice.
func (d *Decoder) finishBlueskyAccount(e *event, p *Post) Result {
	active := e.active.kind == boolean && d.data[e.active.start] == 't'
	switch status := string(d.bytes(e.status)); {
	case active:
		p.Op = Back
	case e.active.kind == boolean && (status == "takendown" || status == "suspended" || status == "deleted"):
		p.Op = Gone
	default:
		return Result{Kind: KindNotice, Notice: "account"}
	}
	if p.ID = d.bytes(e.did); len(p.ID) == 0 {
		d.fail(0, "an account without did")
	}
	return accountResults[p.Op]
}
