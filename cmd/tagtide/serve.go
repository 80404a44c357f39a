package main

import (
	"context"
	"errors"

	"github.com/tagtide/tagtide/stream"
)

// serveCmd is only the view, the API and the page.
type serveCmd struct {
	nameFlags
	brokerFlags
	stateFlags

	Listen      string `help:"Address of the page and the API." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	AdminListen string `help:"Address for metrics, health and profiles." placeholder:"HOST:PORT"`
}

// Help is shown by --help.
func (c *serveCmd) Help() string {
	return `Answers questions. Start as many as wanted, anywhere; each has all counts, follows them by itself, and goes on answering, with what it had, while the brokers are away.`
}

// Validate is called by the parser.
func (c *serveCmd) Validate() error {
	return errors.Join(c.nameFlags.validate(), c.brokerFlags.validate(true))
}

// Run does it.
func (c *serveCmd) Run(ctx context.Context, s std, g *Globals) error {
	p := part{role: "serve", topics: topicFlags{CreateTopics: true}, brokers: c.brokerFlags, graph: groupFlags{nameFlags: c.nameFlags}.graph(), addresses: map[string]string{"--listen": c.Listen, "--admin-listen": c.AdminListen}}
	return p.run(ctx, s, g, func(w *works) (lead, error) {
		c.tell(ctx, w)
		state, err := c.openState(c.Group, "serve", w.logger, s.err)
		if err != nil {
			return nil, err
		}
		return nil, w.addView(state)
	})
}

// tell says what the server waits for, if there is nothing to serve yet.
func (c *serveCmd) tell(ctx context.Context, w *works) {
	table := stream.GroupTable(c.Group)
	if _, err := stream.DescribeTopics(ctx, w.log, table); errors.Is(err, stream.ErrUnknownTopic) {
		w.logger.Warn("there is no such topic yet: waiting for a processor of the group to create it; if there should be one, check --group and --brokers", "topic", table, "group", c.Group)
	}
}
