package post

import (
	"strings"
	"testing"
)

// typical are values as they come, with their length in bytes as their name's end says it.
var typical = map[string]string{
	"x v1.1":            `{"created_at":"Fri Apr 03 12:00:00 +0000 2020","id_str":"1245999999999999001","text":"Wash your hands, keep your distance and stay at home #COVID19 #StayHome https://t.co/abcdefghij","truncated":false,"lang":"en","entities":{"hashtags":[{"text":"COVID19","indices":[53,61]},{"text":"StayHome","indices":[62,71]}]},"timestamp_ms":"1585915200000"}`,
	"x v1.1, kana":      `{"created_at":"Fri Apr 03 12:00:00 +0000 2020","id_str":"1245999999999999001","text":"手を洗って、距離を保って、家にいよう。 #コロナウイルス #家にいよう https://t.co/abcdefghij","truncated":false,"lang":"ja","entities":{"hashtags":[{"text":"コロナウイルス","indices":[20,28]},{"text":"家にいよう","indices":[29,35]}]},"timestamp_ms":"1585915200000"}`,
	"x v1.1, text only": `{"created_at":"Fri Apr 03 12:00:00 +0000 2020","id_str":"1245999999999999001","text":"Wash your hands, keep your distance and stay at home #COVID19 #StayHome https://t.co/abcdefghij","truncated":false,"lang":"en","timestamp_ms":"1585915200000"}`,
	"x v2":              `{"data":{"id":"1900000000000000001","text":"Stay safe #COVID19 #StayHome","author_id":"42","created_at":"2026-08-20T10:00:00.000Z","edit_history_tweet_ids":["1900000000000000001"],"entities":{"hashtags":[{"start":10,"end":18,"tag":"COVID19"},{"start":19,"end":28,"tag":"StayHome"}]}},"includes":{"users":[{"id":"42","username":"example_a"}]},"matching_rules":[{"id":"1800000000000000001","tag":"covid"}]}`,
	"jetstream v1":      `{"did":"did:plc:aaaaaaaaaaaaaaaaaaaaaaaa","time_us":1787220000000001,"kind":"commit","commit":{"rev":"3mt000000002a","operation":"create","collection":"app.bsky.feed.post","rkey":"3mt000000002b","record":{"$type":"app.bsky.feed.post","createdAt":"2026-08-20T10:00:00.000Z","langs":["en"],"text":"é Stay safe #COVID19","facets":[{"index":{"byteStart":13,"byteEnd":21},"features":[{"$type":"app.bsky.richtext.facet#tag","tag":"COVID19"}]}],"tags":["StayHome","covid19"]},"cid":"bafyreiaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}`,
	"jetstream v2":      `{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#commit","seq":12345,"did":"did:plc:aaaaaaaaaaaaaaaaaaaaaaaa","time":"2026-08-20T10:00:00.000001Z","rev":"3mt000000002a","operation":"create","collection":"app.bsky.feed.post","rkey":"3mt000000002b","cid":"bafyreiaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","record":{"$type":"app.bsky.feed.post","createdAt":"2026-08-20T10:00:00.000Z","langs":["en"],"text":"é Stay safe #COVID19","facets":[{"index":{"byteStart":13,"byteEnd":21},"features":[{"$type":"app.bsky.richtext.facet#tag","tag":"COVID19"}]}],"tags":["StayHome","covid19"]}}}`,
	"mastodon":          `{"id":"115000000000000001","created_at":"2026-08-20T10:00:00.000Z","visibility":"public","language":"en","uri":"https://social.example/users/a/statuses/115000000000000001","url":"https://social.example/@a/115000000000000001","edited_at":null,"content":"<p>Stay safe <a href=\"https://social.example/tags/COVID19\" class=\"mention hashtag\" rel=\"tag\">#<span>COVID19</span></a> <a href=\"https://social.example/tags/StayHome\" class=\"mention hashtag\" rel=\"tag\">#<span>StayHome</span></a></p>","reblog":null,"account":{"id":"7","username":"a","acct":"a","bot":false},"mentions":[],"tags":[{"name":"covid19","url":"https://social.example/tags/covid19"},{"name":"stayhome","url":"https://social.example/tags/stayhome"}]}`,
	"canonical":         `{"tagtide":1,"source":"x","id":"1245999999999999001","time":1585915200000,"tags":["COVID19","StayHome"]}`,
}

// BenchmarkDecode is all that the processor does to a post before it counts: decode it, find its hashtags, fold them.
// It fails if any of that allocates.
func BenchmarkDecode(b *testing.B) {
	for name, value := range typical {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(value)))
			var d Decoder
			var u Uses
			var p Post
			in := []byte(value)
			step := func() {
				if _, err := d.Decode(in, &p); err != nil || len(u.Of(&p)) != 2 {
					b.Fatal(err)
				}
			}
			if n := testing.AllocsPerRun(100, step); n >= 1 { // it has decoded one before, for scratch to grow
				b.Fatalf("%v allocations a post", n)
			}
			for b.Loop() {
				step()
			}
		})
	}
}

// BenchmarkDecodeOnly leaves out finding and folding hashtags.
func BenchmarkDecodeOnly(b *testing.B) {
	for name, value := range typical {
		b.Run(name, func(b *testing.B) {
			var d Decoder
			var p Post
			in := []byte(value)
			for b.Loop() {
				if _, err := d.Decode(in, &p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	b.ReportAllocs()
	p := Post{Source: SourceX, ID: []byte("1245999999999999001"), Time: 1585915200000, Tags: [][]byte{[]byte("COVID19"), []byte("StayHome")}}
	var dst []byte
	for b.Loop() {
		dst = Append(dst[:0], &p)
	}
}

func BenchmarkTrack(b *testing.B) {
	b.ReportAllocs()
	track, err := NewTrack("corona virus", "COVID-19", "pandemic")
	if err != nil {
		b.Fatal(err)
	}
	p := Post{Text: []byte("Wash your hands, keep your distance and stay at home " + strings.Repeat("#x ", 10))}
	for b.Loop() {
		track.Match(&p)
	}
}
