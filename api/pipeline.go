package api

import (
	"net/http"

	"github.com/tagtide/tagtide/internal/roster"
)

// pipeline is the answer about who does the work.
type pipeline struct {
	Data struct {
		Instances []roster.Instance `json:"instances"`
	} `json:"data"`
	Meta *meta `json:"meta,omitempty"` // absent where there are no counts
}

// pipeline tells of every process of the group that can be heard of. It answers
// while the counts are being restored too: that is when it is asked.
func (s *Server) pipeline(w http.ResponseWriter, r *http.Request) error {
	if err := readParams(r.URL.RawQuery).check(); err != nil {
		return err
	}
	var a pipeline
	if s.counts != nil {
		m := s.meta(s.counts.Freshness())
		a.Meta = &m
	}
	a.Data.Instances = s.opts.Pipeline()
	if a.Data.Instances == nil {
		a.Data.Instances = []roster.Instance{}
	}
	writeJSON(w, http.StatusOK, "application/json", a)
	return nil
}
