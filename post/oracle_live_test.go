package post

import (
	"encoding/json"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tagtide/tagtide/hashtag"
)

// The oracle for what live networks send, see oracle_test.go.

// slowEvent is an event of Jetstream, all of it in one object: the members of the payload and of the commit are
// its own, in the order in which they stand.
func slowEvent(root tree, inner bool) (all tree) {
	for _, m := range root {
		switch {
		case m.key == "payload":
			object, _ := as[tree](m.value)
			all = append(all, slowEvent(object, true)...)
		case m.key == "commit":
			object, _ := as[tree](m.value)
			for _, m := range object {
				switch m.key {
				case "operation", "collection", "rkey", "record":
					all = append(all, m)
				}
			}
		case m.key == "account":
			object, _ := as[tree](m.value)
			for _, m := range object {
				switch m.key {
				case "active", "status":
					all = append(all, member{"account " + m.key, m.value})
				}
			}
		case m.key == "$type" && inner:
			all = append(all, member{"kind", m.value})
		default:
			all = append(all, m)
		}
	}
	return all
}

func slowJetstream(root tree) outcome {
	all := slowEvent(root, false)
	frame, _ := last[string](all, "$type")
	kind, _ := last[string](all, "kind")
	did, _ := last[string](all, "did")
	name, _ := last[string](all, "name", "error")
	for _, key := range []string{"operation", "collection", "rkey"} {
		last[string](all, key) // for their types
	}
	active, said := last[bool](all, "account active")
	status, _ := last[string](all, "account status")
	if kind == "" {
		kind = frame
	}
	_, behind, found := strings.Cut(kind, "#")
	if found {
		kind = behind
	}
	o := outcome{source: "bluesky"}
	if micro, valid := slowInt(lastOf(all, "time_us")); valid {
		o.time = micro / 1000
	} else {
		for _, m := range all {
			if m.key == "time" {
				at, _ := m.value.(string)
				o.time = slowParseTime(at)
			}
		}
	}
	notice := func(name string) outcome {
		o.result = Result{Kind: KindNotice, Notice: name}
		return o
	}
	switch kind {
	case "":
		panic(errWrongType)
	case "commit":
		return slowCommit(all, did, o)
	case "account":
		switch {
		case active:
			o.op, o.result = Back, Result{Kind: KindAccount, Notice: "account back"}
		case said && (status == "takendown" || status == "suspended" || status == "deleted"):
			o.op, o.result = Gone, Result{Kind: KindAccount, Notice: "account gone"}
		default:
			return notice("account")
		}
		if o.id = did; did == "" {
			panic(errWrongType)
		}
	default:
		if name != "" {
			kind = name
		}
		return notice(slowName(kind))
	}
	return o
}

// slowCommit is what became of a post, o if it were a notice.
func slowCommit(all tree, did string, o outcome) outcome {
	operation, _ := last[string](all, "operation")
	collection, _ := last[string](all, "collection")
	rkey, _ := last[string](all, "rkey")
	ops := []string{"create", "update", "delete"}
	switch {
	case collection != "app.bsky.feed.post":
		o.result = Result{Kind: KindNotice, Notice: "other collection"}
		return o
	case !slices.Contains(ops, operation):
		o.result = Result{Kind: KindNotice, Notice: "commit"}
		return o
	case did == "" || rkey == "":
		panic(errWrongType)
	}
	o.id, o.op = "at://"+did+"/app.bsky.feed.post/"+rkey, Op(slices.Index(ops, operation))
	if o.op == Delete {
		o.result = Result{Kind: KindDelete, Notice: "delete"}
		return o
	}
	o.result = Result{Kind: KindPost}
	o.text, o.tags, o.unmarked = slowRecord(all)
	return o
}

func slowName(name string) string {
	if len(name) > 64 {
		return "other"
	}
	return name
}

// slowRecord is the text and the hashtags of the last record, and whether it has neither list.
func slowRecord(all tree) (text, tags string, unmarked bool) {
	var record tree
	for _, m := range all {
		if m.key == "record" {
			record, _ = m.value.(tree)
		}
	}
	if record == nil {
		panic(errWrongType)
	}
	var marked, listed []string
	var hasFacets, hasTags bool
	for _, m := range record {
		switch m.key {
		case "text":
			text, _ = m.value.(string)
		case "facets":
			marked = nil
			var facets []any
			facets, hasFacets = m.value.([]any)
			for _, facet := range facets {
				object, _ := facet.(tree)
				for _, m := range object {
					if features, _ := m.value.([]any); m.key == "features" {
						marked = append(marked, slowFeatures(features)...)
					}
				}
			}
		case "tags":
			listed = nil
			var list []any
			list, hasTags = m.value.([]any)
			for _, tag := range list {
				if tag, is := tag.(string); is {
					listed = append(listed, tag)
				}
			}
		}
	}
	var kept []string
	for _, tag := range append(marked, listed...) {
		for stop := false; !stop; {
			stop, tag = true, strings.TrimSpace(tag)
			for _, sign := range []string{"#", "＃", "﹟"} {
				rest, found := strings.CutPrefix(tag, sign)
				if found && !strings.HasPrefix(rest, "\uFE0F") && !strings.HasPrefix(rest, "\u20E3") {
					stop, tag = false, rest
				}
			}
		}
		if tag != "" && !strings.HasPrefix(tag, "$") && !strings.HasPrefix(tag, "＄") && len(tag) <= 640 {
			kept = append(kept, tag)
		}
	}
	return text, strings.Join(kept, "\x00"), !hasFacets && !hasTags
}

func slowFeatures(features []any) (tags []string) {
	for _, feature := range features {
		object, _ := feature.(tree)
		var kind, tag any
		for _, m := range object {
			switch m.key {
			case "$type":
				kind = m.value
			case "tag":
				tag = m.value
			}
		}
		if tag, is := tag.(string); is && kind == "app.bsky.richtext.facet#tag" {
			tags = append(tags, tag)
		}
	}
	return tags
}

func slowMessage(root tree) outcome {
	name, _ := last[string](root, "event")
	var payload any
	for _, m := range root {
		if m.key == "payload" {
			payload = m.value
		}
	}
	known := name == "update" || name == "status.update"
	switch payload := payload.(type) {
	case string:
		if known {
			if !json.Valid([]byte(payload)) || depth([]byte(payload)) > maxDepth {
				panic(errWrongType)
			}
			status, _ := as[tree](readTree(useNumber(payload)))
			return slowStatus(status, name != "update")
		}
		if name == "delete" {
			return slowAlias(payload)
		}
	case tree:
		if known {
			return slowStatus(payload, name != "update")
		}
	case json.Number:
		if name == "delete" {
			return slowAlias(payload.String())
		}
	}
	if known || name == "delete" {
		panic(errWrongType)
	}
	return outcome{result: Result{Kind: KindNotice, Notice: slowName(name)}}
}

func useNumber(value string) *json.Decoder {
	dec := json.NewDecoder(strings.NewReader(value))
	dec.UseNumber()
	return dec
}

func slowAlias(id string) outcome {
	id = strings.TrimSpace(id)
	if id == "" || len(id) > 128 || regexp.MustCompile("[\\x00- \"{\\x{FFFD}]").MatchString(id) || !utf8.ValidString(id) {
		panic(errWrongType)
	}
	return outcome{result: Result{Kind: KindDelete, Notice: "delete"}, source: "mastodon", alias: id, op: Delete}
}

// slowToot is what counts of a status.
type slowToot struct {
	text    string
	tags    []string
	given   bool
	present bool
	public  bool
}

func slowTootOf(object tree) (t slowToot) {
	content, said := last[string](object, "content")
	visibility, restricted := last[string](object, "visibility")
	t.text, t.present = slowHTML(content), said
	t.public = !restricted || visibility == "public"
	for _, m := range object {
		if m.key != "tags" {
			continue
		}
		list, present := as[[]any](m.value)
		t.tags, t.given = nil, present
		for _, element := range list {
			object, _ := as[tree](element)
			if object == nil {
				panic(errWrongType)
			}
			name, present := last[string](object, "name")
			if !present {
				panic(errWrongType)
			}
			t.tags = append(t.tags, name)
		}
	}
	t.present = t.present || t.given
	for _, key := range []string{"uri", "created_at", "edited_at"} {
		last[string](object, key) // for their types
	}
	for _, m := range object {
		if m.key == "reblog" {
			if inner, present := as[tree](m.value); present {
				slowTootOf(inner)
			}
		}
	}
	return t
}

func slowStatus(root tree, edited bool) outcome {
	if root == nil {
		panic(errWrongType)
	}
	says, original, reblog := slowTootOf(root), slowToot{}, false
	for _, m := range root {
		if m.key == "reblog" {
			original = slowToot{}
			var inner tree
			if inner, reblog = as[tree](m.value); reblog {
				original = slowTootOf(inner)
			}
		}
	}
	counts := says
	if reblog {
		counts = original
	}
	if !says.public || !counts.public {
		return outcome{result: Result{Kind: KindNotice, Notice: "not public"}}
	}
	if !counts.present && !reblog {
		panic(errWrongType)
	}
	o := outcome{result: Result{Kind: KindPost}, source: "mastodon", repost: reblog, text: counts.text}
	o.id, _ = last[string](root, "uri")
	o.alias = slowID(slices.DeleteFunc(slices.Clone(root), func(m member) bool { return m.key == "id_str" }))
	created, _ := last[string](root, "created_at")
	o.time = slowParseTime(created)
	if at, said := last[string](root, "edited_at"); said || edited {
		if o.op = Update; slowParseTime(at) != 0 {
			o.time = slowParseTime(at)
		}
	}
	o.tags = strings.Join(slowSpelled(counts), "\x00")
	return o
}

func slowSpelled(t slowToot) (tags []string) {
	var found []string
	for tag := range hashtag.ScanMastodon([]byte(t.text)) {
		found = append(found, string(tag))
	}
	if !t.given {
		return found
	}
	for _, name := range t.tags {
		spelled := name
		for _, tag := range found[:min(len(found), 64)] {
			if key := hashtag.Key(tag); key != "" && key == hashtag.Key(name) {
				spelled = tag
				break
			}
		}
		tags = append(tags, spelled)
	}
	return tags
}

var (
	htmlTagForm  = regexp.MustCompile(`(?s)^<(?:/?([a-zA-Z]+)|/?!)(?:[^>"']|"[^"]*"|'[^']*')*>`)
	htmlTagStart = regexp.MustCompile(`^<(?:/?[a-zA-Z]|/?!)`)
	htmlInline   = regexp.MustCompile(`^(?:a|span|b|strong|i|em|u|s|del|ins|code|small|sub|sup|wbr|bdi|bdo|abbr|mark|q|)$`)
	htmlRefForm  = regexp.MustCompile(`^&(?:amp|lt|gt|quot|apos|nbsp|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});`)
)

func slowHTML(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		if tag := htmlTagForm.FindStringSubmatch(text); tag != nil {
			if !htmlInline.MatchString(tag[1]) {
				b.WriteByte('\n')
			}
			text = text[len(tag[0]):]
			continue
		}
		if htmlTagStart.MatchString(text) {
			return b.String() + text
		}
		if ref := htmlRefForm.FindString(text); ref != "" {
			if r := slowReference(ref); r != "" {
				b.WriteString(r)
				text = text[len(ref):]
				continue
			}
		}
		b.WriteByte(text[0])
		text = text[1:]
	}
	return b.String()
}

// slowReference is the character, empty if there is none.
func slowReference(ref string) string {
	number, is := strings.CutPrefix(strings.TrimSuffix(ref, ";"), "&#")
	if !is {
		return html.UnescapeString(ref)
	}
	base := 10
	if number[0] == 'x' || number[0] == 'X' {
		number, base = number[1:], 16
	}
	r, err := strconv.ParseInt(number, base, 32)
	if err != nil || r == 0 || !utf8.ValidRune(rune(r)) {
		return ""
	}
	return string(rune(r))
}
