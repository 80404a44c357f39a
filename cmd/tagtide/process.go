package main

import (
	"context"
	"errors"
)

// processCmd is only a processor instance.
type processCmd struct {
	groupFlags
	brokerFlags
	stateFlags
	topicFlags
	memberFlags

	AdminListen string `help:"Address for metrics, health and profiles; without it nothing is served." placeholder:"HOST:PORT"`
}

// Help is shown by --help.
func (c *processCmd) Help() string {
	return `Counts. Start as many as the input has partitions, anywhere; they share the work and take over from one another. More of them are idle until they are needed.`
}

// Validate is called by the parser.
func (c *processCmd) Validate() error {
	return errors.Join(c.nameFlags.validate(), c.brokerFlags.validate(true), c.memberFlags.validate(), c.topicFlags.validate())
}

// Run does it.
func (c *processCmd) Run(ctx context.Context, s std, g *Globals) error {
	p := part{role: "process", topics: c.topicFlags, brokers: c.brokerFlags, graph: c.graph(), addresses: map[string]string{"--admin-listen": c.AdminListen}}
	return p.run(ctx, s, g, func(w *works) (lead, error) {
		state, err := c.openState(c.Group, "process", w.logger, s.err)
		if err != nil {
			return nil, err
		}
		return nil, w.addProcessor(state, c.memberFlags, c.topicFlags, false)
	})
}
