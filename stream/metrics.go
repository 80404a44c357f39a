package stream

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// processorMetrics tell about one processor: most of it is collected from its
// tasks when somebody asks.
type processorMetrics struct {
	p        *Processor
	duration prometheus.Histogram
	failures prometheus.Counter

	records, skipped, dead, lag, state, restored, left, standby, staged *prometheus.Desc
}

func newProcessorMetrics(r Registerer, p *Processor) *processorMetrics {
	labels := prometheus.Labels{"group": p.graph.Group()}
	desc := func(name, help string, variable ...string) *prometheus.Desc {
		return prometheus.NewDesc("tagtide_processor_"+name, help, variable, labels)
	}
	m := &processorMetrics{
		p: p,
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tagtide_processor_commit_duration_seconds", Help: "Time from sealing a transaction to its being in the store.",
			ConstLabels: labels, Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tagtide_processor_commit_failures_total", Help: "Transactions that did not commit, or not at the first try.", ConstLabels: labels,
		}),
		records:  desc("records_total", "Records handled since the task came to this instance, before any commit.", "task"),
		skipped:  desc("skipped_records_total", "Records left out because their step failed.", "task"),
		dead:     desc("dead_letters_total", "Records that became dead letters because their step failed.", "task"),
		lag:      desc("partition_lag", "Positions that can be read and are not committed as handled.", "topic", "partition"),
		state:    desc("task_state", "1 for the state that a task is in.", "task", "state"),
		restored: desc("restore_progress_ratio", "Part of a task's restore that is done.", "task"),
		left:     desc("restore_seconds_left", "About how long a task's restore will take; not there while nobody knows.", "task"),
		standby:  desc("standby_lag", "Changelog positions that a standby's tables lack; not there before it has begun.", "task"),
		staged:   desc("staged_bytes", "Memory that uncommitted work holds.", "thread"),
	}
	registerAnew(r, m, m.duration, m.failures)
	return m
}

func (m *processorMetrics) committed(took time.Duration, err error) {
	if err != nil {
		m.failures.Inc()
		return
	}
	m.duration.Observe(took.Seconds())
}

// Describe sends the descriptions of what Collect sends.
func (m *processorMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.records, m.skipped, m.dead, m.lag, m.state, m.restored, m.left, m.standby, m.staged} {
		ch <- d
	}
}

// Collect reads what the threads last told about themselves.
func (m *processorMetrics) Collect(ch chan<- prometheus.Metric) {
	m.p.eachStatus(func(n int, staged int) {
		ch <- prometheus.MustNewConstMetric(m.staged, prometheus.GaugeValue, float64(staged), itoa(n))
	}, func(t TaskInfo, records, skipped, dead int64) {
		for desc, v := range map[*prometheus.Desc]int64{m.records: records, m.skipped: skipped, m.dead: dead} {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(v), t.Task)
		}
		for _, in := range t.Inputs {
			ch <- prometheus.MustNewConstMetric(m.lag, prometheus.GaugeValue, float64(in.Lag), in.Topic, itoa(int(in.Partition)))
		}
		for _, state := range []string{"preparing", "restoring", "running", "closing"} {
			ch <- prometheus.MustNewConstMetric(m.state, prometheus.GaugeValue, oneIf(t.State == state), t.Task, state)
		}
		ch <- prometheus.MustNewConstMetric(m.restored, prometheus.GaugeValue, t.Restored, t.Task)
		if t.Left >= 0 {
			ch <- prometheus.MustNewConstMetric(m.left, prometheus.GaugeValue, t.Left.Seconds(), t.Task)
		}
	})
	for _, t := range m.p.Standbys() {
		if t.TableLag >= 0 {
			ch <- prometheus.MustNewConstMetric(m.standby, prometheus.GaugeValue, float64(t.TableLag), t.Task)
		}
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
