package thread

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tagtide/tagtide/stream/internal/task"
)

// A Visit steps over every key of one table, in all tasks of a thread, inside
// the ordinary transactions. Keys come in order; a key that is added on the way
// may be missed.
type Visit struct {
	Table int // in the topology
	Step  task.Step

	todo  []visited
	asked bool
	after int64 // commits that have to be there before it begins
	begun bool

	mu   sync.Mutex
	done chan struct{}
	err  error
}

// visited is how far one task has got.
type visited struct {
	run       *run
	from      string // the next key
	ended     bool
	committed visitMark
}

// visitMark is how far a visit had got in one task when an interval was sealed.
type visitMark struct {
	visit *Visit
	todo  int
	from  string
	ended bool
}

// NewVisit returns a visit to be handed to Visit.
func NewVisit(tab int, step task.Step) *Visit {
	return &Visit{Table: tab, Step: step, done: make(chan struct{})}
}

// Done is closed when every key was visited and committed, or the visit failed.
func (v *Visit) Done() <-chan struct{} { return v.done }

// Err is the outcome, once Done is closed.
func (v *Visit) Err() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
}

func (v *Visit) finish(err error) {
	v.mu.Lock()
	v.err = err
	v.mu.Unlock()
	close(v.done)
}

// Visit asks for a visit of the tasks that the thread has.
func (t *Thread) Visit(v *Visit) {
	closed := false
	t.ask(func(in *inbox) {
		if closed = in.closed; !closed {
			in.visits = append(in.visits, v)
		}
	})
	if closed {
		v.finish(errStopping)
	}
}

var errStopping = errors.New("the processor stops")

// visitSlice is how many keys are visited before the thread looks around again.
const visitSlice = 512

// visit goes on with the first visit there is.
func (t *Thread) visit(now time.Time) (bool, error) {
	if len(t.visits) == 0 || t.full() {
		return false, nil
	}
	if t.stopping {
		t.endVisits()
		return true, nil
	}
	v := t.visits[0]
	if !v.begun {
		return t.beginVisit(v), nil
	}
	for i := range v.todo {
		if w := &v.todo[i]; !w.ended {
			return t.visitTask(v, w, now)
		}
	}
	if t.allCommitted(v) {
		t.visits = t.visits[1:]
		v.finish(nil)
		return true, nil
	}
	return false, nil
}

// endVisits gives up the visits that are not through. What they have staged is
// as good as anything else.
func (t *Thread) endVisits() {
	for _, v := range t.visits {
		v.finish(errStopping)
	}
	t.visits = nil
}

// beginVisit begins a visit when everything that was stepped before it was
// asked for is in the store, because that is where it looks for keys: after as
// many commits as that takes, or when nothing is uncommitted. Before the first
// claim, and after a lost one, it waits: that there is no task then is not news.
func (t *Thread) beginVisit(v *Visit) bool {
	if !t.claimed {
		return false
	}
	if !v.asked {
		v.asked, v.after = true, t.count.commits
		if t.committing != nil {
			v.after++
		}
		if t.dirty() {
			v.after++
		}
	}
	// A commit under way makes its tasks look dirty. If they are not once it
	// has settled, no other commit will come.
	idle := t.committing == nil && !t.dirty()
	if v.begun = idle || t.count.commits >= v.after; !v.begun {
		return false
	}
	for _, r := range t.runs {
		if !r.standby && slices.Contains(t.subs[r.id.Sub].Tables, v.Table) {
			v.todo = append(v.todo, visited{run: r})
		}
	}
	return true
}

// visitTask visits a slice of keys of one task; of one that is being restored,
// later.
func (t *Thread) visitTask(v *Visit, w *visited, now time.Time) (busy bool, err error) {
	if w.run.leaving || w.run.standby {
		t.visits = t.visits[1:]
		v.finish(fmt.Errorf("task %s went to another instance during the visit", w.run.id))
		return true, nil
	}
	if w.run.task == nil {
		return false, nil
	}
	keys := make([]string, 0, visitSlice)
	err = w.run.task.Tables[v.Table].Scan([]byte(w.from), func(key, _ []byte) bool {
		keys = append(keys, string(key))
		return len(keys) < visitSlice
	})
	if err != nil {
		return false, w.run.fatal("visit", err)
	}
	for _, key := range keys {
		if err := w.run.task.Visit(v.Step, key, now.UnixMilli()); err != nil {
			t.visits = t.visits[1:]
			v.finish(err)
			return true, nil
		}
		w.from = key + "\x00"
	}
	w.ended = len(keys) < visitSlice
	return true, nil
}

// visiting tells whether a visit has got further than is committed.
func (t *Thread) visiting() bool {
	return len(t.visits) > 0 && slices.ContainsFunc(t.visits[0].todo, func(w visited) bool {
		return w.from != w.committed.from || w.ended != w.committed.ended
	})
}

func (t *Thread) allCommitted(v *Visit) bool {
	return !slices.ContainsFunc(v.todo, func(w visited) bool { return !w.ended || !w.committed.ended })
}

// markVisits remembers how far the visit has got when an interval is sealed.
func (t *Thread) markVisits() []visitMark {
	if len(t.visits) == 0 {
		return nil
	}
	v := t.visits[0]
	var marks []visitMark
	for i := range v.todo {
		marks = append(marks, visitMark{visit: v, todo: i, from: v.todo[i].from, ended: v.todo[i].ended})
	}
	return marks
}

// settleVisits takes over how far the visit had got when the interval that is
// now committed was sealed.
func (t *Thread) settleVisits(marks []visitMark) {
	for _, m := range marks {
		m.visit.todo[m.todo].committed = m
	}
}

// errOutcomeUnknown ends a visit whose commit was in doubt. It is not begun
// again from what is known to be committed: a key could be visited twice.
var errOutcomeUnknown = errors.New("the outcome of the visit is unknown: some keys may have been visited, others not")

// dropVisits ends the visit that had uncommitted work. The others may begin as
// soon as the tasks run again: then all that is committed is in the store.
func (t *Thread) dropVisits() {
	if t.visiting() {
		t.visits[0].finish(errOutcomeUnknown)
		t.visits = t.visits[1:]
	}
	for _, v := range t.visits {
		v.after = 0
	}
}
