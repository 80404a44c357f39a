package post

import (
	"strconv"
	"unicode/utf8"
)

// version is the version of the canonical form, the value of its first member. A later version may add members,
// which this program ignores; a change of meaning gets a new number, which it refuses.
const version = 1

// OwnPrefix begins what Append and AppendSkipped write.
const OwnPrefix = `{"tagtide":1,`

// Append appends the canonical form of p to dst and returns the extended slice. Text is left out. Decoding it
// gives an equal post. Nothing is kept. Source must not be empty; bytes that are not UTF-8 become U+FFFD.
func Append(dst []byte, p *Post) []byte {
	dst = append(dst, `{"tagtide":1,"source":`...)
	dst = appendString(dst, p.Source)
	if len(p.ID) > 0 {
		dst = append(dst, idMembers[p.Op]...)
		dst = appendString(dst, p.ID)
	}
	if len(p.Alias) > 0 {
		dst = append(dst, `,"alias":`...)
		dst = appendString(dst, p.Alias)
	}
	if p.Time != 0 {
		dst = append(dst, `,"time":`...)
		dst = strconv.AppendInt(dst, p.Time, 10)
	}
	dst = append(dst, opMembers[p.Op]...)
	if p.Version != 0 {
		dst = append(dst, `,"version":`...)
		dst = strconv.AppendInt(dst, p.Version, 10)
	}
	if len(p.Tags) > 0 {
		dst = append(dst, `,"tags":[`...)
		for i, tag := range p.Tags {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, tag)
		}
		dst = append(dst, ']')
	}
	if p.Repost {
		dst = append(dst, `,"repost":true`...)
	}
	return append(dst, '}')
}

// How the members are written, by what happened.
var (
	idMembers = [...]string{Create: `,"id":`, Update: `,"id":`, Delete: `,"id":`, Hide: `,"id":`, Gone: `,"account":`, Back: `,"account":`}
	opMembers = [...]string{Create: ``, Update: `,"op":"update"`, Delete: `,"op":"delete"`, Hide: `,"op":"hide"`, Gone: `,"op":"gone"`, Back: `,"op":"back"`}
)

// AppendSkipped appends the notice that n posts, n ≥ 1, were left out for reason ("track", "reposts").
func AppendSkipped(dst []byte, n int64, reason string) []byte {
	dst = append(dst, `{"tagtide":1,"skipped":`...)
	dst = strconv.AppendInt(dst, n, 10)
	dst = append(dst, `,"reason":`...)
	dst = appendString(dst, reason)
	return append(dst, '}')
}

// appendString appends s in quotes.
func appendString[T string | []byte](dst []byte, s T) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, width := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			dst = utf8.AppendRune(dst, r)
			i += width
			continue
		}
		i++
	}
	return append(dst, '"')
}

// canonicalFields are the members of the canonical form, as they were read.
type canonicalFields struct {
	form, source, id, account, alias, time, op, version, repost, skipped, reason value
}

// canonical reads the canonical form.
func (d *Decoder) canonical(p *Post) Result {
	var c canonicalFields
	for key := d.object(); key != nil; key = d.member() {
		switch string(key) {
		case "tagtide":
			c.form = d.field("tagtide", number)
		case "source":
			c.source = d.field("source", text)
		case "id":
			c.id = d.field("id", text)
		case "account":
			c.account = d.field("account", text)
		case "alias":
			c.alias = d.field("alias", text)
		case "time":
			c.time = d.field("time", number)
		case "op":
			c.op = d.field("op", text)
		case "version":
			c.version = d.field("version", number)
		case "tags":
			d.readTags()
		case "repost":
			c.repost = d.field("repost", boolean)
		case "skipped":
			c.skipped = d.field("skipped", number)
		case "reason":
			c.reason = d.field("reason", text)
		default:
			d.skip()
		}
	}
	if d.err != nil {
		return Result{}
	}
	if v, valid := parseInt(d.bytes(c.form)); !valid || v != version {
		d.fail(int(c.form.start), "a version of the canonical form that this program does not know")
		return Result{}
	}
	if c.skipped.kind != absent {
		return d.finishSkipped(&c)
	}
	return d.finishCanonical(&c, p)
}

func (d *Decoder) readTags() {
	d.listed = d.listed[:0]
	for more := d.arrayOf("tags"); more; more = d.element() {
		at := d.pos
		tag := d.field("a tag", text)
		if tag.kind == absent {
			d.fail(at, "a tag is null")
		}
		d.listed = append(d.listed, tag)
	}
}

func (d *Decoder) finishSkipped(c *canonicalFields) Result {
	n, valid := parseInt(d.bytes(c.skipped))
	if !valid || n < 1 {
		d.fail(int(c.skipped.start), "skipped is no whole number of posts")
		return Result{}
	}
	if reason := d.bytes(c.reason); d.reason != string(reason) {
		d.reason = string(reason)
	}
	return Result{Kind: KindSkipped, Skipped: n, Notice: d.reason}
}

func (d *Decoder) finishCanonical(c *canonicalFields, p *Post) Result {
	p.Source = d.knownSource(d.bytes(c.source))
	if p.Source == "" {
		d.fail(0, "no source")
	}
	p.ID, p.Alias = d.bytes(c.id), d.bytes(c.alias)
	if c.time.kind == number {
		milli, valid := parseInt(d.bytes(c.time))
		if p.Time = milli; !valid {
			d.fail(int(c.time.start), "time is no whole number of milliseconds")
		}
	}
	p.Op = d.op(c.op)
	if p.Op == Gone || p.Op == Back {
		return d.finishAccount(c, p)
	}
	if c.version.kind == number {
		if p.Version = parseVersion(d.bytes(c.version)); p.Version == 0 {
			d.fail(int(c.version.start), "version is no whole number of at least 1")
		}
	}
	p.Repost = c.repost.kind == boolean && d.data[c.repost.start] == 't'
	for _, tag := range d.listed {
		d.tags = append(d.tags, d.bytes(tag))
	}
	p.Tags = d.tags
	result := Result{Kind: KindDelete, Notice: "delete"}
	switch {
	case p.Op == Hide:
		result.Notice = "hide"
	case p.Op != Delete:
		return Result{Kind: KindPost}
	}
	if len(p.ID) == 0 && (p.Op == Hide || len(p.Alias) == 0) {
		result.Kind = KindNotice // of nobody knows which
	}
	return result
}

// finishAccount makes of p what happened to an account.
func (d *Decoder) finishAccount(c *canonicalFields, p *Post) Result {
	if p.ID, p.Alias = d.bytes(c.account), nil; len(p.ID) == 0 {
		d.fail(int(c.op.start), "an op on an account, and no account")
	}
	return accountResults[p.Op]
}

var accountResults = [...]Result{Gone: {Kind: KindAccount, Notice: "account gone"}, Back: {Kind: KindAccount, Notice: "account back"}}

func (d *Decoder) op(v value) Op {
	switch string(d.bytes(v)) {
	case "", "create":
		return Create
	case "update":
		return Update
	case "delete":
		return Delete
	case "hide":
		return Hide
	case "gone":
		return Gone
	case "back":
		return Back
	}
	d.fail(int(v.start), "an op that is none of create, update, hide, delete, gone, back")
	return Create
}

// knownSource is the source as a string that is not allocated for each post.
func (d *Decoder) knownSource(source []byte) string {
	switch string(source) {
	case SourceX:
		return SourceX
	case SourceBluesky:
		return SourceBluesky
	case SourceMastodon:
		return SourceMastodon
	case SourceDemo:
		return SourceDemo
	}
	if d.source != string(source) {
		d.source = string(source)
	}
	return d.source
}
