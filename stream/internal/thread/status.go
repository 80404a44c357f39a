package thread

import (
	"slices"

	"github.com/tagtide/tagtide/stream/internal/assign"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/task"
)

// A Status is what a thread tells about itself; a copy, for other goroutines.
type Status struct {
	Tasks   []TaskStatus
	Commits int64 // decided as committed
	Dropped int64 // times that uncommitted work was dropped
	Staged  int   // bytes in the open interval
}

// A TaskStatus tells about one task.
type TaskStatus struct {
	ID       assign.Task
	State    State
	Sources  []SourceStatus
	Restored int64 // changelog positions gone through since the restore began
	ToGo     int64 // changelog positions left
	Stats    task.Stats
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

func (t *Thread) publish() {
	s := &Status{Commits: t.count.commits, Dropped: t.count.dropped, Staged: t.staged()}
	for _, r := range t.runs {
		s.Tasks = append(s.Tasks, r.status())
	}
	slices.SortFunc(s.Tasks, func(a, b TaskStatus) int { return a.ID.Compare(b.ID) })
	t.status.Store(s)
}

func (r *run) status() TaskStatus {
	s := TaskStatus{ID: r.id, State: r.state}
	if r.leaving {
		s.State = Closing
	}
	for _, c := range r.copies {
		if !c.forever {
			applied := c.follower.Applied()
			s.Restored += applied - c.from
			s.ToGo += max(0, c.target-applied)
		}
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
