// Package roster is who takes part in a group. Every process of it writes what
// it is doing into one compacted topic, every two seconds; whoever wants to
// know follows that topic and keeps a Roster. No process needs to be reachable
// by another one for it, only the log.
//
// What a roster says is news, not truth: it may be two seconds old, and a
// process that was killed is known to be silent only after ten. Nothing but
// answers to people may depend on it.
package roster

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Timing of news.
const (
	// Every is the time between two reports of a process.
	Every = 2 * time.Second
	// SilentAfter is how long a process may say nothing before it is called silent.
	SilentAfter = 10 * time.Second
	// ForgetAfter is how long a silent process is told of.
	ForgetAfter = 10 * time.Minute
)

// A State is what a process last let know of itself.
type State string

const (
	// Running processes report.
	Running State = "running"
	// Silent processes should have, and have not: stopped, cut off or dead.
	Silent State = "silent"
	// Left processes have said so, and are not told of any more.
	Left State = "left"
)

// An Instance is one process.
type Instance struct {
	Name    string    `json:"instance"` // unique among all that live
	Role    string    `json:"role"`     // run, emit, process or serve
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	// Seen is when the process last reported: by its own clock in what it
	// writes, by the reader's clock in what a Roster returns.
	Seen  time.Time `json:"seen"`
	State State     `json:"state"`
	// Sources are those that its emitters read, in the order they were asked for.
	Sources []Source `json:"sources"`
	Tasks   []Task   `json:"tasks"` // of a processor, in order, then its standbys
	View    *View    `json:"view,omitempty"`
}

// A Source is one that an instance reads posts from.
type Source struct {
	Source string `json:"source"`           // its kind
	Server string `json:"server,omitempty"` // of several of its kind
	// State of a network's is connecting, connected, waiting (to connect
	// again); of others reading; of all, at the end, ended, or stopped if it
	// will not go on unless somebody mends something.
	State      string    `json:"state"`
	Since      time.Time `json:"since"`              // it is in that state
	Peer       string    `json:"peer,omitempty"`     // that it is connected to, or tries to be
	Heard      time.Time `json:"heard,omitzero"`     // when anything came from there last
	Reconnects int64     `json:"reconnects"`         // connections that were lost or could not be made
	Problem    string    `json:"problem,omitempty"`  // why the last one was, or why it has stopped
	Messages   int64     `json:"messages"`           // read since the start
	Posts      int64     `json:"posts"`              // and deletes, of them, handed over
	Skipped    int64     `json:"skipped"`            // left out
	Bad        int64     `json:"undecodable"`        // handed over as they were
	Progress   *Progress `json:"progress,omitempty"` // absent where there is no end
}

// Progress of a source that has an end.
type Progress struct {
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
	Unit  string `json:"unit"` // of both: bytes or posts
}

// A Task is one that an instance works on.
type Task struct {
	Task     string  `json:"task"`  // sub-topology_partition
	State    string  `json:"state"` // preparing, restoring, running, closing; of a standby: preparing, following
	Thread   int     `json:"thread"`
	Restored float64 `json:"restored"`  // part of its restore that is done; 1 once it runs
	TableLag int64   `json:"table_lag"` // records that its tables lack; -1: not known
	// ETA is about how long the restore will still take; absent if it is over
	// or cannot be told yet.
	ETA    *float64 `json:"eta_seconds,omitempty"`
	Inputs []Input  `json:"inputs"`
}

// An Input is one input partition of a task.
type Input struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed int64  `json:"committed"` // position behind the last record whose effects are committed
	Lag       int64  `json:"lag"`       // positions readable behind it
}

// A View is the copy of all counts that an instance answers from.
type View struct {
	State string `json:"state"` // restoring, running, disconnected
	Lag   *int64 `json:"lag"`   // records not in it yet; null: unknown
}

// A Roster is what the processes of a group last reported. The zero value is
// empty. Its methods are safe for concurrent use.
type Roster struct {
	mu        sync.Mutex
	instances map[string]Instance // by name; Seen by our own clock
}

// Report takes a report in, at now. News were written just now; what is not
// was there before anybody read it. The clocks of others may be hours off:
// theirs count only for what is no news, and never for later than now.
func (r *Roster) Report(i Instance, now time.Time, news bool) {
	if news || i.Seen.After(now) {
		i.Seen = now
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if i.State == Left {
		delete(r.instances, i.Name)
		return
	}
	if r.instances == nil {
		r.instances = map[string]Instance{}
	}
	r.instances[i.Name] = i
}

// Instances returns, by role and name, everyone who has reported lately. The
// caller owns the result, but not what it points to.
func (r *Roster) Instances(now time.Time) []Instance {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := []Instance{}
	for name, i := range r.instances {
		switch age := now.Sub(i.Seen); {
		case age > ForgetAfter:
			delete(r.instances, name)
			continue
		case age > SilentAfter:
			i.State = Silent
		}
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b Instance) int { return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Name, b.Name)) })
	return all
}
