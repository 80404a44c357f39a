package api

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A problem is an error answer in the format of RFC 9457. Its type resolves to
// the section of api/README.md that explains it.
type problem struct {
	Type     string   `json:"type"`
	Title    string   `json:"title"`
	Status   int      `json:"status"`
	Detail   string   `json:"detail"`
	Instance string   `json:"instance,omitempty"`
	Errors   []fault  `json:"errors,omitempty"`
	Progress *float64 `json:"progress,omitempty"`
	Checks   []Check  `json:"checks,omitempty"`

	// retryAfter becomes the Retry-After header, if above 0.
	retryAfter time.Duration
}

// A fault is one thing wrong with one query parameter or path segment.
type fault struct {
	Parameter string `json:"parameter"`
	Value     string `json:"value,omitempty"`
	Detail    string `json:"detail"`
}

const problemTypes = "https://github.com/tagtide/tagtide/blob/main/api/README.md#"

func newProblem(status int, name, title, detail string) *problem {
	return &problem{Type: problemTypes + name, Title: title, Status: status, Detail: detail}
}

// Error makes a problem an error, so that handlers return it as one.
func (p *problem) Error() string { return p.Title + ": " + p.Detail }

func notFound(detail string) *problem {
	return newProblem(http.StatusNotFound, "not-found", "Not found", detail)
}

func invalid(faults []fault) *problem {
	details := make([]string, len(faults))
	for i, f := range faults {
		details[i] = f.Detail
	}
	p := newProblem(http.StatusBadRequest, "invalid-parameter", "Invalid parameter", strings.Join(details, "; "))
	p.Errors = faults
	return p
}

// restoring says how far the restore is and when to ask again: when it should
// be over, but within half a minute, for the estimate moves.
func restoring(f Freshness) *problem {
	p := newProblem(http.StatusServiceUnavailable, "restoring", "Restoring",
		fmt.Sprintf("the counts are being restored, %.0f %% done; allow_stale=true answers with what is there", 100*f.Progress))
	p.Progress = &f.Progress
	p.retryAfter = min(max(f.ETA, 2*time.Second), 30*time.Second)
	return p
}

func notReady(checks []Check) *problem {
	var reasons []string
	for _, c := range checks {
		if !c.OK {
			reasons = append(reasons, c.Name+": "+c.Detail)
		}
	}
	p := newProblem(http.StatusServiceUnavailable, "not-ready", "Not ready", strings.Join(reasons, "; "))
	p.Checks = checks
	return p
}

// asProblem turns an error of a handler into its answer; one that is no
// problem is the server's own fault and keeps its text to the log.
func asProblem(err error) (p *problem, internal bool) {
	if errors.As(err, &p) {
		return p, false
	}
	return newProblem(http.StatusInternalServerError, "internal", "Internal error", "the server failed; its log says why"), true
}

func writeProblem(w http.ResponseWriter, r *http.Request, p *problem) {
	answer := *p
	answer.Instance = r.URL.EscapedPath()
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, p.Status, "application/problem+json", answer)
}
