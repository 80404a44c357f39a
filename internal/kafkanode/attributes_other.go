//go:build unix && !linux

package kafkanode

import "syscall"

// attributes put a node into a process group of its own, so that Ctrl-C goes
// to us and not to it.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
