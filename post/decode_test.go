package post

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// lines are the lines of a file in testdata that are not blank.
func lines(t testing.TB, file string) [][]byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(bytes.Split(data, []byte("\n")), func(line []byte) bool {
		return len(bytes.TrimSpace(line)) == 0
	})
}

// decode decodes one value, which must be sound.
func decode(t *testing.T, value string) (Post, Result) {
	t.Helper()
	d := Decoder{Text: true}
	var p Post
	result, err := d.Decode([]byte(value), &p)
	if err != nil {
		t.Fatalf("%s: %v", value, err)
	}
	return p, result
}

func tagsOf(p *Post) []string {
	tags := []string{}
	for _, tag := range p.Tags {
		tags = append(tags, string(tag))
	}
	return tags
}

// Each case is one turn of the rules about which text and which hashtags count.
var decodeCases = map[string]struct {
	value string
	want  Post
	tags  []string
}{
	"v1.1": {
		`{"created_at":"Fri Apr 03 12:00:00 +0000 2020","id":12,"id_str":"12","text":"a &amp; #b","entities":{"hashtags":[{"text":"B","indices":[4,6]}]},"timestamp_ms":"1585915200123"}`,
		Post{Source: "x", ID: []byte("12"), Time: 1585915200123, Text: []byte("a & #b")}, []string{"B"},
	},
	"v1.1 without a list": {
		`{"created_at":"Fri Apr 03 12:00:00 +0000 2020","id_str":"12","text":"&lt;#b&gt; #\u00e9 &amp;#c"}`,
		Post{Source: "x", ID: []byte("12"), Time: 1585915200000, Text: []byte("<#b> #é &#c")}, []string{"b", "é"},
	},
	"v1.1, the list is empty": {
		`{"id_str":"12","text":"#b","entities":{"hashtags":[]}}`,
		Post{Source: "x", ID: []byte("12"), Text: []byte("#b")}, []string{},
	},
	"v1.1, entities without a list": {
		`{"id_str":"12","text":"#b","entities":{"urls":[]}}`,
		Post{Source: "x", ID: []byte("12"), Text: []byte("#b")}, []string{"b"},
	},
	"v1.1, long": {
		`{"id_str":"12","text":"#a…","truncated":true,"entities":{"hashtags":[{"text":"a"}]},"extended_tweet":{"full_text":"#a #b","entities":{"hashtags":[{"text":"a"},{"text":"b"}]}}}`,
		Post{Source: "x", ID: []byte("12"), Text: []byte("#a #b")}, []string{"a", "b"},
	},
	"v1.1, extended mode": {
		`{"full_text":"#b","text":"#a","id_str":"12"}`,
		Post{Source: "x", ID: []byte("12"), Text: []byte("#b")}, []string{"b"},
	},
	"v1.1, retweet of a long one": {
		`{"retweeted_status":{"id_str":"11","text":"#a…","extended_tweet":{"full_text":"#a #b"}},"id_str":"12","text":"RT #a…","entities":{"hashtags":[{"text":"c"}]}}`,
		Post{Source: "x", ID: []byte("12"), Text: []byte("#a #b"), Repost: true}, []string{"a", "b"},
	},
	"v1.1, quote": {
		`{"id_str":"12","text":"#a","quoted_status":{"id_str":"11","text":"#b","entities":{"hashtags":[{"text":"b"}]}}}`,
		Post{Source: "x", ID: []byte("12"), Text: []byte("#a")}, []string{"a"},
	},
	"v1.1, nothing but null": {
		`{"id_str":"12","text":"#a","extended_tweet":null,"retweeted_status":null,"entities":null,"full_text":null,"timestamp_ms":null}`,
		Post{Source: "x", ID: []byte("12"), Text: []byte("#a")}, []string{"a"},
	},
	"v1.1, id in digits": {
		`{"id":12345678901234567890123,"text":""}`,
		Post{Source: "x", ID: []byte("12345678901234567890123")}, []string{},
	},
	"v1.1, id rounded": {`{"id":1.2e18,"text":""}`, Post{Source: "x"}, []string{}},
	"v1.1, the last of two keys counts": {
		`{"text":"#a","text":"#b","extended_tweet":{"full_text":"#c"},"extended_tweet":null}`,
		Post{Source: "x", Text: []byte("#b")}, []string{"b"},
	},
	"v2, the last of two keys counts, also if it is null": {
		`{"text":"#b","entities":{"hashtags":[{"tag":"a"}]},"entities":null,"referenced_tweets":[{"type":"retweeted","id":"1"}],"referenced_tweets":null}`,
		Post{Source: "x", Text: []byte("#b")}, []string{"b"},
	},
	"a key with escapes": {`{"\u0074ext":"#a"}`, Post{Source: "x", Text: []byte("#a")}, []string{"a"}},
	"v2": {
		`{"data":{"id":"12","text":"#a","created_at":"2026-08-20T10:00:00.500Z","edit_history_tweet_ids":["12"],"entities":{"hashtags":[{"start":0,"end":2,"tag":"a"}]}},"matching_rules":[{"id":"1"}]}`,
		Post{Source: "x", ID: []byte("12"), Time: 1787220000500, Text: []byte("#a")}, []string{"a"},
	},
	"v2, long, in the spelling of 2026": {
		`{"data":{"id":"12","text":"cut…","note_post":{"text":"#a","entities":{"hashtags":[{"tag":"A"}]}}}}`,
		Post{Source: "x", ID: []byte("12"), Text: []byte("#a")}, []string{"A"},
	},
	"v2, repost, the original first": {
		`{"includes":{"users":[{"id":"11"}],"posts":[{"id":"10","text":"#x"},{"id":"11","text":"#a #b"}]},"data":{"id":"12","text":"RT #a…","referenced_posts":[{"type":"quoted","id":"10"},{"type":"retweeted","id":"11"}],"entities":{"hashtags":[]}}}`,
		Post{Source: "x", ID: []byte("12"), Text: []byte("#a #b"), Repost: true}, []string{"a", "b"},
	},
	"v2, repost without the original": {
		`{"data":{"id":"12","text":"RT #a #b…","referenced_tweets":[{"type":"retweeted","id":"11"}],"entities":{"hashtags":[{"tag":"a"}]}}}`,
		Post{Source: "x", ID: []byte("12"), Text: []byte("RT #a #b…"), Repost: true}, []string{"a"},
	},
	"v2, repost without the original and without a list": {
		`{"data":{"id":"12","text":"RT #a #b…","referenced_tweets":[{"type":"retweeted","id":"11"}]}}`,
		Post{Source: "x", ID: []byte("12"), Text: []byte("RT #a #b…"), Repost: true}, []string{},
	},
	"v2, quote and reply": {
		`{"includes":{"tweets":[{"id":"11","text":"#b"}]},"data":{"id":"12","text":"#a","referenced_tweets":[{"type":"quoted","id":"11"},{"type":"replied_to","id":"11"}]}}`,
		Post{Source: "x", ID: []byte("12"), Text: []byte("#a")}, []string{"a"},
	},
	"v2, edited": {
		`{"data":{"id":"12","text":"#a","edit_history_tweet_ids":["11","12"]}}`,
		Post{Source: "x", ID: []byte("11"), Text: []byte("#a"), Op: Update, Version: 12}, []string{"a"},
	},
	"v2, with errors": {
		`{"errors":[{"title":"Not Found Error"}],"data":{"id":"12","text":"#a"}}`,
		Post{Source: "x", ID: []byte("12"), Text: []byte("#a")}, []string{"a"},
	},
	"v2, flattened repost": {
		`{"id":"12","created_at":"2026-08-20T10:00:00Z","text":"RT #a…","referenced_tweets":[{"type":"retweeted","id":"11","text":"#a #b"}]}`,
		Post{Source: "x", ID: []byte("12"), Time: 1787220000000, Text: []byte("#a #b"), Repost: true}, []string{"a", "b"},
	},
	"JSON in a string": {
		`"{\"id_str\":\"12\",\"text\":\"\\u00e9 #\u00e9\"}"`,
		Post{Source: "x", ID: []byte("12"), Text: []byte("é #é")}, []string{"é"},
	},
	"canonical": {
		`{"tagtide":1,"source":"bluesky","id":"at://x","time":-1,"op":"update","tags":["a","A\n"],"repost":true}`,
		Post{Source: "bluesky", ID: []byte("at://x"), Time: -1, Op: Update, Repost: true}, []string{"a", "A\n"},
	},
	"canonical, in another order and with news": {
		` { "tags" : [ "a" ] , "id" : "1" , "news" : {} , "source" : "elsewhere" , "tagtide" : 1 } `,
		Post{Source: "elsewhere", ID: []byte("1")}, []string{"a"},
	},
	"canonical, as little as there can be": {`{"tagtide":1,"source":"x"}`, Post{Source: "x"}, []string{}},
}

func TestDecodePosts(t *testing.T) {
	for name, c := range decodeCases {
		t.Run(name, func(t *testing.T) {
			got, result := decode(t, c.value)
			if result != (Result{Kind: KindPost}) {
				t.Errorf("is %v", result)
			}
			if got.Source != c.want.Source || !bytes.Equal(got.ID, c.want.ID) || got.Time != c.want.Time ||
				!bytes.Equal(got.Text, c.want.Text) || got.Op != c.want.Op || got.Repost != c.want.Repost {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			if tags := tagsOf(&got); !slices.Equal(tags, c.tags) {
				t.Errorf("tags %q, want %q", tags, c.tags)
			}
		})
	}
}

func TestDecodeNotices(t *testing.T) {
	for value, want := range map[string]Result{
		`{"limit":{"track":1234,"timestamp_ms":"1585915204000"}}`:             {Kind: KindNotice, Notice: "limit"},
		`{"scrub_geo":{"user_id":1}}`:                                         {Kind: KindNotice, Notice: "scrub_geo"},
		`{"status_withheld":{"id":1}}`:                                        {Kind: KindNotice, Notice: "status_withheld"},
		`{"user_withheld":{"id":1}}`:                                          {Kind: KindNotice, Notice: "user_withheld"},
		`{"disconnect":{"code":4,"reason":""}}`:                               {Kind: KindNotice, Notice: "disconnect"},
		`{"warning":{"code":"FALLING_BEHIND"}}`:                               {Kind: KindNotice, Notice: "warning"},
		`{"delete":{"status":{"id":12}}}`:                                     {Kind: KindDelete, Notice: "delete"},
		`{"delete":{"status":{"id":1.2e18}}}`:                                 {Kind: KindNotice, Notice: "delete"},
		`{"delete":{"status":{"id":12,"id_str":"12"},"timestamp_ms":"1"}}`:    {Kind: KindDelete, Notice: "delete"},
		`{"errors":[{"title":"operational-disconnect"}]}`:                     {Kind: KindNotice, Notice: "errors"},
		`{"data":{"delete":{"tweet":{"id":"12","author_id":"1"}}}}`:           {Kind: KindDelete, Notice: "delete"},
		`{"data":{"withheld":{"tweet":{"id":"12"}}}}`:                         {Kind: KindNotice, Notice: "compliance"},
		`{"data":{"user_suspend":{"user":{"id":"12"}}}}`:                      {Kind: KindNotice, Notice: "compliance"},
		`{"tagtide":1,"source":"x","id":"12","op":"delete"}`:                  {Kind: KindDelete, Notice: "delete"},
		`{"tagtide":1,"source":"x","op":"delete"}`:                            {Kind: KindNotice, Notice: "delete"},
		`{"tagtide":1,"source":"x","alias":"12","op":"hide"}`:                 {Kind: KindNotice, Notice: "hide"},
		`{"tagtide":1,"skipped":17,"reason":"track"}`:                         {Kind: KindSkipped, Notice: "track", Skipped: 17},
		`{"tagtide":1,"skipped":999999999999999999}`:                          {Kind: KindSkipped, Skipped: 999999999999999999},
		`"{\"delete\":{\"status\":{\"id_str\":\"12\"},\"timestamp_ms\":1}}" `: {Kind: KindDelete, Notice: "delete"},
	} {
		p, got := decode(t, value)
		if got != want {
			t.Errorf("%s is %+v, want %+v", value, got, want)
		}
		if got.Kind == KindDelete && (p.Source != "x" || string(p.ID) != "12" || p.Op != Delete || len(p.Tags) > 0) {
			t.Errorf("%s deletes %+v", value, p)
		}
	}
}

func TestDecodeErrorsSayWhatAndWhere(t *testing.T) {
	deep := strings.Repeat(`[`, 100) + strings.Repeat(`]`, 100)
	for value, want := range map[string]Error{
		``:                                 {"the value ends where a value should be", 0},
		` 12`:                              {"the value is a number where an object belongs", 1},
		`{"text":"x`:                       {"the value ends inside a string", 10},
		`{"text":"x"`:                      {"the value ends where a comma or } should be", 11},
		`{"text":"x"}}`:                    {"not JSON, something follows the value", 12},
		`{"text":"x",}`:                    {"not JSON, a key in quotes should be", 12},
		`{"text" "x"}`:                     {"not JSON, a colon should be", 8},
		"{\"text\":\"x\n\"}":               {"not JSON, control character in a string", 10},
		`{"text":"\x"}`:                    {"not JSON, unknown escape in a string", 9},
		`{"text":"\u12g4"}`:                {"not JSON, unknown escape in a string", 9},
		`{"text":nul}`:                     {"not JSON, null should be", 11},
		`{"a":01,"text":""}`:               {"not JSON, a comma or } should be", 6},
		`{"a":-,"text":""}`:                {"not JSON, a value should be", 6},
		`{"text":"x","user":{"a":[1,}}}`:   {"not JSON, a value should be", 27},
		"{\"text\":\"\xff\"}":              {"not UTF-8", 9},
		`{"text":"x","user":` + deep + `}`: {"nested too deep", 82},
		`{"text":12}`:                      {"text is a number where a string belongs", 8},
		`{"id_str": 12,"text":"x"}`:        {"id_str is a number where a string belongs", 11},
		`{"text":"x","entities":[]}`:       {"entities is an array where an object belongs", 23},
		`{"text":"x","entities":{"hashtags":{}}}`:            {"hashtags is an object where an array belongs", 35},
		`{"text":"x","entities":{"hashtags":[{"text":12}]}}`: {"a hashtag is a number where a string belongs", 44},
		`{"text":"x","entities":{"hashtags":[{}]}}`:          {"a hashtag without text", 36},
		`{"text":"x","entities":{"hashtags":["a"]}}`:         {"the value is a string where an object belongs", 36},
		`{"text":"x","retweeted_status":true}`:               {"retweeted_status is a boolean where an object belongs", 31},
		`{"data":[{"id":"1"}]}`:                              {"a post without text on a page of posts", 0},
		`{"data":{}}`:                                        {"a post without text", 0},
		`{"id_str":"12"}`:                                    {"a post without text", 0},
		`{"did":"did:plc:x"}`:                                {"an event of no kind", 0},
		`null`:                                               {"of no known format", 0},
		`{}`:                                                 {"of no known format", 0},
		`"{\"text\":12}"`:                                    {"in a string, text is a number where a string belongs", 8},
		`"x" 1`:                                              {"not JSON, something follows the value", 4},
		`"\"{}\""`:                                           {"in a string, the value is a string where an object belongs", 0},
		`{"tagtide":2,"source":"x"}`:                         {"a version of the canonical form that this program does not know", 11},
		`{"tagtide":1}`:                                      {"no source", 0},
		`{"tagtide":1,"source":12}`:                          {"source is a number where a string belongs", 22},
		`{"tagtide":1,"source":"x","time":1.5}`:              {"time is no whole number of milliseconds", 33},
		`{"tagtide":1,"source":"x","time":12345678901234567890}`:   {"time is no whole number of milliseconds", 33},
		`{"tagtide":1,"source":"x","op":"upsert"}`:                 {"an op that is none of create, update, hide, delete, gone, back", 32},
		`{"tagtide":1,"source":"x","op":"update","version":0}`:     {"version is no whole number of at least 1", 50},
		`{"tagtide":1,"source":"x","version":9223372036854775808}`: {"version is no whole number of at least 1", 36},
		`{"tagtide":1,"source":"x","op":"gone","id":"12"}`:         {"an op on an account, and no account", 32},
		`{"tagtide":1,"source":"x","tags":[null]}`:                 {"a tag is null", 34},
		`{"tagtide":1,"skipped":0}`:                                {"skipped is no whole number of posts", 23},
	} {
		var d Decoder
		var p Post
		_, err := d.Decode([]byte(value), &p)
		var got *Error
		if !errors.As(err, &got) || *got != want {
			t.Errorf("%s: %v, want %v", value, err, &want)
		}
	}
}

// A decoder that stumbled is as good as new.
func TestDecodeAfterAnError(t *testing.T) {
	var d Decoder
	var p Post
	for range 2 {
		if _, err := d.Decode([]byte(`{"tagtide":1,"tags":["a",[[[`), &p); err == nil {
			t.Fatal("no error")
		}
		if _, err := d.Decode([]byte(`{"text":"#b","user":{"x":[{}]}}`), &p); err != nil || !slices.Equal(tagsOf(&p), []string{"b"}) {
			t.Fatalf("%q, %v", tagsOf(&p), err)
		}
	}
}

func TestParseTime(t *testing.T) {
	for _, s := range []string{
		"2026-08-20T10:00:00.000Z", "2026-08-20T10:00:00Z", "2026-08-20T10:00:00.5+05:30", "2024-02-29T23:59:59.999999-12:00",
		"2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2000-02-29T00:00:00Z", "1969-12-31T23:59:59.999Z", "0001-01-01T00:00:00Z",
		"9999-12-31T23:59:59Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-04-31T00:00:00Z", "2026-01-01T24:00:00Z",
		"2026-01-01T00:60:00Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00+24:00",
		"2026-01-01T00:00:00+0100", "2026-1-01T00:00:00Z", "20a6-01-01T00:00:00Z", "2", "",
		"Fri Apr 03 12:00:00 +0000 2020", "Mon Apr 03 12:00:00 +0000 2020", "Thu Jan 01 00:00:00 +0130 1970", "Sat Feb 29 00:00:00 -0800 2020", "Xyz Apr 03 12:00:00 +0000 2020",
		"Fri Apr 31 12:00:00 +0000 2020", "Fri apr 03 12:00:00 +0000 2020", "Fri Apr  3 12:00:00 +0000 2020", "Fri Apr 03 12:00:00 0000 2020",
	} {
		if got, want := parseTime([]byte(s)), slowParseTime(s); got != want {
			t.Errorf("%q is %d, want %d", s, got, want)
		}
	}
}

func TestAppend(t *testing.T) {
	p := Post{Source: "x", ID: []byte("12"), Time: 1, Op: Update, Repost: true, Text: []byte("secret"), Tags: [][]byte{[]byte("a\"\\\x01é"), []byte("b\xff")}}
	want := `{"tagtide":1,"source":"x","id":"12","time":1,"op":"update","tags":["a\"\\\u0001é","b` + "\ufffd" + `"],"repost":true}`
	if got := string(Append([]byte("before"), &p)); got != "before"+want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := string(Append(nil, &Post{Source: "x"})), `{"tagtide":1,"source":"x"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := string(AppendSkipped(nil, 17, "track")), `{"tagtide":1,"skipped":17,"reason":"track"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAppendKey(t *testing.T) {
	id, alias := []byte("12"), []byte("host/7")
	for want, p := range map[string]Post{
		"x:12":          {Source: "x", ID: id, Alias: alias, Op: Delete},
		"x:host/7":      {Source: "x", Alias: alias, Op: Delete},
		"":              {Source: "x", Alias: alias},
		"x:account:12":  {Source: "x", ID: id, Op: Gone},
		"xx:account:12": {Source: "xx", ID: id, Op: Back},
	} {
		if got := string(AppendKey(nil, &p)); got != want {
			t.Errorf("%+v has the key %q, want %q", p, got, want)
		}
	}
}

func TestAccountsAndAliases(t *testing.T) {
	for value, want := range map[string]Post{
		`{"tagtide":1,"source":"bluesky","account":"did:plc:a","time":12,"op":"gone"}`: {Source: "bluesky", ID: []byte("did:plc:a"), Time: 12, Op: Gone},
		`{"tagtide":1,"source":"bluesky","account":"did:plc:a","op":"back"}`:           {Source: "bluesky", ID: []byte("did:plc:a"), Op: Back},
		`{"tagtide":1,"source":"mastodon","alias":"host/7","op":"delete"}`:             {Source: "mastodon", Alias: []byte("host/7"), Op: Delete},
		`{"tagtide":1,"source":"x","id":"7","time":12,"op":"hide","version":9}`:        {Source: "x", ID: []byte("7"), Time: 12, Op: Hide, Version: 9},
		`{"tagtide":1,"source":"mastodon","id":"https://a/7","alias":"host/7"}`:        {Source: "mastodon", ID: []byte("https://a/7"), Alias: []byte("host/7")},
	} {
		got, result := decode(t, value)
		if string(got.ID) != string(want.ID) || string(got.Alias) != string(want.Alias) || got.Op != want.Op || got.Order() != want.Order() || got.Time != want.Time {
			t.Errorf("%s is %+v, want %+v", value, got, want)
		}
		if kind := [...]Kind{Delete: KindDelete, Hide: KindDelete, Gone: KindAccount, Back: KindAccount}[want.Op]; result.Kind != max(kind, KindPost) {
			t.Errorf("%s is of kind %v, want %v", value, result.Kind, kind)
		}
		if again := string(Append(nil, &got)); again != value {
			t.Errorf("%s is written %s", value, again)
		}
	}
}
