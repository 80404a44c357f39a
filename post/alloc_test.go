//go:build !race

// The race detector empties pools at random, so that they allocate again.

package post

import (
	"fmt"
	"strings"
	"testing"
)

// Once its scratch has grown, neither decoding a post nor finding its hashtags nor writing it allocates.
func TestNothingIsAllocated(t *testing.T) {
	d := Decoder{Text: true}
	var u Uses
	var p Post
	var out []byte
	track, err := NewTrack("corona virus", "COVID-19", "pandemic", "コロナ")
	if err != nil {
		t.Fatal(err)
	}
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("%q", fmt.Sprint("Tag", i, "ᏣᎳᎩ", "ＣＯＶＩＤ")))
	}
	for _, value := range append(seeds(t), []byte(`{"tagtide":1,"source":"elsewhere","tags":[`+strings.Join(many, ",")+`]}`)) {
		step := func() {
			if _, err := d.Decode(value, &p); err != nil {
				t.Fatal(err)
			}
			u.Of(&p)
			track.Match(&p)
			out = AppendKey(Append(out[:0], &p), &p)
		}
		step()
		if n := testing.AllocsPerRun(100, step); n >= 1 { // the pools of Fold and Track may be emptied in between
			t.Errorf("%.200s: %v allocations", value, n)
		}
	}
}
