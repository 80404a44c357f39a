package table

import (
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// A store is followed on from only if its changelog still has, or never had, all
// that the store may have missed.
func TestACopyThatMayHaveMissedSomethingIsMadeAnew(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	horizon := Horizon(log.Topic{DeleteRetention: 2 * time.Hour})
	extent := func(start, end int64) log.Range { return log.Range{Start: start, Stable: end, End: end} }
	for _, c := range []struct {
		about   string
		next    int64
		age     time.Duration
		extent  log.Range
		markers int64
		reason  string // that the reason contains; empty: it is followed on
	}{
		{"nothing was kept", 0, 0, extent(50, 90), 1, ""},
		{"nothing is newer", 90, time.Hour * 1000, extent(50, 90), 1, ""},
		{"something is newer, the store is young", 70, time.Hour, extent(50, 90), 1, ""},
		{"something is newer, the store is old", 70, time.Hour + 1, extent(50, 90), 1, "1h0m0s ago"},
		{"only a marker is newer", 89, time.Hour * 1000, extent(50, 90), 1, ""},
		{"a record is newer, where there are no markers", 89, time.Hour * 1000, extent(50, 90), 0, "deletes"},
		{"a record and its marker are newer", 88, time.Hour * 1000, extent(50, 90), 1, "deletes"},
		{"the changelog ends before the store", 91, 0, extent(50, 90), 1, "not the changelog"},
		{"the changelog begins behind the store", 49, 0, extent(50, 90), 1, "is gone"},
		{"the changelog begins behind the store and is empty", 89, 0, extent(90, 90), 1, "is gone"},
	} {
		reason := Check(store.Checkpoint{Next: c.next, Time: now.Add(-c.age)}, c.extent, c.markers, now, horizon)
		if c.reason == "" && reason != "" || !strings.Contains(reason, c.reason) {
			t.Errorf("%s: made anew because %q, want %q", c.about, reason, c.reason)
		}
	}
}

// Half of the time that deletes are kept, which is a day if nothing is said.
func TestTheHorizonIsHalfOfWhatDeletesAreKept(t *testing.T) {
	if h := Horizon(log.Topic{}); h != 12*time.Hour {
		t.Errorf("by default it is %v", h)
	}
	if h := Horizon(log.Topic{DeleteRetention: time.Hour}); h != 30*time.Minute {
		t.Errorf("of an hour it is %v", h)
	}
}
