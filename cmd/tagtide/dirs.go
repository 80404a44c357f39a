package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tagtide/tagtide/stream"
)

// stateHome is where programs keep what should survive them.
func stateHome() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find a place for data, name one with --data-dir: %w", err)
	}
	return filepath.Join(home, ".local", "state"), nil
}

// defaultDir is where run keeps the data of a group.
func defaultDir(group string) (string, error) {
	home, err := stateHome()
	return filepath.Join(home, "tagtide", group, "run"), err
}

// stateFlags say where tables are kept.
type stateFlags struct {
	StateDir string `help:"Where tables are kept (default: the first free one of $$XDG_STATE_HOME/tagtide/GROUP/process-1, …-2, …; else ~/.local/state/…)." placeholder:"DIR"`
}

// openState opens the state of a process of some kind, in the directory that
// was asked for, or in the first one that no other process has open, and says
// which.
func (f *stateFlags) openState(group, kind string, logger *slog.Logger, w io.Writer) (state *stream.State, err error) {
	dir := f.StateDir
	if dir != "" {
		state, err = stream.OpenState(dir, stream.StateOptions{Logger: logger})
	} else {
		state, dir, err = firstFree(group, kind, logger)
	}
	if err == nil {
		fmt.Fprintln(w, "tagtide: state in", dir)
	}
	return state, err
}

// maxStates is more than anybody runs on one machine.
const maxStates = 1000

// numbered is the nth state directory of a kind of process.
func numbered(home, kind string, n int) string {
	return filepath.Join(home, fmt.Sprintf("%s-%d", kind, n))
}

func firstFree(group, kind string, logger *slog.Logger) (state *stream.State, dir string, err error) {
	home, err := stateHome()
	if err != nil {
		return nil, "", err
	}
	for n := 1; n <= maxStates; n++ {
		dir = numbered(filepath.Join(home, "tagtide", group), kind, n)
		state, err = stream.OpenState(dir, stream.StateOptions{Logger: logger})
		if !errors.Is(err, stream.ErrInUse) {
			break
		}
	}
	return state, dir, err
}

// localFlags say where a log and the local states of its group are.
type localFlags struct {
	storedFlags
	StateDir string `help:"With --brokers: a state directory (default: all that processes on this machine use by default)." placeholder:"DIR"`
}

// Validate is called by the parser.
func (f *localFlags) Validate() error {
	if f.StateDir != "" && len(f.Brokers) == 0 {
		return usagef("--state-dir goes with --brokers")
	}
	return f.storedFlags.Validate()
}

// named tells whether the user said which states are meant.
func (f *localFlags) named() bool { return f.StateDir != "" || f.DataDir != "" }

// states are the directories with local state of the group that there are. One
// that was asked for by name must be.
func (f *localFlags) states() ([]string, error) {
	dir, err := f.dir()
	if err != nil {
		return nil, err
	}
	candidates := []string{filepath.Join(dir, "process"), filepath.Join(dir, "serve")}
	switch {
	case f.StateDir != "":
		candidates = []string{f.StateDir}
	case len(f.Brokers) > 0 && f.DataDir == "":
		for n := 1; n <= maxStates; n++ {
			for _, kind := range []string{"process", "serve"} {
				candidates = append(candidates, numbered(filepath.Dir(dir), kind, n))
			}
		}
	}
	var states []string
	for _, c := range candidates {
		if stream.HasState(c) {
			states = append(states, c)
		}
	}
	if f.StateDir != "" && len(states) == 0 {
		return nil, fmt.Errorf("--state-dir %s: there are no tables of a processor's or a server's", f.StateDir)
	}
	return states, nil
}

// explain adds what to do to errors that users meet.
func explain(err error) error {
	switch {
	case errors.Is(err, stream.ErrInUse):
		return fmt.Errorf("%w\nanother tagtide has the directory open: stop it, or choose another one with --data-dir or --state-dir", err)
	case errors.Is(err, stream.ErrFenced):
		return fmt.Errorf("%w\nanother one runs under the same name: give each its own --instance-id", err)
	case errors.Is(err, stream.ErrStepFailed):
		return fmt.Errorf("%w\nnothing of this record was counted: start again with a version that can handle it, or with --bad-records dead to set it aside, or skip to leave it out", err)
	case errors.Is(err, stream.ErrGroupActive):
		return fmt.Errorf("%w\nstop all processors of the group first", err)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w\nchoose another address with --listen or --admin-listen, 127.0.0.1:0 for any free port", err)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w\nthe disk is full: nothing that was counted is lost; make room and start again, or choose another disk with --data-dir or --state-dir", err)
	}
	return err
}
