package main

import (
	"context"
	"errors"
	"strings"
)

// emitCmd is only the emitter.
type emitCmd struct {
	nameFlags
	memoryFlags
	decodeFlags
	brokerFlags
	topicFlags
	sourceFlags
	paceFlags

	InstanceID  string `help:"Name of this emitter, under which it remembers what it has read; two at once need one each." placeholder:"NAME"`
	AdminListen string `help:"Address for metrics, health and profiles." placeholder:"HOST:PORT"`
	Once        bool   `help:"End when the input is read: refuse sources that have no end."`
}

// Help is shown by --help.
func (c *emitCmd) Help() string {
	return `Reads posts from sources into the input topic, each exactly once: where it has got to is committed with the posts, so the same command goes on after a stop or a crash. Each source is read for itself: one that is down stops none of the others. It ends when its sources do.`
}

// Validate is called by the parser.
func (c *emitCmd) Validate() error {
	if c.has(kindNone) {
		return usagef("--source none leaves nothing to do")
	}
	if strings.Contains(c.InstanceID, "/") {
		return usagef("--instance-id must not contain a slash")
	}
	return errors.Join(c.nameFlags.validate(), c.brokerFlags.validate(true), c.paceFlags.validate(), c.topicFlags.validate(), c.sourceFlags.validate(c.Once))
}

// Run does it.
func (c *emitCmd) Run(ctx context.Context, s std, g *Globals) error {
	if err := c.readable(); err != nil {
		return err
	}
	p := part{role: "emit", topics: c.topicFlags, brokers: c.brokerFlags, graph: groupFlags{nameFlags: c.nameFlags}.graph(), addresses: map[string]string{"--admin-listen": c.AdminListen}}
	return p.run(ctx, s, g, func(w *works) (lead, error) {
		e := emitting{source: &c.sourceFlags, names: c.nameFlags, instance: c.InstanceID, pace: c.paceFlags, topics: c.topicFlags, memory: c.Dedupe.time, decode: c.decodeFlags}
		err := w.addEmitters(e, s)
		return func(ctx context.Context) (bool, error) { return true, w.emit(ctx) }, err
	})
}
