package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// handled asks a tagtide's own metrics how long the handler of a route took,
// from the request read to the answer written: the smallest bound of the
// histogram, in microseconds, under which at least the part q of them stayed.
// What it lacks of a client's own measurement is waiting for a processor,
// on both sides of the connection.
func handled(url, route string, q float64) (micros float64, err error) {
	resp, err := http.Get(url + "/metrics")
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		return 0, fmt.Errorf("read %s/metrics: %w", url, err)
	}
	for _, m := range families["tagtide_http_request_duration_seconds"].GetMetric() {
		for _, label := range m.GetLabel() {
			if label.GetName() != "route" || label.GetValue() != route {
				continue
			}
			for _, b := range m.GetHistogram().GetBucket() {
				if float64(b.GetCumulativeCount()) >= q*float64(m.GetHistogram().GetSampleCount()) {
					return b.GetUpperBound() * 1e6, nil
				}
			}
		}
	}
	return 0, errors.New("the metrics do not have " + route)
}
