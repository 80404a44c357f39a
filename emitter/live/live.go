// Package live is what the sources that listen to a network share. Each keeps
// one connection at a time, and two goroutines for it: one reads the connection
// into an [Inbox], the other sends on whatever has come by then. So a block is
// as large as the source is ahead of the log, never waits for more, and a sink
// that holds back is felt by the network as a slow reader.
//
//	connection ──▶ Watch ──▶ Lines or frames ──▶ Inbox ──▶ block ──▶ sink
//	     ▲           │ silent: ended               │ full: not read on
//	     └─ Schedule ┴───────── Keeper: what State tells
package live

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// A Schedule is how long to wait before the next try, by the number of those
// that failed in a row. The zero value never waits.
type Schedule struct {
	// First is the wait after the first failure.
	First time.Duration
	// Factor by which each wait is longer than the one before; 0: each is
	// longer by First.
	Factor float64
	// Max is the longest wait; at most math.MaxInt64/2, so that jitter fits.
	Max time.Duration
}

// After returns the wait after so many failures in a row, without jitter.
func (s Schedule) After(failures int) time.Duration {
	if failures <= 0 {
		return 0
	}
	if s.Factor == 0 {
		return time.Duration(min(float64(s.First)*float64(failures), float64(s.Max)))
	}
	wait := float64(s.First)
	for range failures - 1 {
		if wait *= s.Factor; wait >= float64(s.Max) {
			break
		}
	}
	return time.Duration(min(wait, float64(s.Max)))
}

// Jitter returns d or up to half as much again, so that many who failed
// together do not come back together, and none comes sooner than it was asked
// to.
func Jitter(d time.Duration) time.Duration {
	if d <= 1 {
		return d
	}
	return d + rand.N(d/2)
}

// Sleep waits, or returns why ctx ended.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// RetryAfter reads how long an answer asks to wait (RFC 9110, 10.2.3): 0 if it
// does not say, or nothing that can be read.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	const most = 24 * time.Hour // who says more is not to be believed
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, most)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), most)
	}
	return 0
}
