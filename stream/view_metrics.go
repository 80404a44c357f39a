package stream

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// registerViewMetrics registers what a view tells about itself.
func registerViewMetrics(r Registerer, table string, freshness func() Freshness) {
	gauge := func(name, help string, f func(Freshness) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tagtide_view_" + name, Help: help, ConstLabels: prometheus.Labels{"table": table},
		}, func() float64 { return f(freshness()) })
	}
	registerAnew(r,
		gauge("ready", "1 once the view has caught up for the first time.", func(f Freshness) float64 { return oneIf(f.State != Restoring) }),
		gauge("lag", "Positions that had not reached the view when lag was last measured; -1 when not known.", func(f Freshness) float64 { return float64(f.Lag) }),
		gauge("staleness_seconds", "Age of the last measurement of lag; 0 before the first.", func(f Freshness) float64 {
			if f.AsOf.IsZero() {
				return 0
			}
			return time.Since(f.AsOf).Seconds()
		}),
		gauge("restore_progress_ratio", "Part of the view's restore that is done.", func(f Freshness) float64 { return f.Progress }),
	)
}
