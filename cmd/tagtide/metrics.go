package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tagtide/tagtide/api"
)

// newRegistry makes the registry that all parts share.
func newRegistry() api.Registry {
	r := prometheus.NewRegistry()
	build := version()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tagtide_build_info", Help: "Facts about this build; always 1.",
		ConstLabels: prometheus.Labels{"version": build.Version, "revision": build.Revision, "goversion": build.Go},
	})
	info.Set(1)
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), info)
	return r
}
