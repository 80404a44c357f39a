package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tagtide/tagtide/processor"
	"github.com/tagtide/tagtide/stream"
)

// checkCmd holds local stores against the log.
type checkCmd struct {
	localFlags
	Recount bool `help:"Also count the input again and compare with the table."`
	JSON    bool `help:"As JSON lines."`
}

// Help is shown by --help.
func (c *checkCmd) Help() string {
	return `Each local table is held against its changelog, up to where the table has got to; one that is a copy of another topic than the one that is there now is not, and that is said. Ends with 0 only if nothing is wrong. --recount counts from where the group began, if it remembers posts; one that does not (--dedupe off) is counted from the first record.`
}

// Run does it.
func (c *checkCmd) Run(ctx context.Context, s std, g *Globals) error {
	var findings []stream.Finding
	logger := g.logger(s.err)
	err := c.with(ctx, logger, func(l *stream.Log) (err error) {
		if findings, err = c.checkStates(ctx, l, s.err, logger); err != nil {
			return err
		}
		there, err := c.checkThere(ctx, l)
		if err != nil {
			return err
		}
		open, err := stream.CheckOpen(ctx, l, c.graph(), openPatience)
		if err != nil {
			return err
		}
		findings = append(append(findings, there...), open)
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

// openPatience is longer than brokers take to end what a killed process left open.
const openPatience = 25 * time.Second

// checkThere finds that there is nothing to check: a name that is misspelled,
// or topics that the user may not see, would else be told to be in order.
func (c *checkCmd) checkThere(ctx context.Context, l *stream.Log) ([]stream.Finding, error) {
	_, err := stream.DescribeTopics(ctx, l, stream.GroupTable(c.Group))
	if errors.Is(err, stream.ErrUnknownTopic) {
		return []stream.Finding{{
			What:      "the group's table",
			Unchecked: fmt.Sprintf("there is no %s: nothing was counted yet, or --group is another one", stream.GroupTable(c.Group)),
		}}, nil
	}
	return nil, err
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
		if c.named() && len(found) > 0 && !slices.ContainsFunc(found, func(f stream.Finding) bool { return f.Unchecked == "" }) {
			found = append(found, stream.Finding{What: "the tables are of this log", Fault: "none of them is: the directory is that of another one, or of topics that are no more"})
		}
		for _, f := range found {
			f.What = filepath.Base(dir) + ": " + f.What
			findings = append(findings, f)
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
		if err := c.printOne(s.out, f); err != nil {
			return err
		}
	}
	if faults > 0 {
		return fmt.Errorf("%d of %d checks failed", faults, len(findings))
	}
	return nil
}

// findingJSON is a finding as a line. Unchecked says why something was not
// checked; then it is no fault.
type findingJSON struct {
	What      string `json:"what"`
	OK        bool   `json:"ok"`
	Fault     string `json:"fault"`
	Unchecked string `json:"unchecked,omitempty"`
}

func (c *checkCmd) printOne(w io.Writer, f stream.Finding) error {
	if c.JSON {
		return json.NewEncoder(w).Encode(findingJSON{f.What, f.Fault == "", f.Fault, f.Unchecked})
	}
	mark := "ok   "
	switch {
	case f.Fault != "":
		mark = "FAULT"
	case f.Unchecked != "":
		mark = "-    "
	}
	_, err := fmt.Fprintln(w, strings.TrimSpace(mark+"  "+f.What+"  "+f.Fault+f.Unchecked))
	return err
}
