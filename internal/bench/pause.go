package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/tagtide/tagtide/internal/totals"
	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
)

// The group that pauses are measured in.
const (
	pauseGroup      = "pause"
	pausePartitions = 8
	pauseRate       = 2000 // posts a second
	calm            = 4 * time.Second
	afterKill       = 16 * time.Second // more than a session's timeout
)

// A pausing is a group of one instance, and a second one that comes and goes.
type pausing struct {
	bench
	*rig
	watch
	binary string
	second *exec.Cmd
	leave  func() error // ends the second one cleanly
}

// pauses measures for how long a group stops counting when an instance joins,
// leaves, or is killed: the longest time in which some partition of the input,
// into which posts come all the time, was not counted any further.
func (b bench) pauses(ctx context.Context) (result, error) {
	p := pausing{bench: b}
	var err error
	if p.binary, err = b.build(ctx); err != nil {
		return result{}, err
	}
	if p.rig, err = b.open(ctx, "pause"); err != nil {
		return result{}, err
	}
	extra := map[string]float64{}
	err = errors.Join(p.measure(extra), p.rig.close())
	return result{Items: int64(len(extra)), Seconds: 1, Extra: extra}, err
}

// measure notes the pause around each change, in milliseconds.
func (p *pausing) measure(pauses map[string]float64) error {
	view, err := stream.NewView(p.log, stream.TableTopic(pauseGroup, totals.Table), codec.Int64, stream.ViewOptions[int64]{Changed: p.changed, Logger: quiet})
	if err != nil {
		return err
	}
	p.group.Go(func() error { return view.Run(p.ctx) })
	_, endEmit := p.command("emit", "--source", "demo", "--rate", fmt.Sprint(pauseRate))
	_, endFirst := p.command("process", "--state-dir", filepath.Join(p.dir(), "first"))
	err = p.until(func() bool { return p.counting() == pausePartitions })
	for _, change := range []string{"still", "join", "leave", "join again", "kill"} {
		if err == nil {
			err = p.around(change, pauses)
		}
	}
	return errors.Join(err, endEmit(), endFirst())
}

func (p *pausing) dir() string { return p.rig.dir }

// around measures the longest pause around a change.
func (p *pausing) around(change string, pauses map[string]float64) (err error) {
	p.reset()
	rest := calm
	switch change {
	case "join", "join again":
		p.second, p.leave = p.command("process", "--state-dir", filepath.Join(p.dir(), "second"))
	case "leave":
		err = p.leave()
	case "kill":
		rest = afterKill
		err = p.second.Process.Signal(syscall.SIGKILL)
		_ = p.second.Wait() // says that it was killed
	}
	select {
	case <-p.ctx.Done():
		err = errors.Join(err, p.ctx.Err())
	case <-time.After(rest):
	}
	pauses[change] = float64(p.longest().Milliseconds())
	return err
}

// command starts one of tagtide's commands on the group; stop ends it cleanly.
func (p *pausing) command(args ...string) (cmd *exec.Cmd, stop func() error) {
	args = append(args, "--brokers", p.brokers, "--group", pauseGroup, "--input-topic", pauseGroup+"-in",
		"--partitions", fmt.Sprint(pausePartitions), "--log-level", "warn")
	cmd = exec.CommandContext(p.ctx, p.binary, args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return cmd, func() error { return err }
	}
	return cmd, func() error { return errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()) }
}

// A watch notes when each partition was last counted further.
type watch struct {
	mu   sync.Mutex
	last map[int32]time.Time
	gap  time.Duration // the longest between two
}

func (w *watch) changed(changes []stream.Change[int64]) error {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		w.last = map[int32]time.Time{}
	}
	for _, c := range changes {
		if c.Key != totals.Posts {
			continue
		}
		if before, ok := w.last[c.Partition]; ok {
			w.gap = max(w.gap, now.Sub(before))
		}
		w.last[c.Partition] = now
	}
	return nil
}

// counting is how many partitions have been counted.
func (w *watch) counting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.last)
}

func (w *watch) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gap = 0
}

// longest is the longest gap since the reset, one that has not ended included.
func (w *watch) longest() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.last {
		w.gap = max(w.gap, time.Since(t))
	}
	return w.gap
}
