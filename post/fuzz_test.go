package post

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tagtide/tagtide/hashtag"
)

// seeds are sound values of every format.
func seeds(t testing.TB) [][]byte {
	var all [][]byte
	for _, file := range []string{"twitter_v1_1.jsonl", "x_v2_filtered_stream.ndjson", "jetstream_v1.jsonl", "jetstream_v2.jsonl", "mastodon_ws.jsonl", "mastodon_statuses.jsonl"} {
		all = append(all, lines(t, file)...)
	}
	for _, value := range typical {
		all = append(all, []byte(value))
	}
	for _, value := range []string{
		`{"tagtide":1,"source":"else\u0022where","id":"\n","time":-1,"op":"delete","tags":["a","\ud83d\ude00"],"repost":true}`,
		`{"tagtide":1,"skipped":17,"reason":"track"}`,
		`{"tagtide":1,"source":"x","id":"1","time":1,"op":"hide","version":1900000000000000004,"tags":["a"]}`,
		`{"id":"1","text":"#a","referenced_posts":[{"type":"retweeted","id":"2","text":"&lt;#b"}],"edit_history_post_ids":["0","1"]}`,
		`{"data":{"id":"1","referenced_tweets":[{"type":"retweeted","id":"2"}]},"includes":{"posts":[{"id":"2","note_post":{"text":"#b"}}]}}`,
		`{"data":{"delete":{"tweet":{"id":"1"}},"user_suspend":{},"withheld":{}}}`,
		`{"id":1.5e3,"timestamp_ms":15,"created_at":"2026-08-20T10:00:00.123456+02:00","full_text":"x"}`,
		`"{\"text\":\"#\\u00e9\"}"`,
		`{"data":[{"id":"3","referenced_tweets":[{"type":"retweeted","id":"1"}]},{"id":"4","text":"#b","edit_history_post_ids":["2","4"]}],"includes":{"tweets":[{"id":"2","text":"#x"},{"id":"1","text":"#a"}]},"meta":{"result_count":2}}`,
		`{"meta":{"result_count":0}}`,
		`{"uri":"u/2","id":"2","visibility":"public","created_at":"2026-08-20T10:00:00.000Z","reblog":{"uri":"u/1","visibility":"public","content":"\u003cp\u003eA &amp; #\u003cspan\u003eB\u003c/span\u003e&#39;&#x1F600; &nbsp;<br><a title=\"x>y\">#C_d</a> 1 < 2 <b","tags":[{"name":"c_d"},{"name":"e"},{"name":"b"}]}}`,
		`{"id":1,"uri":"u","content":"<div>#a</div><h2>#B</h2>#c &#128; &bogus; &#0;","edited_at":"2026-08-20T10:05:00.000Z"}`,
		`{"event":"status.update","payload":{"uri":"u","tags":[]}}`,
		`{"event":"delete","payload":12}`,
		`{"stream":["user"],"event":"notification","payload":"{}"}`,
		`{"$type":"#account","did":"did:plc:a","time":"2026-08-20T10:00:06.000006Z","account":{"active":true}}`,
		`{"did":"did:plc:a","time_us":1787220000000006,"kind":"account","account":{"active":false,"status":"deactivated"}}`,
		`{"payload":{"$type":"x#commit","did":"d\n","operation":"create","collection":"app.bsky.feed.post","rkey":"r","record":{"tags":[" #a ","$AAPL",7,"#️⃣b","＃# c","＄D"],"facets":[{"features":[{"tag":"C","$type":"app.bsky.richtext.facet#tag"},{"$type":"app.bsky.richtext.facet#link"}]},null],"text":"#d"}},"$type":"message"}`,
		`{"payload":{"$type":"x#commit","did":"d","operation":"delete","collection":"app.bsky.feed.like","rkey":"r"}}`,
	} {
		all = append(all, []byte(value))
	}
	return all
}

// mutate changes a value somewhere: a part of it is left out, doubled, moved, or replaced by a part of another.
func mutate(r *rand.Rand, value, other []byte) []byte {
	i, j := r.IntN(len(value)+1), r.IntN(len(value)+1)
	if i > j {
		i, j = j, i
	}
	m, n := r.IntN(len(other)+1), r.IntN(len(other)+1)
	if m > n {
		m, n = n, m
	}
	switch r.IntN(4) {
	case 0:
		return slices.Concat(value[:i], value[j:])
	case 1:
		return slices.Concat(value[:j], value[i:])
	case 2:
		return slices.Concat(value[:i], other[m:n], value[j:])
	}
	return swap(r, value)
}

// swap puts another token in the place of one, so that the value mostly stays JSON.
func swap(r *rand.Rand, value []byte) []byte {
	tokens := []string{`"text"`, `"tag"`, `"id"`, `"id_str"`, `"full_text"`, `"entities"`, `"hashtags"`, `"extended_tweet"`, `"type"`,
		`"retweeted_status"`, `"data"`, `"uri"`, `"content"`, `"event"`, `"update"`, `"payload"`, `"record"`, `"kind"`, `"$type"`, `"app.bsky.feed.post"`,
		`"name"`, `"visibility"`, `"facets"`, `"tags"`, `"did"`, `"commit"`, `"account"`, `"<p>#<span>X</span>&lt;"`, `[{"name":"x"}]`, `"includes"`, `"posts"`, `"delete"`, `"tagtide"`, `"time"`, `"retweeted"`, `12`, `-1`, `1e5`, `null`,
		`true`, `[]`, `{}`, `"#x"`, `"\ud800"`, `"2026-02-30T00:00:00Z"`, `[{"text":"q"}]`, `{"hashtags":[{"tag":"z"}]}`, `{"text":"#y"}`}
	var places [][2]int
	for i := 0; i < len(value); i++ {
		if value[i] == '"' {
			if end := bytes.IndexByte(value[i+1:], '"'); end >= 0 {
				places = append(places, [2]int{i, i + end + 2})
				i += end + 1
			}
		} else if '0' <= value[i] && value[i] <= '9' {
			places = append(places, [2]int{i, i + 1})
		}
	}
	if len(places) == 0 {
		return value
	}
	place := places[r.IntN(len(places))]
	return slices.Concat(value[:place[0]], []byte(tokens[r.IntN(len(tokens))]), value[place[1]:])
}

func TestDecodeAgreesWithEncodingJSON(t *testing.T) {
	all := seeds(t)
	r := rand.New(rand.NewPCG(1, 2))
	decoders := []*Decoder{{Text: true}, {}, {BlueskyText: true}}
	for i := range 40_000 {
		value := all[r.IntN(len(all))]
		for range r.IntN(4) {
			value = mutate(r, value, all[r.IntN(len(all))])
		}
		checkDecode(t, decoders[i%len(decoders)], value)
	}
}

// What means something in a string is found at whatever place of whatever length, in keys, in what is read, in what is
// skipped, and in a value that stands in a string.
func TestDecodeAgreesWithEncodingJSONOnStrings(t *testing.T) {
	specials := []string{`\"`, `\\`, `\n`, `\u00e9`, `\ud83d\ude00`, `\ud83d`, `\ud83d\n`, "é", "\x7f", "\x1f", "\x00", "\xff", `\x`, `\u12`, `"`, `\`}
	d := &Decoder{Text: true}
	for length := range 20 {
		for at := range length + 1 {
			for _, special := range specials {
				said := strings.Repeat("x", at) + special + strings.Repeat("y", length-at)
				checkDecode(t, d, []byte(`{"tagtide":1,"source":"x","id":"`+said+`"}`))
				checkDecode(t, d, []byte(`{"tagtide":1,"source":"x","`+said+`":["`+said+`",{"`+said+`":0}]}`))
				checkDecode(t, d, []byte(`{"uri":"u","content":"`+said+`"}`))
				checkDecode(t, d, []byte(`"{\"text\":\"`+said+`\"}"`))
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		for _, d := range []Decoder{{Text: true}, {}, {Text: true, BlueskyText: true}} {
			checkDecode(t, &d, value)
		}
	})
}

// FuzzCanonical writes posts of all sorts and reads them again.
func FuzzCanonical(f *testing.F) {
	f.Add("x", "12", "host/7", int64(1585915200000), "COVID19\x00a\"\\\n", uint8(0), int64(0), true)
	f.Add("é", "", "host/7", int64(-1), "", uint8(2), int64(0), false)
	f.Add("x", "42", "", int64(-1), "", uint8(3), int64(math.MaxInt64), false)
	f.Add("x", "42", "", int64(-1), "", uint8(4), int64(0), false)
	f.Fuzz(func(t *testing.T, source, id, alias string, milli int64, tags string, op uint8, version int64, repost bool) {
		const longest = 999_999_999_999_999_999 // ms, some 30 million years
		p := Post{Source: "s" + source, ID: []byte(id), Alias: []byte(alias), Time: milli % longest, Op: Op(op % 6), Version: max(version, 0), Repost: repost}
		if p.Op >= Gone { // an account has an id, and nothing of a post's
			p.ID, p.Alias, p.Version, p.Repost, tags = []byte("a"+id), nil, 0, false, ""
		}
		for tag := range strings.SplitSeq(tags, "\x00") {
			if p.Op < Gone {
				p.Tags = append(p.Tags, []byte(tag))
			}
		}
		var d Decoder
		var got Post
		if _, err := d.Decode(Append(nil, &p), &got); err != nil {
			t.Fatal(err)
		}
		valid := func(s []byte) string { return string([]rune(string(s))) }
		if got.Source != valid([]byte(p.Source)) || string(got.ID) != valid(p.ID) || string(got.Alias) != valid(p.Alias) || got.Time != p.Time || got.Op != p.Op || got.Version != p.Version || got.Repost != p.Repost {
			t.Fatalf("%+v, want %+v", got, p)
		}
		if !slices.EqualFunc(got.Tags, p.Tags, func(a, b []byte) bool { return string(a) == valid(b) }) {
			t.Fatalf("%q, want %q", got.Tags, p.Tags)
		}
	})
}

// FuzzUses folds and removes repetitions, as the definition says.
func FuzzUses(f *testing.F) {
	f.Add("a\x00A\x00b\x00ａ")
	f.Add("#go\x00 go \x00＃ # go\x00#\x00C#\x00#️⃣go\x00\u00a8go")
	f.Add(strings.Repeat("a\x00b\x00c\x00d\x00e\x00f\x00g\x00h\x00i\x00j\x00k\x00l\x00m\x00n\x00o\x00p\x00q\x00r\x00s\x00t\x00u\x00v\x00", 2))
	f.Fuzz(func(t *testing.T, text string) {
		var p Post
		var want []string
		for tag := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == 0 }) {
			p.Tags = append(p.Tags, []byte(tag))
			if key := hashtag.Key(tag); key != "" && !slices.Contains(want, key) {
				want = append(want, key)
			}
		}
		var u Uses
		for range 2 {
			var got []string
			for _, use := range u.Of(&p) {
				got = append(got, string(use.Key))
				if hashtag.Key(string(use.Spelling)) != string(use.Key) {
					t.Fatalf("%q is spelled %q", use.Key, use.Spelling)
				}
				if key := hashtag.Key(string(use.Key)); key != string(use.Key) {
					t.Fatalf("who asks for %q is told of %q", use.Key, key)
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%q, want %q", got, want)
			}
		}
	})
}
