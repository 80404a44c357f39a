package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/tagtide/tagtide/processor"
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
			err = errors.Join(err, os.RemoveAll(dir))
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
	fmt.Fprintf(s.err, "This makes group %s begin anew. Its positions are forgotten, and its topics deleted:\n  %s\n%s\nThe input %s stays and will be counted again from its start.\n",
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

// checkCmd holds local stores against the log.
type checkCmd struct {
	localFlags
	Recount bool `help:"Also count the input again and compare with the table."`
	JSON    bool `help:"As JSON lines."`
}

// Run does it.
func (c *checkCmd) Run(ctx context.Context, s std, g *Globals) error {
	var findings []stream.Finding
	logger := g.logger(s.err)
	err := c.with(ctx, logger, func(l *stream.Log) (err error) {
		if findings, err = c.checkStates(ctx, l, s.err, logger); err != nil {
			return err
		}
		open, err := stream.CheckOpen(ctx, l, c.graph())
		if err != nil {
			return err
		}
		findings = append(findings, open)
		if !c.Recount {
			return nil
		}
		fault, err := processor.Recount(ctx, l, c.options())
		if err == nil {
			findings = append(findings, stream.Finding{What: "the table is a recount of the input", Fault: fault})
		}
		return err
	})
	return errors.Join(err, c.print(s, findings))
}

// checkStates checks the local states. One that is in use is left out, with a
// word, unless it was asked for by name.
func (c *checkCmd) checkStates(ctx context.Context, l *stream.Log, w io.Writer, logger *slog.Logger) ([]stream.Finding, error) {
	states, err := c.states()
	if err != nil {
		return nil, err
	}
	var findings []stream.Finding
	for _, dir := range states {
		found, err := checkState(ctx, l, c.graph(), dir, logger)
		if errors.Is(err, stream.ErrInUse) && !c.named() {
			fmt.Fprintf(w, "tagtide: %s is in use by a running tagtide and not checked; stop that one first\n", dir)
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			findings = append(findings, stream.Finding{What: filepath.Base(dir) + ": " + f.What, Fault: f.Fault})
		}
	}
	return findings, nil
}

// checkState checks what lies in a directory, and leaves it as it is.
func checkState(ctx context.Context, l *stream.Log, g *stream.GroupGraph, dir string, logger *slog.Logger) ([]stream.Finding, error) {
	state, err := stream.OpenState(dir, stream.StateOptions{Logger: logger, KeepDamaged: true})
	if errors.Is(err, stream.ErrDamaged) {
		return []stream.Finding{{What: "the files", Fault: err.Error() + " (the next start drops them and restores from the log)"}}, nil
	}
	if err != nil {
		return nil, err
	}
	findings, err := stream.CheckState(ctx, l, state, g)
	return findings, errors.Join(err, state.Close())
}

// print tells the findings; an error if one is a fault.
func (c *checkCmd) print(s std, findings []stream.Finding) error {
	faults := 0
	for _, f := range findings {
		if f.Fault != "" {
			faults++
		}
		if c.JSON {
			row := map[string]any{"what": f.What, "ok": f.Fault == "", "fault": f.Fault}
			if err := json.NewEncoder(s.out).Encode(row); err != nil {
				return err
			}
			continue
		}
		mark := "ok   "
		if f.Fault != "" {
			mark = "FAULT"
		}
		fmt.Fprintln(s.out, strings.TrimSpace(mark+"  "+f.What+"  "+f.Fault))
	}
	if faults > 0 {
		return fmt.Errorf("%d of %d checks failed", faults, len(findings))
	}
	return nil
}
