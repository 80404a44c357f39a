package post

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// Kind says what a value turned out to be.
type Kind uint8

const (
	// KindPost is a post, new or in a new version (Post.Op).
	KindPost Kind = iota + 1
	// KindDelete says that a post is gone: Post has its Source and its ID, or only its Alias, and Op is Delete; or
	// that a version of it counts for nothing: Op is Hide. Who does not follow deletes counts it as a notice.
	KindDelete
	// KindAccount says that an account is gone with all its posts, or back: Post has its Source, ID is the
	// account's, and Op is Gone or Back. Who does not follow accounts counts it as a notice.
	KindAccount
	// KindNotice is something a network says that is no post. Result.Notice names it.
	KindNotice
	// KindSkipped is an emitter's word that it left out Result.Skipped posts.
	KindSkipped
)

// Result is what a value turned out to be.
type Result struct {
	Kind    Kind
	Notice  string // what it is called, such as "limit" or "delete"; for KindSkipped the reason, such as "track"; of a KindPost empty
	Skipped int64  // for KindSkipped the number of posts left out, at least 1
}

// Decoder decodes posts and keeps its scratch between calls. The zero value is ready. It is for one goroutine.
type Decoder struct {
	// Text asks for Post.Text. Without it text is decoded only where tags must be found in it.
	Text bool

	// BlueskyText asks for the hashtags in the texts of Bluesky's posts that have neither facets nor a list of
	// tags. For Bluesky itself these are no hashtags, so without it such a post has none. Whoever decodes a topic
	// twice must ask for the same.
	BlueskyText bool

	scanner
	listed   []value       // the hashtags that the networks gave, of all lists in the value
	included []includedOne // the posts that came with those that the value is about
	page     []xPost       // the posts that the value is about,
	taken    int           // and how many of them the caller has
	tags     [][]byte      // Post.Tags
	buf      []byte        // what had to be unescaped
	inner    []byte        // a value that stood in a string
	payload  []byte        // a status that stood in a string
	spelled  spellings
	source   string // the last source that is not ours to name, for the next post from there
	reason   string // the last reason of a skip, or name of a notice, likewise
}

// Decode decodes one JSON value of any known format into p, every field of which is set. A JSON string that holds
// such a value, as producers write that encode twice, will do, too. Posts borrow from value and from the decoder,
// see [Post]. Values that are no post are no errors, see [Result].
//
// An error is always a [*Error]: value is not JSON (RFC 8259) or not UTF-8, is nested more than 64 levels deep, has
// a wrong type where it matters, or is of no known format. p is then unspecified. Of a key that an object has
// twice the last one counts. What no format knows is checked to be JSON and otherwise ignored. A time or a
// number for an id that cannot be read exactly is unknown, no error: the post still counts.
func (d *Decoder) Decode(value []byte, p *Post) (Result, error) {
	d.begin(p)
	return d.end(d.decode(value, p))
}

// DecodeEvent decodes an event of Mastodon's streams, as they stand in lines of their own:
//
//	event: update
//	data: {"id":"115000000000000001", …}
//
// It is Decode in all other respects. Events that it does not know are notices of that name, whatever payload is.
func (d *Decoder) DecodeEvent(event string, payload []byte, p *Post) (Result, error) {
	d.begin(p)
	result := d.event(event, payload, p)
	if result.Kind == 0 && d.err == nil {
		result = d.named([]byte(event))
	}
	return d.end(result)
}

func (d *Decoder) begin(p *Post) {
	d.listed, d.included = d.listed[:0], d.included[:0]
	d.page, d.taken = d.page[:0], 0
	d.tags, d.buf = d.tags[:0], d.buf[:0]
	d.err = nil
	*p = Post{}
}

func (d *Decoder) end(result Result) (Result, error) {
	if d.err != nil {
		d.page = d.page[:0]
		return Result{}, d.err
	}
	return result, nil
}

// Next decodes into p the next post of the value that Decode has read the first one of, and reports whether there was one: a
// response page of X holds many, almost every other value one. It cannot fail, the value was checked whole, and
// what it gives is always a KindPost. Posts borrow as those from Decode do, and until the next call of either.
//
//	for more := err == nil; more; more = d.Next(&p) {
//		…
//	}
func (d *Decoder) Next(p *Post) bool {
	if d.taken >= len(d.page) {
		return false
	}
	d.tags, d.buf = d.tags[:0], d.buf[:0]
	*p = Post{}
	d.finishX(&d.page[d.taken], p)
	d.taken++
	return true
}

func (d *Decoder) decode(value []byte, p *Post) Result {
	d.open(value)
	if d.next() == '"' {
		return d.decodeString(p)
	}
	return d.decodeObject(p)
}

// decodeString decodes the value that stands in the string at hand.
func (d *Decoder) decodeString(p *Post) Result {
	d.inner = d.strTo(d.inner[:0])
	if d.close(); d.err != nil {
		return Result{}
	}
	d.open(d.inner)
	result := d.decodeObject(p)
	if d.err != nil {
		d.err.Reason = "in a string, " + d.err.Reason
	}
	return result
}

func (d *Decoder) decodeObject(p *Post) Result {
	f := d.detect()
	if d.err != nil {
		return Result{}
	}
	d.pos, d.depth = 0, 0
	result := d.read(f, p)
	d.close()
	return result
}

// open makes data the scanner's.
func (d *Decoder) open(data []byte) {
	d.data, d.pos, d.depth, d.err = data, 0, 0, nil
	if len(data) > math.MaxUint32 {
		d.fail(math.MaxUint32, "longer than 4 GiB")
	} else if !utf8.Valid(data) {
		d.fail(firstInvalid(data), "not UTF-8")
	}
}

// close makes sure that nothing follows the value.
func (d *Decoder) close() {
	if d.next(); d.pos < len(d.data) {
		d.fail(d.pos, "not JSON, something follows the value")
	}
}

// format is a kind of JSON value that the decoder knows.
type format uint8

const (
	formatUnknown   format = iota
	formatOwn              // canonical form: canonical.go
	formatX                // X v1.1, or X v2 without its envelope: x.go
	formatEnvelope         // X v2: x.go
	formatNotice           // what X v1.1 says between posts: notice.go
	formatRemark           // what X v2 and Mastodon say between posts: notice.go
	formatJetstream        // an event of Bluesky's Jetstream: bluesky.go
	formatStatus           // a status of Mastodon: mastodon.go
	formatMessage          // an event of Mastodon's stream: mastodon.go
)

// detect reads the value at hand up to the first key that tells its format, or to its end. A further format needs
// such a key here, a line in read, and a file.
func (d *Decoder) detect() format {
	f := formatUnknown
	for key := d.object(); key != nil; key = d.member() {
		switch string(key) {
		case "tagtide":
			return formatOwn
		case "text", "full_text", "id_str", "entities", "retweeted_status":
			return formatX
		case "data":
			return formatEnvelope
		case "did", "$type", "time_us", "commit":
			return formatJetstream
		case "uri", "content", "visibility", "reblog", "spoiler_text":
			return formatStatus
		case "event", "stream":
			return formatMessage
		case "delete", "limit", "scrub_geo", "status_withheld", "user_withheld", "disconnect", "warning":
			return formatNotice
		case "payload":
			if d.next() == '"' {
				return formatMessage
			}
			f = formatJetstream // unless "event" follows
		case "errors", "error", "meta":
			if f == formatUnknown {
				f = formatRemark // unless "data" follows: then they are about it
			}
		}
		d.skip()
	}
	return f
}

// read reads the value from its start as what it is.
func (d *Decoder) read(f format, p *Post) Result {
	switch f {
	case formatOwn:
		return d.canonical(p)
	case formatX:
		return d.x(p)
	case formatEnvelope:
		return d.envelope(p)
	case formatNotice:
		return d.notice(p)
	case formatRemark:
		return d.remark()
	case formatJetstream:
		return d.jetstream(p)
	case formatStatus:
		return d.status(p, false)
	case formatMessage:
		return d.message(p)
	}
	d.skip()
	d.fail(0, "of no known format")
	return Result{}
}

// bytes is what the string v says, nil if v is absent.
func (d *Decoder) bytes(v value) []byte {
	if v.escaped {
		return d.unescaped(v)
	}
	return d.data[v.start:v.end:v.end]
}

func (d *Decoder) unescaped(v value) []byte {
	start := len(d.buf)
	d.buf = d.unescape(d.buf, v)
	return d.buf[start:len(d.buf):len(d.buf)]
}

// id is the id that a network gives as a string, or, if that is missing, mostly as one, empty if unknown. A number
// is one only if it is written out: 1.2e18 has lost digits.
func (d *Decoder) id(asString, other value) []byte {
	switch {
	case asString.kind == text:
		return d.bytes(asString)
	case other.kind == text:
		return d.bytes(other)
	case other.kind == number && allDigits(d.bytes(other)):
		return d.bytes(other)
	}
	return nil
}

// integer is the whole number that v says, be it in a string.
func (d *Decoder) integer(v value) (n int64, valid bool) {
	if v.kind != text && v.kind != number {
		return 0, false
	}
	return parseInt(d.bytes(v))
}

// time is the time that the string v says, 0 if it says none.
func (d *Decoder) time(v value) int64 {
	if v.kind != text {
		return 0
	}
	return parseTime(d.bytes(v))
}

// Error says why a value could not be decoded, and where. It never quotes the value.
type Error struct {
	Reason string
	Offset int // the byte of the value at which it was noticed; if the value is a string with JSON in it, the byte in there
}

func (e *Error) Error() string {
	return fmt.Sprintf("decode post: %s, at byte %d", e.Reason, e.Offset)
}

func firstInvalid(data []byte) int {
	for i := 0; ; {
		r, width := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && width <= 1 {
			return i
		}
		i += width
	}
}
