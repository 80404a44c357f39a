package emitter

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tagtide/tagtide/stream"
)

// registerMetrics registers metrics that read the emitter's counters, in the
// place of those that an emitter before it left there.
func registerMetrics(r stream.Registerer, e *Emitter) {
	if r == nil {
		return
	}
	labels := func(more ...string) prometheus.Labels {
		l := prometheus.Labels{"source": e.source.Name(), "server": e.o.Server}
		for i := 0; i < len(more); i += 2 {
			l[more[i]] = more[i+1]
		}
		return l
	}
	source := labels()
	counter := func(name, help string, labels prometheus.Labels, read func() int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "tagtide_source_" + name, Help: help, ConstLabels: labels,
		}, func() float64 { return float64(read()) })
	}
	collectors := []prometheus.Collector{
		counter("events_total", "Messages read from the source.", source, e.count.messages.Load),
		counter("posts_total", "Posts and deletes handed over.", source, e.count.sent.Load),
		counter("undecodable_total", "Messages that could not be decoded.", source, e.count.undecodable.Load),
	}
	for why, name := range skipNames {
		collectors = append(collectors, counter("skipped_total", "Messages left out, by reason.",
			labels("reason", name), e.count.skipped[why].Load))
	}
	if e.source.Progress().Unit == "bytes" {
		collectors = append(collectors,
			counter("bytes_total", "Bytes of the source that are done.", source,
				func() int64 { return e.source.Progress().Done }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "tagtide_source_remaining_bytes", Help: "Bytes of the source that are to come.", ConstLabels: source,
			}, func() float64 { p := e.source.Progress(); return float64(max(p.Total-p.Done, 0)) }))
	}
	if _, ok := e.source.(Live); ok {
		collectors = append(collectors, liveMetrics(e, source)...)
	}
	registerAnew(r, collectors...)
}

// liveMetrics read what a live source tells of itself.
func liveMetrics(e *Emitter, labels prometheus.Labels) []prometheus.Collector {
	gauge := func(name, help string, read func(State) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tagtide_source_" + name, Help: help, ConstLabels: labels},
			func() float64 { return read(e.state()) })
	}
	return []prometheus.Collector{
		gauge("connected", "Whether the source is connected to its network: 1 or 0.", func(s State) float64 {
			if s.Phase == Connected {
				return 1
			}
			return 0
		}),
		gauge("last_heard_timestamp_seconds", "When anything came from the network last; 0: never.", func(s State) float64 {
			if s.Heard.IsZero() {
				return 0
			}
			return float64(s.Heard.UnixMilli()) / 1000
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "tagtide_source_reconnects_total", Help: "Connections that were lost or could not be made.", ConstLabels: labels,
		}, func() float64 { return float64(e.state().Reconnects) }),
	}
}

// registerAnew registers collectors, each in the place of the one that is
// there.
func registerAnew(r stream.Registerer, collectors ...prometheus.Collector) {
	for _, c := range collectors {
		var earlier prometheus.AlreadyRegisteredError
		if errors.As(r.Register(c), &earlier) && r.Unregister(earlier.ExistingCollector) {
			_ = r.Register(c) // whoever was faster has the place
		}
	}
}
