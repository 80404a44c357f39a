package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// Run does it.
func (c *describeCmd) Run(s std) error {
	d := processor.Graph(processor.Options{Group: c.Group, Input: c.InputTopic, SkipReposts: c.Reposts == "skip"}).Describe()
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
	storedFlags
	Yes bool `help:"Do not ask."`
}

// Run does it.
func (c *resetCmd) Run(ctx context.Context, s std, g *Globals) error {
	return c.with(g.logger(s.err), func(dir string, l *stream.Log) error {
		graph := c.graph()
		fmt.Fprintf(s.err, "This makes group %s begin anew. It forgets its positions and deletes its topics\n  %s\nand its local state in %s. The input %s stays and will be counted again from its start.\n",
			c.Group, strings.Join(graph.OwnTopics(), "\n  "), dir, strings.Join(graph.Inputs(), ", "))
		if !c.Yes && !confirmed(s) {
			return errors.New("nothing was done: the answer was not yes")
		}
		if err := stream.ResetGroup(ctx, l, graph); err != nil {
			return err
		}
		return errors.Join(os.RemoveAll(filepath.Join(dir, "process")), os.RemoveAll(filepath.Join(dir, "serve")))
	})
}

func confirmed(s std) bool {
	fmt.Fprint(s.err, "Do it? Type yes: ")
	line, _ := bufio.NewReader(s.in).ReadString('\n')
	return strings.TrimSpace(line) == "yes"
}

// checkCmd holds local stores against the log.
type checkCmd struct {
	storedFlags
	Recount bool `help:"Also count the input again and compare with the table."`
	JSON    bool `help:"As JSON lines."`
}

// Run does it.
func (c *checkCmd) Run(ctx context.Context, s std, g *Globals) error {
	logger := g.logger(s.err)
	var findings []stream.Finding
	err := c.with(logger, func(dir string, l *stream.Log) error {
		for _, name := range []string{"process", "serve"} {
			state, err := stream.OpenState(filepath.Join(dir, name), stream.StateOptions{Logger: logger})
			if err != nil {
				return err
			}
			more, err := stream.CheckState(ctx, l, state)
			for _, f := range more {
				findings = append(findings, stream.Finding{What: name + ": " + f.What, Fault: f.Fault})
			}
			if err := errors.Join(err, state.Close()); err != nil {
				return err
			}
		}
		open, err := stream.CheckOpen(ctx, l)
		if err != nil {
			return err
		}
		findings = append(findings, open)
		if !c.Recount {
			return nil
		}
		fault, err := processor.Recount(ctx, l, processor.Options{Group: c.Group, Input: c.InputTopic, SkipReposts: c.Reposts == "skip"})
		findings = append(findings, stream.Finding{What: "the table is a recount of the input", Fault: fault})
		return err
	})
	return errors.Join(err, c.print(s, findings))
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
