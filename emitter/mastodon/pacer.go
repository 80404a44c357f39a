package mastodon

import (
	"net/http"
	"strconv"
	"time"

	"github.com/tagtide/tagtide/emitter/live"
)

// longestWait is how long a server can make us wait by its limits.
const longestWait = time.Hour

// A pacer says when the next page may be asked for.
type pacer struct {
	every time.Duration // between two requests
	due   time.Time     // of the next
	now   func() time.Time
}

// asked tells that there was a request.
func (p *pacer) asked() { p.hold(p.every) }

// hold puts the next request off, if it would come earlier.
func (p *pacer) hold(d time.Duration) {
	if t := p.now().Add(d); t.After(p.due) {
		p.due = t
	}
}

// heed puts the next request off if the server says that none is left.
func (p *pacer) heed(h http.Header) {
	if left, err := strconv.Atoi(h.Get("X-RateLimit-Remaining")); err == nil && left <= 0 {
		p.hold(waitFor(h, p.now()))
	}
}

// waitFor returns how long a server wants us to wait, 0 if it does not say. It
// goes by the server's clock if that is known, so that ours may be wrong.
func waitFor(h http.Header, now time.Time) time.Duration {
	if d := live.RetryAfter(h, now); d > 0 {
		return min(d, longestWait)
	}
	reset, err := time.Parse(time.RFC3339, h.Get("X-RateLimit-Reset"))
	if err != nil {
		seconds, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64)
		if err != nil {
			return 0
		}
		reset = time.Unix(seconds, 0)
	}
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		now = t
	}
	return min(max(reset.Sub(now), 0), longestWait)
}
