package processor_test

import (
	"fmt"
	"testing"

	"github.com/tagtide/tagtide/processor"
	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/streamtest"
)

// What another producer has sent of Bluesky is scanned if that is asked for, and
// so counted again.
func TestTextOfBlueskyIsCountedIfAsked(t *testing.T) {
	event := `{"did":"did:plc:a","time_us":1787220000000001,"kind":"commit","commit":{"operation":"create","collection":"app.bsky.feed.post","rkey":"r","record":{"text":"#Plain text"}}}`
	for asked, want := range map[bool]string{false: "map[]", true: "map[plain:1]"} {
		o := processor.Options{BlueskyText: asked}
		group := streamtest.New(t, processor.Graph(o), streamtest.Options{Partitions: 1})
		streamtest.NewTopic(group, "tweets", codec.String).EmitKeyless(event)
		group.Settle()
		counts := streamtest.NewTable(group, stream.GroupTable("hashtags"), codec.Int64)
		if got := fmt.Sprint(counts.All()); got != want {
			t.Errorf("asked for %v: counts %s, want %s", asked, got, want)
		}
		if fault, err := processor.Recount(t.Context(), group.Log(), o); fault != "" || err != nil {
			t.Errorf("asked for %v: recounted: %q, %v", asked, fault, err)
		}
	}
}
