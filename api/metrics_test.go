package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/tagtide/tagtide/api"
)

// scrape reads /metrics the way Prometheus does.
func (c client) scrape() map[string]*dto.MetricFamily {
	c.t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(c.get("/metrics").body))
	if err != nil {
		c.t.Fatal(err)
	}
	return families
}

func TestMetricsCountRequestsByRouteAndNeverByTag(t *testing.T) {
	c := serve(t, pandemic(), api.Options{})
	for _, path := range []string{"/api/v1/top", "/api/v1/top?limit=0", "/api/v1/hashtags/covid19", "/api/v1/hashtags/secrettag", "/hashtags/covid19", "/secrettag", "/"} {
		c.get(path)
	}
	c.do("SECRETTAG", "/api/v1/top")
	// An answer may arrive before it is counted.
	until(t, "all requests are counted", func() bool { return total(requests(c.scrape())) >= 8 })
	families := c.scrape()
	for want, n := range map[string]float64{
		"/api/v1/top get 200":            1,
		"/api/v1/top get 400":            1,
		"/api/v1/hashtags/{tag} get 200": 1,
		"/api/v1/hashtags/{tag} get 404": 1,
		"/hashtags/{tag} get 200":        1,
		"/ get 200":                      1,
		"unmatched get 404":              1,
		"unmatched unknown 405":          1,
	} {
		if got := requests(families)[want]; got != n {
			t.Errorf("%s: %v requests, want %v", want, got, n)
		}
	}
	if body := c.get("/metrics").body; strings.Contains(body, "secrettag") || strings.Contains(body, "covid19") {
		t.Error("a tag became a label")
	}
	if families["tagtide_http_request_duration_seconds"].GetType() != dto.MetricType_HISTOGRAM || families["tagtide_http_requests_in_flight"] == nil {
		t.Error("duration or requests in flight are missing")
	}
}

// requests are the samples of the request counter by "route method code".
func requests(families map[string]*dto.MetricFamily) map[string]float64 {
	found := map[string]float64{}
	for _, m := range families["tagtide_http_requests_total"].GetMetric() {
		labels := map[string]string{}
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		found[labels["route"]+" "+labels["method"]+" "+labels["code"]] = m.GetCounter().GetValue()
	}
	return found
}

// total is the number of requests that were no scrapes.
func total(requests map[string]float64) (n float64) {
	for route, count := range requests {
		if !strings.HasPrefix(route, "/metrics") {
			n += count
		}
	}
	return n
}

func TestMetricsPassPrometheusLint(t *testing.T) {
	c := serve(t, pandemic(), api.Options{})
	c.get("/api/v1/top")
	problems, err := promlint.New(strings.NewReader(c.get("/metrics").body)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func TestServersOfOneProcessShareTheirMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	public := serve(t, pandemic(), api.Options{Metrics: registry})
	admin := httptest.NewServer(api.NewAdmin(api.Options{Metrics: registry}).Handler())
	t.Cleanup(admin.Close)
	public.get("/api/v1/top")
	private := client{t, admin.URL, public.Client}
	until(t, "the admin server shows the request of the public one", func() bool {
		return requests(private.scrape())["/api/v1/top get 200"] == 1
	})
}

func TestAdminServesOperationAlone(t *testing.T) {
	admin := httptest.NewServer(api.NewAdmin(api.Options{}).Handler())
	t.Cleanup(admin.Close)
	c := client{t, admin.URL, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	for path, want := range map[string]int{
		"/healthz": 200, "/readyz": 200, "/version": 200, "/metrics": 200, "/debug/pprof/": 200, "/debug/pprof/goroutine": 200,
		"/": 404, "/api/v1/top": 404, "/hashtags/covid19": 404,
	} {
		if got := c.get(path); got.StatusCode != want {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
}
