//go:build unix

package kafkanode

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// classArchive returns the flags with which a JVM begins with Kafka's classes as
// another one has loaded and checked them, which is most of what a start takes.
// The first time they are made, by a node that starts and ends; others who want
// them meanwhile wait. A JVM that cannot have an archive has no flags.
func (c *Cluster) classArchive(ctx context.Context, version []byte) ([]string, error) {
	file := fmt.Sprintf("%s-%.6x.jsa", filepath.Dir(c.classPath), sha256.Sum256(version))
	unlock, err := lock(filepath.Join(c.options.Cache, "lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(c.options.Progress, "kafka: a first start, which makes later ones fast, once")
		if err := c.record(ctx, file); err != nil {
			return nil, fmt.Errorf("make an archive of Kafka's classes: %w", err)
		}
		info, err = os.Stat(file)
	}
	if err != nil || info.Size() == 0 {
		return nil, err
	}
	return []string{"-XX:SharedArchiveFile=" + file}, nil
}

// record makes the archive, of no bytes if the JVM cannot.
func (c *Cluster) record(ctx context.Context, file string) (err error) {
	made := file + ".made"
	r := &Cluster{
		options: Options{Nodes: 1, HeapMB: 512, Brief: true}, java: c.java, classPath: c.classPath,
		flags: []string{"-XX:ArchiveClassesAtExit=" + made}, ended: make(chan *Node, 1),
	}
	if err := r.makeDir(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := r.start(ctx); err != nil {
		return err
	}
	if err := r.nodes[0].finish(ctx); err != nil {
		return err
	}
	err = os.Rename(made, file)
	if errors.Is(err, fs.ErrNotExist) {
		err = os.WriteFile(file, nil, 0o644)
	}
	return err
}

// finish ends the node cleanly, however long that takes.
func (n *Node) finish(ctx context.Context) error {
	n.process.told.Store(true)
	if err := n.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-n.process.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
