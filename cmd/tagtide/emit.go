package main

import (
	"context"
	"errors"
)

// emitCmd is only the emitter.
type emitCmd struct {
	groupFlags
	brokerFlags
	topicFlags
	sourceFlags
	paceFlags

	AdminListen string `help:"Address for metrics, health and profiles." placeholder:"HOST:PORT"`
	Once        bool   `help:"End when the input is read: refuse a source that has no end."`
}

// Help is shown by --help.
func (c *emitCmd) Help() string {
	return `Reads posts from a source into the input topic, each exactly once: where it has got to is committed with the posts, so the same command goes on after a stop or a crash. It ends when its source does.

Two emitters at once need an --instance-id each.`
}

// Validate is called by the parser.
func (c *emitCmd) Validate() error {
	if c.Source == "none" {
		return usagef("--source none leaves nothing to do")
	}
	return errors.Join(c.brokerFlags.validate(true), c.paceFlags.validate(), c.topicFlags.validate(), c.sourceFlags.validate(c.Once))
}

// Run does it.
func (c *emitCmd) Run(ctx context.Context, s std, g *Globals) error {
	if err := c.inputsThere(); err != nil {
		return err
	}
	p := part{brokers: c.brokerFlags, group: c.groupFlags, addresses: map[string]string{"--admin-listen": c.AdminListen}}
	return p.run(ctx, s, g, func(w *works) (lead, error) {
		err := w.addEmitter(&c.sourceFlags, c.groupFlags, c.paceFlags, c.topicFlags, nil, s)
		return func(ctx context.Context) (bool, error) { return true, w.emitter.Run(ctx) }, err
	})
}
