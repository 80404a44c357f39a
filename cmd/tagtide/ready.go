package main

import (
	"fmt"

	"github.com/tagtide/tagtide/api"
	"github.com/tagtide/tagtide/stream"
)

// ready are the conditions for sending work to this process, besides those that
// the API's server looks at by itself. Sources are none: one that is down comes
// back, and nobody else could do its work meanwhile.
func (w *works) ready() []api.Check {
	if w.processor == nil {
		return nil
	}
	return []api.Check{checkTasks(len(w.processor.Hosts()) > 0, w.processor.Tasks())}
}

// adminReady are all conditions, for the server that has no counts of its own.
func (w *works) adminReady() []api.Check {
	checks := w.ready()
	if w.view != nil {
		checks = append(checks, api.CheckCounts(counts{w.view}.Freshness()))
	}
	return checks
}

// checkTasks holds while the instance is in its group and works on all tasks
// that it was given, if any. It holds on while the brokers are away: a restart
// would bring none of them back.
func checkTasks(joined bool, tasks []stream.TaskInfo) api.Check {
	c := api.Check{Name: "processor", OK: true, Detail: "idle: others have all tasks"}
	if !joined {
		c.OK, c.Detail = false, "not in the group yet"
		return c
	}
	restored, running := 0.0, 0
	for _, t := range tasks {
		restored += t.Restored
		if t.State == "running" {
			running++
		}
	}
	if len(tasks) > 0 {
		c.OK, c.Detail = running == len(tasks), fmt.Sprintf("%d of %d tasks run", running, len(tasks))
	}
	if !c.OK {
		c.Detail += fmt.Sprintf(", %.0f %% restored", 100*restored/float64(len(tasks)))
	}
	return c
}
