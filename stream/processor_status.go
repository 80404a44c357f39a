package stream

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/tagtide/tagtide/stream/internal/thread"
)

// Tasks tells about the tasks this instance has, in order.
func (p *Processor) Tasks() []TaskInfo {
	a := p.running.Load()
	if a == nil {
		return nil
	}
	return a.tasks()
}

// Standbys tells about the tasks of other instances that this one keeps warm,
// in order: standbys, and warm-ups that will come here.
func (p *Processor) Standbys() []TaskInfo {
	a := p.running.Load()
	if a == nil {
		return nil
	}
	return a.standbys()
}

// Hosts tells who is in the group, as of the last rebalance that this instance
// has heard of.
func (p *Processor) Hosts() []HostInfo {
	a := p.running.Load()
	if a == nil {
		return nil
	}
	var hosts []HostInfo
	for _, h := range a.instance.Hosts() {
		info := HostInfo{Instance: h.Instance, Endpoint: h.Endpoint, Threads: h.Threads}
		for _, t := range h.Tasks {
			info.Tasks = append(info.Tasks, t.String())
		}
		hosts = append(hosts, info)
	}
	return hosts
}

// A HostInfo tells about one instance of a group.
type HostInfo struct {
	Instance string
	Endpoint string // where it answers queries; may be empty
	Threads  int
	Tasks    []string // that it was given
}

func (a *assembly) tasks() []TaskInfo {
	return a.infos(func(s *thread.Status) []thread.TaskStatus { return s.Tasks })
}

func (a *assembly) standbys() []TaskInfo {
	return a.infos(func(s *thread.Status) []thread.TaskStatus { return s.Standbys })
}

func (a *assembly) infos(of func(*thread.Status) []thread.TaskStatus) []TaskInfo {
	var tasks []TaskInfo
	for n, t := range a.threads {
		for _, s := range of(t.Status()) {
			tasks = append(tasks, taskInfo(n, s))
		}
	}
	slices.SortFunc(tasks, func(a, b TaskInfo) int { return cmp.Compare(a.Task, b.Task) })
	return tasks
}

// eachStatus walks what the threads last told: each thread, and each of its tasks.
func (p *Processor) eachStatus(thread func(n, staged int), task func(t TaskInfo, records, skipped, dead int64)) {
	a := p.running.Load()
	if a == nil {
		return
	}
	for n, t := range a.threads {
		s := t.Status()
		thread(n, s.Staged)
		for _, ts := range s.Tasks {
			task(taskInfo(n, ts), ts.Stats.Records, ts.Stats.Skipped, ts.Stats.Dead)
		}
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

// A TaskInfo tells about one task, or one standby.
type TaskInfo struct {
	Task     string // sub-topology_partition
	Thread   int
	State    string  // preparing, restoring, running, closing; of a standby: preparing, following
	Restored float64 // part of its restore that is done; 1 once it runs
	// TableLag is how many changelog positions its tables lack, Left about how
	// long getting there takes; -1 where that is not known.
	TableLag int64
	Left     time.Duration
	Inputs   []InputInfo
}

// An InputInfo tells about one input partition of a task.
type InputInfo struct {
	Topic     string
	Partition int32
	Committed int64 // position behind the last record whose effects are committed
	Lag       int64 // records (positions, to be exact) readable behind it
}

func taskInfo(n int, s thread.TaskStatus) TaskInfo {
	info := TaskInfo{Task: s.ID.String(), Thread: n, State: s.State.String(), TableLag: s.Lag, Left: s.Left}
	switch {
	case s.State == thread.Running || s.State == thread.Closing || s.Lag == 0:
		info.Restored = 1
	case s.Restored+s.ToGo > 0:
		info.Restored = float64(s.Restored) / float64(s.Restored+s.ToGo)
	}
	for _, in := range s.Sources {
		info.Inputs = append(info.Inputs, InputInfo{in.Partition.Topic, in.Partition.Number, in.Committed, in.Stable - in.Committed})
	}
	return info
}
