package post

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// frame is a post as Jetstream v1 tells of it.
func frame(record string) string {
	return `{"did":"did:plc:a","time_us":1787220000000001,"kind":"commit","commit":{"operation":"create","collection":"app.bsky.feed.post","rkey":"r","record":` + record + `}}`
}

func TestTagsOfBluesky(t *testing.T) {
	facet := func(tag string) string {
		return `{"features":[{"$type":"app.bsky.richtext.facet#tag","tag":"` + tag + `"}]}`
	}
	for record, want := range map[string][]string{
		`{"text":"#a","facets":[` + facet("A") + `],"tags":["b","a"]}`:                               {"A", "b", "a"},
		`{"tags":["b"],"facets":[` + facet("A") + `]}`:                                               {"A", "b"},
		`{"facets":[` + facet("$AAPL") + `],"tags":["$TSLA","＄AAPL","#$X"]}`:                         {},
		`{"facets":[` + facet("#️⃣tag") + `,` + facet("# ＃sign") + `,` + facet(" space ") + `]}`:     {"#️⃣tag", "sign", "space"},
		`{"facets":[` + facet("double#rainbow") + `,` + facet("butter🦋fly") + `]}`:                   {"double#rainbow", "butter🦋fly"},
		`{"facets":[{"features":[{"$type":"app.bsky.richtext.facet#link","uri":"x","tag":"no"}]}]}`:  {},
		`{"facets":[{"features":[{"tag":"a","$type":"app.bsky.richtext.facet#tag"},{},7]},null,{}]}`: {"a"},
		`{"facets":{},"tags":"a","text":7}`:                                                          {},
		`{"tags":["` + strings.Repeat("a", 641) + `","` + strings.Repeat("b", 640) + `"]}`:           {strings.Repeat("b", 640)},
		`{"text":"plain #NotAFacet text"}`:                                                           {},
	} {
		p, _ := decode(t, frame(record))
		if got := tagsOf(&p); !slices.Equal(got, want) {
			t.Errorf("%s has %q, want %q", record, got, want)
		}
	}
}

func TestTextOfBlueskyIsScannedOnlyIfAsked(t *testing.T) {
	d := Decoder{BlueskyText: true}
	var p Post
	for record, want := range map[string][]string{
		`{"text":"plain #NotAFacet text"}`:         {"NotAFacet"},
		`{"text":"#a","tags":[]}`:                  {},
		`{"text":"#a","facets":[]}`:                {},
		`{"text":"#a \u00e9 #b","langs":["en"]}`:   {"a", "b"},
		`{"text":"#a","facets":null,"reply":null}`: {"a"},
	} {
		if _, err := d.Decode([]byte(frame(record)), &p); err != nil {
			t.Fatal(err)
		}
		if got := tagsOf(&p); !slices.Equal(got, want) {
			t.Errorf("%s has %q, want %q", record, got, want)
		}
	}
}

func TestEventsOfBluesky(t *testing.T) {
	account := func(rest string) string {
		return `{"did":"did:plc:a","time_us":1787220000000006,"kind":"account","account":{` + rest + `}}`
	}
	for value, want := range map[string]outcome{
		frame(`{}`): {result: Result{Kind: KindPost}, id: "at://did:plc:a/app.bsky.feed.post/r", time: 1787220000000},
		strings.Replace(frame(`{}`), "feed.post", "feed.like", 1):          {result: Result{Kind: KindNotice, Notice: "other collection"}, time: 1787220000000},
		account(`"active":false,"status":"takendown"`):                     {result: accountResults[Gone], id: "did:plc:a", op: Gone, time: 1787220000000},
		account(`"active":false,"status":"suspended"`):                     {result: accountResults[Gone], id: "did:plc:a", op: Gone, time: 1787220000000},
		account(`"active":false,"status":"deactivated"`):                   {result: Result{Kind: KindNotice, Notice: "account"}, time: 1787220000000},
		account(`"active":true`):                                           {result: accountResults[Back], id: "did:plc:a", op: Back, time: 1787220000000},
		account(`"status":"deleted"`):                                      {result: Result{Kind: KindNotice, Notice: "account"}, time: 1787220000000},
		`{"$type":"error","error":"ConsumerTooSlow","message":"x"}`:        {result: Result{Kind: KindNotice, Notice: "ConsumerTooSlow"}},
		`{"$type":"message","payload":{"$type":"x#sync","did":"y"}}`:       {result: Result{Kind: KindNotice, Notice: "sync"}},
		`{"payload":{"$type":"x#info","name":"Hello"},"$type":"message"}`:  {result: Result{Kind: KindNotice, Notice: "Hello"}},
		`{"kind":"` + strings.Repeat("k", 65) + `","did":"did:plc:a"}`:     {result: Result{Kind: KindNotice, Notice: "other"}},
		`{"$type":"x#identity","did":"d","time":"1970-01-01T00:00:01.5Z"}`: {result: Result{Kind: KindNotice, Notice: "identity"}, time: 1500},
	} {
		p, result := decode(t, value)
		if want.source = SourceBluesky; outcomeOf(result, &p) != want {
			t.Errorf("%s is\n%+v, want\n%+v", value, outcomeOf(result, &p), want)
		}
	}
}

func TestStatusesOfMastodon(t *testing.T) {
	status := func(rest string) string {
		return `{"id":"7","created_at":"1970-01-01T00:00:01.000Z","uri":"https://a/1",` + rest + `}`
	}
	base := outcome{result: Result{Kind: KindPost}, source: SourceMastodon, id: "https://a/1", alias: "7", time: 1000}
	with := func(tags string, change func(*outcome)) outcome {
		o := base
		o.tags = strings.ReplaceAll(tags, " ", "\x00")
		if change != nil {
			change(&o)
		}
		return o
	}
	private := outcome{result: Result{Kind: KindNotice, Notice: "not public"}}
	for value, want := range map[string]outcome{
		status(`"visibility":"public","tags":[{"name":"covid19"}],"content":"<p><a href=\"x\">#<span>COVID19</span></a></p>"`): with("COVID19", func(o *outcome) { o.text = "\n#COVID19\n" }),
		status(`"tags":[{"name":"a"},{"name":"b"}],"content":"#B"`):                                                            with("a B", func(o *outcome) { o.text = "#B" }),
		status(`"tags":[{"name":"año"}],"content":"#ANO #An\u0303o"`):                                                          with("An\u0303o", func(o *outcome) { o.text = "#ANO #An\u0303o" }),
		status(`"tags":[],"content":"#a"`):                                                                                     with("", func(o *outcome) { o.text = "#a" }),
		status(`"content":"1 &lt; 2<br>#a<p>#b</p>https://x/#c"`):                                                              with("a b", func(o *outcome) { o.text = "1 < 2\n#a\n#b\nhttps://x/#c" }),
		status(`"content":"","edited_at":"1970-01-01T00:00:02Z"`):                                                              with("", func(o *outcome) { o.op, o.time = Update, 2000 }),
		status(`"content":"","visibility":"public","reblog":{"content":"#a","tags":[{"name":"a"}]}`):                           with("a", func(o *outcome) { o.repost, o.text = true, "#a" }),
		status(`"content":"","visibility":"unlisted"`):                                                                         private,
		status(`"content":"","visibility":"private"`):                                                                          private,
		status(`"content":"","visibility":"public","reblog":{"content":"#a","visibility":"unlisted"}`):                         private,
	} {
		p, result := decode(t, value)
		if got := outcomeOf(result, &p); got != want {
			t.Errorf("%s is\n%+v, want\n%+v", value, got, want)
		}
	}
}

// An edit is of now, and what it edits may be of long ago.
func TestEditsSayWhenThePostWasPosted(t *testing.T) {
	bluesky := func(op, rkey string) string {
		return `{"did":"did:plc:a","time_us":1787220000000000,"kind":"commit","commit":{"operation":"` + op + `","collection":"app.bsky.feed.post","rkey":"` + rkey + `","record":{}}}`
	}
	status := `{"id":"7","created_at":"1970-01-01T00:00:01.000Z","uri":"https://a/1","content":""`
	for value, want := range map[string]int64{
		status + `,"edited_at":"1970-01-01T00:00:02Z"}`: 1000,
		status + `}`: 0,
		`{"stream":["public"],"event":"status.update","payload":` + strconv.Quote(status+`}`) + `}`: 1000,
		bluesky("update", "3jzfcijpj2z2a"): 1688137381887, // like the next one an example in the specification
		bluesky("update", "7777777777777"): 5811096293381,
		bluesky("create", "3jzfcijpj2z2a"): 0,
		bluesky("update", "3jzfcijpj2z21"): 0, // no digit
		bluesky("update", "kjzfcijpj2z2a"): 0, // too large
		bluesky("update", "self"):          0,
		`{"id":"1346889436626259969","text":"","edit_history_tweet_ids":["1346889436626259968","1346889436626259969"]}`: 1609958440344,
		`{"id":"12","text":"","edit_history_tweet_ids":["11","12"]}`:                                                    1288834974657,
		`{"id":"12","text":"","edit_history_tweet_ids":["12"]}`:                                                         0,
		`{"id":"12","text":"","edit_history_tweet_ids":["a"]}`:                                                          0,
	} {
		if p, _ := decode(t, value); p.Created != want {
			t.Errorf("%s: %d, want %d", value, p.Created, want)
		}
	}
}

// Each post of a page counts, those passed on with their originals.
func TestPages(t *testing.T) {
	value := `{"data":[{"id":"3","text":"RT #…","referenced_tweets":[{"type":"retweeted","id":"2"}]},{"id":"4","text":"#b &amp; #\u00e9"},
		{"id":"5","text":"#c","edit_history_tweet_ids":["1","5"]},{"id":"6","text":"","entities":{"hashtags":[{"tag":"d"}]}}],
		"includes":{"tweets":[{"id":"9","text":"#x"},{"id":"2","text":"#a"},{"id":"2","text":"#y"}]},"meta":{"result_count":4}}`
	var got []string
	d := Decoder{}
	var p Post
	_, err := d.Decode([]byte(value), &p)
	for more := err == nil; more; more = d.Next(&p) {
		got = append(got, string(Append(nil, &p)))
	}
	want := []string{
		`{"tagtide":1,"source":"x","id":"3","tags":["a"],"repost":true}`,
		`{"tagtide":1,"source":"x","id":"4","tags":["b","é"]}`,
		`{"tagtide":1,"source":"x","id":"1","op":"update","version":5,"tags":["c"]}`,
		`{"tagtide":1,"source":"x","id":"6","tags":["d"]}`,
	}
	if !slices.Equal(got, want) || err != nil {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	for _, value := range []string{`{"tagtide":1,"source":"x"}`, `{"data":[]}`, `{"data":[{"id":"1","text":""},{}]}`, `{`} {
		if d.Decode([]byte(value), &p); d.Next(&p) {
			t.Errorf("%s has another post", value)
		}
	}
}

// Hostile values of a megabyte take no more than a moment: nothing is looked at again and again.
func TestDecodeIsLinear(t *testing.T) {
	many := func(prefix, one, suffix string) string {
		return prefix + strings.Repeat(one, 1<<20/len(one)) + suffix
	}
	for _, value := range []string{
		many(`{"uri":"u","content":"`, `<a`, `"}`),
		many(`{"uri":"u","content":"`, `<a '`, `"}`),
		many(`{"uri":"u","content":"`, `&#1`, `"}`),
		many(`{"uri":"u","content":"`, ` #a`, many(`","tags":[`, `{"name":"b"},`, `{"name":"a"}]}`)),
		many(`{"uri":"u","content":"`, `#`, `"}`),
		many(`{"data":[`, `{"id":"1","referenced_tweets":[{"type":"retweeted","id":"2"}]},`, many(`{"text":""}],"includes":{"tweets":[`, `{"id":"2","text":""},`, `{"text":""}]}}`)),
		many(`{"stream":[],"event":"update","payload":"`, `\\u0022`, `"}`),
	} {
		var d Decoder
		var p Post
		_, err := d.Decode([]byte(value), &p)
		for more := err == nil; more; more = d.Next(&p) {
		}
	}
}
