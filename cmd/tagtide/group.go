package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/tagtide/tagtide/stream"
)

// describeCmd prints the topology.
type describeCmd struct {
	groupFlags
	Format string `help:"text, dot or json." enum:"text,dot,json" default:"text"`
}

// Validate is called by the parser.
func (c *describeCmd) Validate() error { return c.nameFlags.validate() }

// Run does it.
func (c *describeCmd) Run(s std) error {
	d := c.graph().Describe()
	switch c.Format {
	case "json":
		e := json.NewEncoder(s.out)
		e.SetIndent("", "  ")
		return e.Encode(d)
	case "dot":
		_, err := fmt.Fprint(s.out, d.Dot())
		return err
	}
	_, err := fmt.Fprint(s.out, d.Text())
	return err
}

// resetCmd makes a group begin anew.
type resetCmd struct {
	localFlags
	Yes bool `help:"Do not ask."`
}

// Run does it.
func (c *resetCmd) Run(ctx context.Context, s std, g *Globals) error {
	logger := g.logger(s.err)
	return c.with(ctx, logger, func(l *stream.Log) error {
		states, err := c.states()
		if err != nil {
			return err
		}
		if err := c.explain(ctx, s, l, states); err != nil {
			return err
		}
		if !c.Yes && !confirmed(s) {
			return errors.New("nothing was done: the answer was not yes")
		}
		for _, dir := range states { // before anything is gone
			if err := idle(dir, logger); err != nil {
				return err
			}
		}
		if err := stream.ResetGroup(ctx, l, c.graph()); err != nil {
			return err
		}
		for _, dir := range states {
			err = errors.Join(err, stream.RemoveState(dir))
		}
		return err
	})
}

// explain says what would go.
func (c *resetCmd) explain(ctx context.Context, s std, l *stream.Log, states []string) error {
	graph := c.graph()
	gone, err := removed(ctx, l, graph)
	if err != nil {
		return err
	}
	local := "There is no local state on this machine."
	if len(states) > 0 {
		local = "So does local state in\n  " + strings.Join(states, "\n  ")
	}
	fmt.Fprintf(s.err, "This makes group %s begin anew. Its positions are forgotten, and its topics deleted:\n  %s\n%s\nThe input %s stays, with how far sources were read into it, and will be counted again from its start.\n",
		c.Group, strings.Join(graph.OwnTopics(), "\n  "), local, strings.Join(graph.Inputs(), ", "))
	copies, err := stream.Replayed(ctx, l, graph)
	if err != nil {
		return err
	}
	if copies > 0 {
		fmt.Fprintf(s.err, "But %d records of the input are there twice, since dead letters were replayed:\nthose that can be handled now will be counted twice.\n", copies)
	}
	if gone > 0 {
		fmt.Fprintf(s.err, "But the input has lost its first %d records, to its retention or because run --once removes what is counted:\nthey will be missing from the counts. Files can be read once more with --again.\n", gone)
	}
	return nil
}

// idle finds out whether a state is open in another process. It may be damaged.
func idle(dir string, logger *slog.Logger) error {
	state, err := stream.OpenState(dir, stream.StateOptions{Logger: logger, KeepDamaged: true})
	if errors.Is(err, stream.ErrDamaged) {
		return nil
	}
	if err != nil {
		return err
	}
	return state.Close()
}

// removed counts the records that an input had and has no more.
func removed(ctx context.Context, l *stream.Log, g *stream.GroupGraph) (n int64, err error) {
	topics, err := stream.DescribeTopics(ctx, l, g.Inputs()...)
	for _, t := range topics {
		for _, p := range t.Partitions {
			n += p.Start
		}
	}
	return n, err
}

func confirmed(s std) bool {
	fmt.Fprint(s.err, "Do it? Type yes: ")
	line, _ := bufio.NewReader(s.in).ReadString('\n')
	return strings.TrimSpace(line) == "yes"
}
