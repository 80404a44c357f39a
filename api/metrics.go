package api

import (
	"errors"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// A Registry is where metrics are registered and gathered from; a
// *prometheus.Registry is one.
type Registry interface {
	prometheus.Registerer
	prometheus.Gatherer
}

func newRegistry() Registry { return prometheus.NewRegistry() }

// unmatched is the route label of requests that no route takes. Labels hold
// route templates only: never a path, never a hashtag.
const unmatched = "unmatched"

type metrics struct {
	registry Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newMetrics(r Registry) *metrics {
	return &metrics{
		registry: r,
		requests: register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tagtide_http_requests_total",
			Help: "HTTP requests answered, by route template, method and status code.",
		}, []string{"route", "method", "code"})),
		duration: register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tagtide_http_request_duration_seconds",
			Help:    "Time from the request's header to the end of its answer, by route template.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .1, .5, 2.5, 10, 60},
		}, []string{"route"})),
		inFlight: register(r, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tagtide_http_requests_in_flight",
			Help: "HTTP requests being answered now.",
		})),
	}
}

// register registers c, or returns its twin when another server of the process
// has registered it in the same registry before. Any other clash is a bug.
func register[C prometheus.Collector](r Registry, c C) C {
	var twin prometheus.AlreadyRegisteredError
	err := r.Register(c)
	switch {
	case err == nil:
		return c
	case errors.As(err, &twin):
		return twin.ExistingCollector.(C)
	default:
		panic(err)
	}
}

func (m *metrics) measure(route string, next http.Handler) http.Handler {
	labels := prometheus.Labels{"route": route}
	next = promhttp.InstrumentHandlerCounter(m.requests.MustCurryWith(labels), next)
	next = promhttp.InstrumentHandlerDuration(m.duration.MustCurryWith(labels), next)
	return promhttp.InstrumentHandlerInFlight(m.inFlight, next)
}

func (m *metrics) expose() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		DisableCompression: true, // the server does it for all routes
		ErrorHandling:      promhttp.ContinueOnError,
	})
}
