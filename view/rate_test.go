package view

import (
	"math"
	"testing"
	"time"
)

func TestRateIsTheGrowthOfTheLastWindow(t *testing.T) {
	var r rate
	begin := time.Unix(1_000_000, 0)
	if got := r.perSecond(begin); got != 0 {
		t.Errorf("before any sample: %v", got)
	}
	// 20 posts a second for a minute, on top of a million that were there.
	for i := range 600 {
		r.note(1_000_000+int64(2*i), begin.Add(time.Duration(i)*100*time.Millisecond))
	}
	now := begin.Add(time.Minute)
	if got := r.perSecond(now); math.Abs(got-20) > 1 {
		t.Errorf("while it flows: %v, want about 20", got)
	}
	if got := r.perSecond(now.Add(rateWindow / 2)); got < 8 || got > 12 {
		t.Errorf("half a window after the last post: %v, want about 10", got)
	}
	if got := r.perSecond(now.Add(rateWindow + time.Second)); got != 0 {
		t.Errorf("a window after the last post: %v, want 0", got)
	}
	if len(r.samples) > 30 {
		t.Errorf("%d samples are kept for a window of 20 steps", len(r.samples))
	}
}
