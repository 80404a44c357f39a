package processor_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/internal/spelling"
	"github.com/tagtide/tagtide/processor"
	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/streamtest"
)

func tweet(id string, tags ...string) string {
	var entities []string
	for _, tag := range tags {
		entities = append(entities, fmt.Sprintf(`{"text":%q,"indices":[0,1]}`, tag))
	}
	return fmt.Sprintf(`{"id_str":%q,"text":"x","entities":{"hashtags":[%s]}}`, id, strings.Join(entities, ","))
}

func TestTheMostUsedSpellingStandsFirst(t *testing.T) {
	group := streamtest.New(t, processor.Graph(processor.Options{}), streamtest.Options{})
	tweets := streamtest.NewTopic(group, "tweets", codec.String)
	rows := streamtest.NewTable(group, stream.TableTopic("hashtags", spelling.Table), codec.String)
	id := 0
	for _, c := range []struct {
		tags string
		rows map[string]string
	}{
		{"covid19 東京", map[string]string{}},
		{"COVID19", map[string]string{"covid19": "0,1 7:COVID19,7:covid19,"}}, // a tie, by bytes
		{"Covid19 covid19", map[string]string{"covid19": "0,1,1 7:COVID19,7:Covid19,7:covid19,"}},
		{"COVID19 ＣＯＶＩＤ１９ 東京", map[string]string{"covid19": "0,1,1 7:COVID19,7:Covid19,7:covid19,"}}, // no change
		{"covid19", map[string]string{"covid19": "0,2,1 7:COVID19,7:covid19,7:Covid19,"}},
		{"covid19", map[string]string{"covid19": "0,2,1 7:covid19,7:COVID19,7:Covid19,"}},
		{"Straße", map[string]string{"covid19": "0,2,1 7:covid19,7:COVID19,7:Covid19,", "strasse": "7:Straße,"}},
	} {
		id++
		tweets.Emit(fmt.Sprint(id), tweet(fmt.Sprint(id), strings.Fields(c.tags)...))
		group.Settle()
		if got := rows.All(); !maps.Equal(got, c.rows) {
			t.Errorf("after %s: %q, want %q", c.tags, got, c.rows)
		}
	}
	if fault, err := processor.Recount(t.Context(), group.Log(), processor.Options{}); fault != "" || err != nil {
		t.Errorf("recounted: %q, %v", fault, err)
	}
}

// However posts are gathered into commits, and whoever counts them.
func TestSpellingsAreWhatARecountFinds(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 1))
		group := streamtest.New(t, processor.Graph(processor.Options{}), streamtest.Options{Members: 2})
		tweets := streamtest.NewTopic(group, "tweets", codec.String)
		spellings := []string{"covid19", "COVID19", "Covid19", "CoViD19", "ｃovid19", "straße", "strasse", "STRASSE", "Tokyo"}
		if seed%2 == 0 { // and a tag with more than a row lists
			for i := range 12 {
				spellings = append(spellings, "manyspelling"[:i]+strings.ToUpper("manyspelling"[i:i+1])+"manyspelling"[i+1:])
			}
		}
		for id := range 400 {
			a, b := spellings[r.IntN(len(spellings))], spellings[r.IntN(1+r.IntN(len(spellings)))]
			tweets.Emit(fmt.Sprint(id), tweet(fmt.Sprint(id), a, b))
			switch r.IntN(40) {
			case 0:
				group.Settle()
			case 1:
				group.Advance(time.Duration(r.IntN(300)) * time.Millisecond)
			}
		}
		group.Settle()
		if fault, err := processor.Recount(t.Context(), group.Log(), processor.Options{}); fault != "" || err != nil {
			t.Errorf("seed %d: %q, %v", seed, fault, err)
		}
	}
}

func TestARecountFindsWhatIsMisspelled(t *testing.T) {
	for row, what := range map[string]string{
		"7:COVID19,":                     "in the input",
		"0,1 7:Covid19,7:covid19,":       "in the input",
		"0,1,1 7:covid19,7:COVID19,1:x,": "which cannot be",
		"7:COVID19":                      "decode spellings",
	} {
		counts, rows := stream.Persist(codec.Int64), stream.NamedTable(spelling.Table, codec.String)
		loop := stream.Loop(codec.String, func(ctx stream.Context, row string) error {
			if err := rows.SetValue(ctx, row); err != nil {
				return err
			}
			return counts.SetValue(ctx, 3)
		}, counts, rows)
		other := stream.Input("tweets", codec.Bytes, func(ctx stream.Context, _ []byte) error { return loop.Loopback(ctx, "covid19", row) })
		group := streamtest.New(t, stream.DefineGroup("hashtags", other, loop, counts, rows), streamtest.Options{})
		tweets := streamtest.NewTopic(group, "tweets", codec.String)
		for id, tag := range []string{"COVID19", "covid19", "covid19"} {
			tweets.Emit(fmt.Sprint(id), tweet(fmt.Sprint(id), tag))
		}
		group.Settle()
		if fault, err := processor.Recount(t.Context(), group.Log(), processor.Options{}); !strings.Contains(fault, what) || err != nil {
			t.Errorf("%s: %q, %v", row, fault, err)
		}
	}
}
