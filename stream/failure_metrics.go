package stream

import "github.com/prometheus/client_golang/prometheus"

// badRecords counts records whose step failed and that stopped nothing. One
// that is stepped again after a commit failed is counted again.
type badRecords struct{ count *prometheus.CounterVec }

func newBadRecords(r Registerer, group string) *badRecords {
	b := &badRecords{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tagtide_processor_bad_records_total",
		Help: "Records that were set aside or skipped, by the reason: decode, size, panic or step. Before any commit.", ConstLabels: prometheus.Labels{"group": group},
	}, []string{"topic", "reason"})}
	registerAnew(r, b.count)
	return b
}

func (b *badRecords) add(topic, reason string) { b.count.WithLabelValues(topic, reason).Inc() }
