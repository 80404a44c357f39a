package thread

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A replay begins where a dumb look at all timestamps says, or a little before;
// and while clocks are right, a few questions find that.
func TestAReplayIsLocatedWithFewQuestions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.UnixMilli(1_800_000_000_000)
		spread := rapid.SampledFrom([]int64{1_000, 100_000_000, now.UnixMilli()}).Draw(t, "spread")
		replay := time.Duration(rapid.Int64Range(0, 1_000_000_000).Draw(t, "replay")) * time.Millisecond
		stamps := rapid.SliceOfN(rapid.Int64Range(now.UnixMilli()-spread, now.UnixMilli()+spread/2), 1, 40).Draw(t, "stamps")
		limit := rapid.Int64Range(0, int64(len(stamps))).Draw(t, "limit")
		questions := 0
		first := func(timestamp int64) (int64, error) {
			questions++
			at := slices.IndexFunc(stamps, func(s int64) bool { return s >= timestamp })
			if at < 0 {
				at = len(stamps)
			}
			return int64(at), nil
		}
		begin, err := locateReplay(first, limit, replay, now)
		if err != nil {
			t.Fatal(err)
		}
		asked := questions
		latest, earliest := limit, limit
		if limit > 0 {
			oldest := slices.Max(stamps[:limit]) - replay.Milliseconds()
			latest, _ = first(oldest)
			earliest, _ = first(oldest - replay.Milliseconds()/replayParts)
		}
		if begin < earliest || begin > latest {
			t.Errorf("begins at %d, want %d to %d", begin, earliest, latest)
		}
		if replay > 10*time.Hour && spread == 1_000 && asked > 8 {
			t.Errorf("%d questions", asked)
		}
	})
}
