package post

import (
	"bytes"
	"encoding/json"
	"errors"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tagtide/tagtide/hashtag"
)

// The oracle decodes with encoding/json into trees and says the rules again, slowly. It panics with errWrongType
// where a value has one.

var errWrongType = errors.New("wrong type")

// tree is an object, its members in order; other values are what encoding/json makes of them.
type tree []member

type member struct {
	key   string
	value any
}

func readTree(dec *json.Decoder) any {
	token, err := dec.Token()
	if err != nil {
		panic(err) // the caller has asked json.Valid
	}
	switch token {
	case json.Delim('{'):
		object := tree{}
		for dec.More() {
			key, _ := dec.Token()
			object = append(object, member{key.(string), readTree(dec)})
		}
		dec.Token()
		return object
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			list = append(list, readTree(dec))
		}
		dec.Token()
		return list
	}
	return token
}

// as is v as a T, or null; anything else is a wrong type.
func as[T any](v any) (t T, present bool) {
	if v == nil {
		return t, false
	}
	t, present = v.(T)
	if !present {
		panic(errWrongType)
	}
	return t, true
}

// last is the last member with one of the keys; all of them must be a T or null.
func last[T any](object tree, keys ...string) (t T, present bool) {
	for _, m := range object {
		if slices.Contains(keys, m.key) {
			t, present = as[T](m.value)
		}
	}
	return t, present
}

// says is what counts of a post, by the oracle.
type says struct {
	text        string
	hasText     bool
	tags        []string
	given       bool
	id          string
	repost      bool
	original    *says
	originalID  string
	compliance  bool
	deleted     bool
	deletion    slowDeletion
	first, role string
	hasFirst    bool
	time        int64
}

func (s *says) present() bool { return s.given || s.hasText }

func (s *says) counts() *says {
	if s.original != nil && s.original.present() {
		return s.original
	}
	return s
}

func slowEntities(object tree, s *says) {
	for _, m := range object {
		if m.key != "entities" {
			continue
		}
		entities, _ := as[tree](m.value)
		s.tags, s.given = nil, false
		for _, m := range entities {
			if m.key != "hashtags" {
				continue
			}
			var list []any
			list, s.given = as[[]any](m.value)
			s.tags = nil
			for _, element := range list {
				one, _ := as[tree](element)
				tag, present := last[string](one, "text", "tag")
				if !present {
					panic(errWrongType)
				}
				s.tags = append(s.tags, tag)
			}
		}
	}
}

func slowX(object tree) *says {
	s := &says{}
	var long *says
	s.text, s.hasText = last[string](object, "text")
	if full, present := last[string](object, "full_text"); present {
		s.text, s.hasText = full, true
	}
	slowEntities(object, s)
	for _, m := range object {
		switch m.key {
		case "extended_tweet", "note_tweet", "note_post":
			inner, _ := as[tree](m.value)
			long = &says{}
			long.text, long.hasText = last[string](inner, "full_text", "text")
			slowEntities(inner, long)
		case "retweeted_status":
			inner, present := as[tree](m.value)
			s.repost, s.original = present, nil
			if present {
				s.original = slowX(inner).counts()
			}
		case "referenced_tweets", "referenced_posts":
			list, _ := as[[]any](m.value)
			s.repost = false
			for _, element := range list {
				other, _ := as[tree](element)
				if x := slowX(other); x.role == "retweeted" {
					s.repost, s.original, s.originalID = true, x.counts(), x.textID(other, "no referenced")
				}
			}
		case "edit_history_tweet_ids", "edit_history_post_ids":
			list, _ := as[[]any](m.value)
			s.hasFirst = false
			for _, element := range list {
				if id, present := as[string](element); present && !s.hasFirst {
					s.first, s.hasFirst = id, true
				}
			}
		case "type":
			s.role, _ = m.value.(string)
		case "delete":
			s.deleted, s.deletion = true, slowDeleted(m.value, "tweet")
		case "withheld", "drop", "undrop", "tweet_edit":
			s.compliance = true
		default:
			s.compliance = s.compliance || strings.HasPrefix(m.key, "user_")
		}
	}
	if long != nil && long.present() {
		s.text, s.hasText, s.tags, s.given = long.text, long.hasText, long.tags, long.given
	}
	s.id, s.time = slowID(object), slowTime(object)
	return s
}

// textID is the id by which other posts refer to this one; a name that no post has if it is no string.
func (s *says) textID(object tree, none string) string {
	id := any(none)
	for _, m := range object {
		if m.key == "id" {
			id = m.value
		}
	}
	if id, is := id.(string); is {
		return id
	}
	return none
}

func slowID(object tree) string {
	if id, present := last[string](object, "id_str"); present {
		return id
	}
	var id any
	for _, m := range object {
		if m.key == "id" {
			id = m.value
		}
	}
	switch id := id.(type) {
	case string:
		return id
	case json.Number:
		if strings.Trim(id.String(), "0123456789") == "" {
			return id.String()
		}
	}
	return ""
}

func slowTime(object tree) int64 {
	created, _ := last[string](object, "created_at")
	if milli, valid := slowInt(lastOf(object, "timestamp_ms")); valid {
		return milli
	}
	return slowParseTime(created)
}

// lastOf is the last member with the key, as a string if it is one or a number, else empty.
func lastOf(object tree, key string) (s string) {
	for _, m := range object {
		if m.key == key {
			s = ""
			switch v := m.value.(type) {
			case string:
				s = v
			case json.Number:
				s = v.String()
			}
		}
	}
	return s
}

func slowInt(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && !strings.HasPrefix(s, "+") && len(strings.TrimPrefix(s, "-")) <= 18
}

func slowVersion(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 || s[0] == '+' || len(s) > 19 {
		return 0
	}
	return n
}

// time.Parse is laxer than the forms that networks write: it takes T1:00, several blanks and a comma.
var (
	rfc3339Form = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$`)
	rubyForm    = regexp.MustCompile(`^[A-Za-z]{3} [A-Za-z]{3} \d\d \d\d:\d\d:\d\d [+-]\d{4} \d{4}$`)
)

func slowParseTime(s string) int64 {
	var t time.Time
	var err error
	switch {
	case rfc3339Form.MatchString(s):
		t, err = time.Parse(time.RFC3339, s)
	case rubyForm.MatchString(s):
		t, err = time.Parse("Mon Jan 02 15:04:05 -0700 2006", s)
	default:
		return 0
	}
	if err != nil || t.Year() < 1 {
		return 0
	}
	return t.UnixMilli()
}

type slowDeletion struct {
	id   string
	time int64
}

func slowDeleted(v any, noun string) (d slowDeletion) {
	object, _ := as[tree](v)
	for _, m := range object {
		switch m.key {
		case noun:
			inner, _ := as[tree](m.value)
			slowX(inner) // for its types
			d.id = slowID(inner)
		case "timestamp_ms":
			if milli, valid := slowInt(lastOf(tree{m}, m.key)); valid {
				d.time = milli
			} else {
				d.time = 0
			}
		case "event_at":
			at, _ := m.value.(string)
			d.time = slowParseTime(at)
		}
	}
	return d
}

func slowEnvelope(root tree) []outcome {
	page, isPage := []*says{}, false
	var included []*says
	var ids []string
	for _, m := range root {
		switch m.key {
		case "data":
			page = nil
			var list []any
			if list, isPage = m.value.([]any); !isPage {
				list = []any{m.value}
			}
			for _, element := range list {
				object, _ := as[tree](element)
				page = append(page, slowX(object))
			}
		case "includes":
			included, ids = nil, nil
			object, _ := as[tree](m.value)
			for _, m := range object {
				if m.key != "tweets" && m.key != "posts" {
					continue
				}
				list, _ := as[[]any](m.value)
				for _, element := range list {
					other, _ := as[tree](element)
					x := slowX(other)
					included, ids = append(included, x.counts()), append(ids, x.textID(other, "no included"))
				}
			}
		}
	}
	var outcomes []outcome
	for _, s := range page {
		for i, x := range included {
			if s.repost && (s.original == nil || !s.original.present()) && ids[i] == s.originalID {
				s.original = x
			}
		}
		if isPage && !s.counts().present() && !s.repost {
			panic(errWrongType)
		}
		outcomes = append(outcomes, slowFinish(s))
	}
	if len(page) == 0 {
		outcomes = []outcome{{result: Result{Kind: KindNotice, Notice: "empty page"}}}
	}
	return outcomes
}

// outcome is what a value is, in a form that compares.
type outcome struct {
	result     Result
	source, id string
	alias      string
	time       int64
	text, tags string
	op         Op
	version    int64
	repost     bool
	unmarked   bool // the oracle's: the tags may be in the text
}

// by is what a decoder with its options finds in it.
func (o outcome) by(d *Decoder) outcome {
	if o.unmarked && d.BlueskyText {
		var tags []string
		for tag := range hashtag.ScanBluesky([]byte(o.text)) {
			tags = append(tags, string(tag))
		}
		o.tags = strings.Join(tags, "\x00")
	}
	if o.unmarked = false; !d.Text {
		o.text = ""
	}
	return o
}

func slowDelete(d slowDeletion) outcome {
	if d.id == "" {
		return outcome{result: Result{Kind: KindNotice, Notice: "delete"}}
	}
	return outcome{result: Result{Kind: KindDelete, Notice: "delete"}, source: "x", id: d.id, time: d.time, op: Delete}
}

func slowFinish(s *says) outcome {
	counts := s.counts()
	switch {
	case counts.present() || s.repost:
	case s.deleted:
		return slowDelete(s.deletion)
	case s.compliance:
		return outcome{result: Result{Kind: KindNotice, Notice: "compliance"}}
	default:
		panic(errWrongType)
	}
	o := outcome{result: Result{Kind: KindPost}, source: "x", id: s.id, time: s.time, repost: s.repost}
	if s.hasFirst && s.first != s.id {
		o.op, o.id, o.version = Update, s.first, slowVersion(s.id)
	}
	o.text = slowPlain(counts.text)
	tags := counts.tags
	if !counts.given && (counts != s || !s.repost) {
		for tag := range hashtag.Scan([]byte(o.text)) {
			tags = append(tags, string(tag))
		}
	}
	o.tags = strings.Join(tags, "\x00")
	return o
}

func slowPlain(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		n := 1
		for _, entity := range []string{"&amp;", "&lt;", "&gt;"} {
			if strings.HasPrefix(text, entity) {
				n = len(entity)
			}
		}
		if n > 1 {
			b.WriteString(html.UnescapeString(text[:n]))
		} else {
			b.WriteByte(text[0])
		}
		text = text[n:]
	}
	return b.String()
}

func slowCanonical(root tree) outcome {
	version, _ := last[json.Number](root, "tagtide")
	source, _ := last[string](root, "source")
	id, _ := last[string](root, "id")
	when, hasTime := last[json.Number](root, "time")
	account, _ := last[string](root, "account")
	alias, _ := last[string](root, "alias")
	op, _ := last[string](root, "op")
	repost, _ := last[bool](root, "repost")
	skipped, isSkipped := last[json.Number](root, "skipped")
	reason, _ := last[string](root, "reason")
	var tags []string
	for _, m := range root {
		if m.key == "tags" {
			tags = nil
			list, _ := as[[]any](m.value)
			for _, element := range list {
				tag, present := as[string](element)
				if !present {
					panic(errWrongType)
				}
				tags = append(tags, tag)
			}
		}
	}
	if n, valid := slowInt(version.String()); !valid || n != 1 {
		panic(errWrongType)
	}
	if isSkipped {
		n, valid := slowInt(skipped.String())
		if !valid || n < 1 {
			panic(errWrongType)
		}
		return outcome{result: Result{Kind: KindSkipped, Notice: reason, Skipped: n}}
	}
	milli, valid := slowInt(when.String())
	o := outcome{result: Result{Kind: KindPost}, source: source, id: id, time: milli, repost: repost, tags: strings.Join(tags, "\x00")}
	o.alias = alias
	ops := []string{"create", "update", "delete", "hide", "gone", "back"}
	number, hasVersion := last[json.Number](root, "version")
	o.version = slowVersion(number.String())
	o.op = Op(max(0, slices.Index(ops, op)))
	if source == "" || hasTime && !valid || op != "" && !slices.Contains(ops, op) || o.op >= Gone && account == "" {
		panic(errWrongType)
	}
	switch {
	case o.op >= Gone: // it has no version
		return outcome{result: Result{Kind: KindAccount, Notice: "account " + op}, source: source, id: account, time: milli, op: o.op}
	case hasVersion && o.version == 0:
		panic(errWrongType)
	case o.op == Hide && id == "":
		o.result = Result{Kind: KindNotice, Notice: "hide"}
	case o.op == Hide:
		o.result = Result{Kind: KindDelete, Notice: "hide"}
	case o.op == Delete && id+alias == "":
		o.result = Result{Kind: KindNotice, Notice: "delete"}
	case o.op == Delete:
		o.result = Result{Kind: KindDelete, Notice: "delete"}
	}
	return o
}

func one(o outcome) []outcome { return []outcome{o} }

func slowRoot(root tree) []outcome {
	wrapped := false
	for _, m := range root {
		switch m.key {
		case "tagtide":
			return one(slowCanonical(root))
		case "text", "full_text", "id_str", "entities", "retweeted_status":
			return one(slowFinish(slowX(root)))
		case "data":
			return slowEnvelope(root)
		case "did", "$type", "time_us", "commit":
			return one(slowJetstream(root))
		case "uri", "content", "visibility", "reblog", "spoiler_text":
			return one(slowStatus(root, false))
		case "event", "stream":
			return one(slowMessage(root))
		case "payload":
			if _, is := m.value.(string); is {
				return one(slowMessage(root))
			}
			wrapped = true
		case "delete", "limit", "scrub_geo", "status_withheld", "user_withheld", "disconnect", "warning":
			o := outcome{}
			for _, m := range root {
				switch m.key {
				case "delete":
					o = slowDelete(slowDeleted(m.value, "status"))
				case "limit", "scrub_geo", "status_withheld", "user_withheld", "disconnect", "warning":
					o = outcome{result: Result{Kind: KindNotice, Notice: m.key}}
				}
			}
			return one(o)
		}
	}
	if wrapped {
		return one(slowJetstream(root))
	}
	return one(slowRemark(root))
}

func slowRemark(root tree) (o outcome) {
	for _, m := range root {
		object, _ := m.value.(tree)
		isPage := slices.ContainsFunc(object, func(m member) bool { return m.key == "result_count" })
		switch {
		case m.key == "errors", m.key == "error":
			o.result = Result{Kind: KindNotice, Notice: m.key}
		case m.key == "meta" && isPage && o.result.Kind == 0:
			o.result = Result{Kind: KindNotice, Notice: "empty page"}
		}
	}
	if o.result.Kind == 0 {
		panic(errWrongType)
	}
	return o
}

// slowDecode is Decode of a value that is JSON and UTF-8.
func slowDecode(value []byte) (o []outcome, err error) {
	defer func() {
		if r := recover(); r == errWrongType {
			err = errWrongType
		} else if r != nil {
			panic(r)
		}
	}()
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.UseNumber()
	root, _ := as[tree](readTree(dec))
	return slowRoot(root), nil
}

// depth is how deep the brackets of a JSON value nest.
func depth(value []byte) (deepest int) {
	open, inString := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			open++
			deepest = max(deepest, open)
		case c == '}' || c == ']':
			open--
		}
	}
	return deepest
}

func outcomeOf(result Result, p *Post) outcome {
	return outcome{result, p.Source, string(p.ID), string(p.Alias), p.Time, string(p.Text), string(bytes.Join(p.Tags, []byte{0})), p.Op, p.Version, p.Repost, false}
}

func checkDecode(t *testing.T, d *Decoder, value []byte) {
	t.Helper()
	before := bytes.Clone(value)
	var p Post
	result, err := d.Decode(value, &p)
	if !bytes.Equal(value, before) {
		t.Fatalf("%q: the value was changed", before)
	}
	inner := value
	if trimmed := bytes.TrimLeft(value, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '"' {
		var s string
		if json.Unmarshal(value, &s) == nil {
			inner = []byte(s)
		}
	}
	if !json.Valid(value) || !utf8.Valid(value) || !json.Valid(inner) || depth(inner) > maxDepth {
		if err == nil {
			t.Fatalf("%q: no error", value)
		}
		return
	}
	want, wrong := slowDecode(inner)
	if (err != nil) != (wrong != nil) {
		t.Fatalf("%q: error %v, want %v", value, err, wrong)
	}
	if err != nil {
		return
	}
	got := []outcome{outcomeOf(result, &p)}
	for q := (Post{}); d.Next(&q); {
		got = append(got, outcomeOf(Result{Kind: KindPost}, &q))
	}
	for i := range want {
		want[i] = want[i].by(d)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%q:\n got %+v\nwant %+v", value, got, want)
	}
	d.Decode(value, &p)
	again, err := d.Decode(Append(nil, &p), &Post{})
	if result.Kind != KindNotice && result.Kind != KindSkipped && (err != nil || again != result) {
		t.Fatalf("%q: written and read again %+v, %v", value, again, err)
	}
}
