package api

import (
	"fmt"
	"net/http"
)

// A Check is one condition of readiness. Its detail is the reason while not OK.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// healthz says that the process answers, and nothing else: it must not depend
// on a log that a restart of this process would not repair.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, "application/json", map[string]string{"status": "ok"})
	return nil
}

// readyz says whether answers are worth sending requests for.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) error {
	checks := s.checks()
	for _, c := range checks {
		if !c.OK {
			return notReady(checks)
		}
	}
	writeJSON(w, http.StatusOK, "application/json", map[string]any{"status": "ready", "checks": checks})
	return nil
}

func (s *Server) checks() []Check {
	checks := []Check{}
	if s.leaving.Load() {
		checks = append(checks, Check{Name: "server", Detail: "shutting down"})
	}
	if s.counts != nil {
		checks = append(checks, CheckCounts(s.counts.Freshness()))
	}
	return append(checks, s.opts.Ready()...)
}

// CheckCounts is the condition that a server of counts looks at by itself; for
// another one that answers for the same process. It does not hold until the counts are complete for the first time. Later
// they stay ready though disconnected: they still answer and say how old they
// are, and every instance loses the same log at once, so a balancer that took
// them all away would only turn old answers into none.
func CheckCounts(f Freshness) Check {
	c := Check{Name: "counts", OK: true, Detail: string(f.State)}
	switch {
	case f.State == Restoring:
		c.OK, c.Detail = false, fmt.Sprintf("restoring, %.0f %% done", 100*f.Progress)
	case f.AsOf.IsZero():
		c.OK, c.Detail = false, "never connected"
	}
	return c
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, "application/json", s.opts.Build)
	return nil
}
