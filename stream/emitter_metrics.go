package stream

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// A Registerer is where metrics are registered: Prometheus' own.
type Registerer = prometheus.Registerer

// emitterMetrics counts what one emitter does.
type emitterMetrics struct {
	records  prometheus.Counter
	bytes    prometheus.Counter
	duration prometheus.Histogram
	outcomes *prometheus.CounterVec
}

func newEmitterMetrics(r Registerer, id string, q *emitQueue) *emitterMetrics {
	labels := prometheus.Labels{"emitter": id}
	m := &emitterMetrics{
		records: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tagtide_emitter_records_total", Help: "Records committed.", ConstLabels: labels,
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tagtide_emitter_bytes_total", Help: "Bytes committed.", ConstLabels: labels,
		}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tagtide_emitter_commit_duration_seconds", Help: "Time that transactions took.", ConstLabels: labels,
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tagtide_emitter_transactions_total", Help: "Transactions by outcome.", ConstLabels: labels,
		}, []string{"outcome"}),
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tagtide_emitter_waiting_bytes", Help: "Bytes handed over and not committed yet.", ConstLabels: labels,
	}, func() float64 { return float64(q.size()) })
	limit := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tagtide_emitter_waiting_limit_bytes", Help: "Bytes that may wait for their commit.", ConstLabels: labels,
	})
	limit.Set(float64(q.max))
	registerAnew(r, m.records, m.bytes, m.duration, m.outcomes, waiting, limit)
	return m
}

// registerAnew registers collectors, each in the place of the one that an
// earlier emitter of the same id left there.
func registerAnew(r Registerer, collectors ...prometheus.Collector) {
	if r == nil {
		return
	}
	for _, c := range collectors {
		var earlier prometheus.AlreadyRegisteredError
		if errors.As(r.Register(c), &earlier) && r.Unregister(earlier.ExistingCollector) {
			_ = r.Register(c) // whoever was faster has the place
		}
	}
}

// ended counts one outcome of a transaction.
func (m *emitterMetrics) ended(took time.Duration, err error) {
	m.duration.Observe(took.Seconds())
	switch {
	case err == nil:
		m.outcomes.WithLabelValues("committed").Inc()
	case errors.Is(err, log.ErrInDoubt):
		m.outcomes.WithLabelValues("in_doubt").Inc()
	default:
		m.outcomes.WithLabelValues("failed").Inc()
	}
}

// finished counts what a transaction brought, once it is known to be committed.
func (m *emitterMetrics) finished(f *emitFlight) {
	for _, load := range f.loads {
		m.records.Add(float64(load.count))
		m.bytes.Add(float64(load.bytes))
	}
}
