package thread

import (
	"slices"
	"time"

	"github.com/tagtide/tagtide/stream/internal/assign"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/task"
)

// A Status is what a thread tells about itself; a copy, for other goroutines.
type Status struct {
	Tasks    []TaskStatus
	Standbys []TaskStatus
	Commits  int64 // decided as committed
	Dropped  int64 // times that uncommitted work was dropped
	Staged   int   // bytes in the open interval
}

// A TaskStatus tells about one task.
type TaskStatus struct {
	ID       assign.Task
	State    State
	Sources  []SourceStatus
	Restored int64 // changelog positions gone through since the restore began
	ToGo     int64 // changelog positions left
	// Lag is how many changelog positions the tables lack, -1 if that is not
	// known; 0 of a task that runs.
	Lag int64
	// Left is about how long it takes until ToGo is 0; -1 if that is not known.
	Left  time.Duration
	Stats task.Stats
}

// A SourceStatus tells about one input partition of a task.
type SourceStatus struct {
	Partition record.Partition
	Committed int64
	Stable    int64 // where committed reading ended when it was last read
}

type counters struct{ commits, dropped int64 }

// Status returns what the thread last told about itself.
func (t *Thread) Status() *Status { return t.status.Load() }

func (t *Thread) publish(now time.Time) {
	s := &Status{Commits: t.count.commits, Dropped: t.count.dropped, Staged: t.staged()}
	for _, r := range t.runs {
		if r.standby {
			s.Standbys = append(s.Standbys, r.status(now))
		} else {
			s.Tasks = append(s.Tasks, r.status(now))
		}
	}
	slices.SortFunc(s.Tasks, func(a, b TaskStatus) int { return a.ID.Compare(b.ID) })
	t.status.Store(s)
}

func (r *run) status(now time.Time) TaskStatus {
	s := TaskStatus{ID: r.id, State: r.state, Lag: r.lag(), Left: -1}
	if r.leaving {
		s.State = Closing
	}
	for _, c := range r.copies {
		if r.standby || !c.forever {
			applied := c.follower.Applied()
			s.Restored += applied - c.from
			s.ToGo += max(0, c.target-applied)
		}
	}
	switch taken := now.Sub(r.began); {
	case s.ToGo == 0 && s.Lag >= 0:
		s.Left = 0
	case s.Restored > 0:
		s.Left = time.Duration(float64(taken) / float64(s.Restored) * float64(s.ToGo))
	}
	if r.task == nil {
		return s
	}
	s.Stats = r.task.Stats()
	for i, p := range r.sources {
		s.Sources = append(s.Sources, SourceStatus{Partition: p, Committed: max(r.committed[i], 0), Stable: max(r.stable[i], r.committed[i], 0)})
	}
	return s
}
