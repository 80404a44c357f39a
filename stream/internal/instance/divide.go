package instance

import (
	"slices"

	"github.com/tagtide/tagtide/stream/internal/assign"
	"github.com/tagtide/tagtide/stream/internal/log"
)

// divide is the group's assignor. While there is a member that cannot be
// understood, of another version say, nothing moves: it may be working on
// anything that nobody else owns, so it is given again what it was given last,
// and the others keep what they have.
func divide(members []log.MemberInfo, g assign.Group) map[string][]byte {
	var known []assign.Member
	assignments := map[string][]byte{}
	for _, m := range members {
		r, err := understand(m)
		if err != nil {
			assignments[m.ID] = m.Assignment
			continue
		}
		known = append(known, assign.Member{
			ID: m.ID, Owns: r.Owns, Follows: r.Follows, Lags: r.Lags, Threads: r.Threads, Instance: r.Instance, Endpoint: r.Endpoint,
		})
	}
	plan := assign.Plan
	if len(assignments) > 0 {
		plan = assign.Stand
	}
	for id, order := range plan(known, g) {
		assignments[id] = assign.EncodeOrder(order)
	}
	return assignments
}

// understand reads what a member reports. Unless it has seen the last order, it
// may also own what was in that, because it may have taken that up since, or not
// have released it.
func understand(m log.MemberInfo) (assign.Report, error) {
	report, err := assign.DecodeReport(m.Metadata)
	if err != nil || report.Seen == assign.Sum(m.Assignment) {
		return report, err
	}
	last, err := assign.DecodeOrder(m.Assignment)
	for _, t := range slices.Concat(last.Tasks, last.Release) {
		if !slices.Contains(report.Owns, t) {
			report.Owns = append(report.Owns, t)
		}
	}
	report.Follows = slices.DeleteFunc(report.Follows, func(t assign.Task) bool { return slices.Contains(report.Owns, t) })
	return report, err
}
