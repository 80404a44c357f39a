package xstream

import (
	"time"

	"github.com/tagtide/tagtide/emitter/live"
)

// backoff knows how long to wait before the next try, in the way that X asks of
// its users. The zero value is ready.
//
//	an established connection ended    at once
//	the network failed                 250 ms more each time, up to 16 s
//	X has trouble (HTTP 5xx)           5 s, doubled up to 320 s
//	too many requests (HTTP 429)       1 min, doubled up to 16; or until X says
//	another connection is open         like trouble: X notices late that one has ended
//	the rules are gone (HTTP 409)      at once, since they are made anew; then like trouble
//	what was paid for is used up       an hour: X does not say until when
//
// At once means the first time: a connection that ends again before it held
// counts as one that failed.
type backoff struct {
	last   live.Schedule
	failed int // tries in a row that failed for reasons of the same schedule
}

// holds is how long a connection must have held to be a good one: until the
// first sign of life that X promises.
const holds = 20 * time.Second

// maxReset is the longest that X makes one wait for requests. More is an error
// of a clock, or of a server that is not X.
const maxReset = 24 * time.Hour

// held takes note of a connection that held.
func (b *backoff) held() { b.failed = 0 }

// wait returns how long to wait from now, without jitter.
func (b *backoff) wait(f *failure, now time.Time) time.Duration {
	s := schedule(f.remedy)
	if s != b.last {
		b.last, b.failed = s, 0
	}
	before := b.failed
	b.failed++
	if f.remedy == again || f.remedy == renew {
		return s.After(before)
	}
	if d := f.until.Sub(now); f.remedy == limited && d > 0 && d <= maxReset {
		return d
	}
	return s.After(b.failed)
}

func schedule(r remedy) live.Schedule {
	switch r {
	case again, network:
		return live.Schedule{First: 250 * time.Millisecond, Max: 16 * time.Second}
	case limited:
		return live.Schedule{First: time.Minute, Factor: 2, Max: 16 * time.Minute}
	case capped:
		return live.Schedule{First: time.Hour, Factor: 1, Max: time.Hour}
	}
	return live.Schedule{First: 5 * time.Second, Factor: 2, Max: 320 * time.Second}
}
