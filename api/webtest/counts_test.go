//go:build web

package webtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tagtide/tagtide/api"
	"github.com/tagtide/tagtide/api/apitest"
	"github.com/tagtide/tagtide/internal/ranking"
)

// world are the hashtags of a lively day, most used first.
var world = []string{"covid19", "stayhome", "คนไทย", "music", "lockdown", "كورونا", "コロナ", "photography", "friday", "работа", "sunset",
	"vaccine", "sundayvibes", "코로나", "climate", "football", "art", "catsoftwitter", "wfh", "breaking", "travel", "golang", "coffee",
	"שבת", "love", "fitness", "sourdough", "nature", "election2020", "gaming", "handwashing", "spring", "dogs", "science", "podcast",
	"socialdistancing", "news", "fashion", "homeschooling", "books"}

// spelled is how people write them.
var spelled = []ranking.Display{
	{Tag: "covid19", Display: "COVID19"}, {Tag: "stayhome", Display: "StayHome"}, {Tag: "photography", Display: "Photography"},
	{Tag: "friday", Display: "Friday"}, {Tag: "sundayvibes", Display: "SundayVibes"}, {Tag: "catsoftwitter", Display: "CatsOfTwitter"},
	{Tag: "wfh", Display: "WFH"}, {Tag: "breaking", Display: "BREAKING"}, {Tag: "election2020", Display: "Election2020"},
	{Tag: "socialdistancing", Display: "SocialDistancing"},
}

// lively are counts as after some minutes of the demo: Zipf over the world and
// a long tail.
func lively() *apitest.Counts {
	c := new(apitest.Counts)
	for i, tag := range world {
		c.Set(tag, int64(5026/(i+2)))
	}
	for i := range 300 {
		c.Set(fmt.Sprintf("tail%03d", i), int64(60-i/5))
	}
	c.ApplyDisplays(spelled)
	c.SetTotals(api.Totals{Posts: 19032, PostsPerSecond: 20.4, Skipped: 12})
	return c
}

// stir keeps counts moving until the test ends.
func stir(t *testing.T, c *apitest.Counts) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r := rand.New(rand.NewPCG(1, 2))
		for tick := time.NewTicker(20 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			c.Add(world[int(float64(len(world))*r.Float64()*r.Float64())], 1+r.Int64N(4))
			totals := c.Totals()
			totals.Posts += 2
			totals.PostsPerSecond = 20 + 4*r.NormFloat64()
			c.SetTotals(totals)
		}
	}()
	t.Cleanup(func() { stop(); <-done })
}
