package view

import "time"

// rateWindow is over how long the rate is taken.
const rateWindow = 10 * time.Second

// A rate tells how fast a total has been growing lately. What was there when
// it was first noted does not count as growth.
type rate struct {
	samples []sample // at most one a rateStep, oldest first; the first may be older than the window
}

type sample struct {
	at    time.Time
	total int64
}

// rateStep is how finely samples are kept.
const rateStep = rateWindow / 20

// note takes a sample.
func (r *rate) note(total int64, now time.Time) {
	n := len(r.samples)
	if n > 1 && now.Sub(r.samples[n-2].at) < rateStep {
		r.samples[n-1] = sample{now, total}
		return
	}
	r.samples = append(r.samples, sample{now, total})
	for len(r.samples) > 2 && now.Sub(r.samples[1].at) >= rateWindow {
		r.samples = r.samples[1:]
	}
}

// perSecond is the growth over the last window, or since the first sample.
func (r *rate) perSecond(now time.Time) float64 {
	if len(r.samples) < 2 {
		return 0
	}
	base, last := r.samples[0], r.samples[len(r.samples)-1]
	for _, s := range r.samples {
		if now.Sub(s.at) >= rateWindow {
			base = s
		}
	}
	elapsed := min(now.Sub(base.at), rateWindow)
	if elapsed < rateStep {
		return 0
	}
	return float64(last.total-base.total) / elapsed.Seconds()
}
