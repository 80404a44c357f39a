package main

import (
	"errors"
	"fmt"
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

// explain adds what to do to errors that users meet.
func explain(err error) error {
	switch {
	case errors.Is(err, stream.ErrInUse):
		return fmt.Errorf("%w\nanother tagtide has the directory open: stop it, or choose another one with --data-dir", err)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w\nchoose another address with --listen or --admin-listen, 127.0.0.1:0 for any free port", err)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w\nthe disk is full: nothing that was counted is lost; make room and start again, or choose another disk with --data-dir", err)
	}
	return err
}
