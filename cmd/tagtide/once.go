package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/tagtide/tagtide/internal/ranking"
	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/view"
)

// finish waits until everything that was emitted is counted, and prints it.
func (c *runCmd) finish(ctx context.Context, w *works, s std) error {
	if err := settled(ctx, w.view); err != nil {
		return err
	}
	out := bufio.NewWriter(s.out)
	if err := printCounts(out, w.view, c.Output, c.Top); err != nil {
		return fmt.Errorf("print the counts: %w", err)
	}
	return out.Flush()
}

// settled returns when the view has everything that was committed before.
func settled(ctx context.Context, v *view.View) error {
	since := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		f := v.Freshness()
		if f.State == stream.Running && f.Lag == 0 && f.AsOf.After(since) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func printCounts(w io.Writer, v *view.View, format string, top int) error {
	switch format {
	case "ndjson":
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return eachRow(v.Index(), func(r ranking.Row) error {
			return e.Encode(struct {
				Tag   string `json:"tag"`
				Count int64  `json:"count"`
			}{r.Tag, r.Count})
		})
	case "csv":
		c := csv.NewWriter(w)
		if err := c.Write([]string{"tag", "count"}); err != nil {
			return err
		}
		err := eachRow(v.Index(), func(r ranking.Row) error {
			return c.Write([]string{r.Tag, strconv.FormatInt(r.Count, 10)})
		})
		c.Flush()
		return cmpErr(err, c.Error())
	}
	return printTable(w, v, top)
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// eachRow walks all rows in order.
func eachRow(x *ranking.Index, f func(ranking.Row) error) error {
	var after *ranking.Key
	for more := true; more; {
		var rows []ranking.Row
		rows, more = x.Page(after, 1000, "")
		for _, r := range rows {
			if err := f(r); err != nil {
				return err
			}
		}
		if len(rows) > 0 {
			key := rows[len(rows)-1].Key()
			after = &key
		}
	}
	return nil
}

func printTable(w io.Writer, v *view.View, top int) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "rank\tcount\thashtag\tdisplay")
	for _, r := range v.Index().Top(top) {
		fmt.Fprintf(t, "%d\t%d\t#%s\t#%s\n", r.Rank, r.Count, r.Tag, r.Display)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	n := v.Totals()
	fmt.Fprintf(w, "\n%d posts, %d uses of %d hashtags, %d skipped, %d dead letters\n",
		n.Posts, v.Index().Sum(), v.Index().Len(), n.Skipped, n.DeadLetters)
	if n.Duplicates+n.Edits+n.Deletes == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "%d duplicates left out, %d edits followed, %d deleted posts taken back\n", n.Duplicates, n.Edits, n.Deletes)
	return err
}
