// Package post is the noun of the input: one post of a social network, decoded from whichever JSON its network,
// an archive or another producer wrote, and written in one small form of our own.
//
// # Formats
//
// A [Decoder] tells formats apart by content, value by value, so one topic may hold all of them. The first key at
// the root that only one format has decides:
//
//	key                            format                  tags from
//	"tagtide"                      canonical form          "tags"
//	"data"                         X API v2, one or a page note_tweet, entities; the included original of a repost
//	"text", "full_text", "id_str"  X v1.1, flattened v2    extended_tweet, entities; retweeted_status of a repost
//	"did", "$type", "commit"       Bluesky's Jetstream     facets and tags of the record
//	"uri", "content", "reblog"     Mastodon, a status      tags; reblog of a boost
//	"event", "payload"             Mastodon, a message     the status in it
//	"delete", "limit", …           X v1.1 notice           –
//	"errors", "error"              other notices           –
//
// Where a network gives its own hashtags, they count; only a post without such a list is scanned for them, and on
// Bluesky not even that. docs/HASHTAGS.md has the rules, docs/formats/post.md the details of the formats.
//
// # Canonical form
//
// [Append] writes, and the decoder reads back, one line of compact JSON:
//
//	{"tagtide":1,"source":"x","id":"1245999999999999001","time":1585915200000,"op":"update","tags":["COVID19"],"repost":true}
//	 │           │            │                          │                    │             │                  └ if it is one
//	 └ version   └ network    └ the network's, if known  └ Unix ms, if known  └ or delete   └ as spelled, if any
//
// A second id by which the network may delete the post is its "alias"; what happens to an account has "account"
// instead of "id". It holds no text, and of the author no more than the network's id says: what is not in the topic
// cannot leak from it. An emitter that leaves posts out says so with a notice, so that nothing is dropped silently:
//
//	{"tagtide":1,"skipped":17,"reason":"track"}
package post
