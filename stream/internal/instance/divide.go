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
//
// Nor does anything move while a member does not know of all partitions that
// others know of: it could not work on them. The order tells it to look, so that
// is over at once. The tasks are those of the partitions that anybody knows of,
// whether the leader does or not.
func divide(members []log.MemberInfo, g assign.Group) map[string][]byte {
	var known []assign.Member
	var partitions [][]int32 // by member
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
		partitions = append(partitions, r.Partitions)
	}
	most, agreed := most(partitions)
	g.Tasks = assign.Tasks(most)
	plan := assign.Plan
	if len(assignments) > 0 || !agreed {
		plan = assign.Stand
	}
	for id, order := range plan(known, g) {
		order.Partitions = most
		assignments[id] = assign.EncodeOrder(order)
	}
	return assignments
}

// most is the largest number of partitions that any member knows of, by
// sub-topology, and whether all know of as many.
func most(partitions [][]int32) (most []int32, agreed bool) {
	for _, knows := range partitions {
		for sub, n := range knows {
			if sub == len(most) {
				most = append(most, n)
			}
			most[sub] = max(most[sub], n)
		}
	}
	return most, !slices.ContainsFunc(partitions, func(knows []int32) bool { return !slices.Equal(knows, most) })
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
