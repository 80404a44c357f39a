package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/stream"
)

// deadCmd looks after dead letters.
type deadCmd struct {
	List   deadListCmd   `cmd:"" help:"The records that could not be handled, and why."`
	Replay deadReplayCmd `cmd:"" help:"Send them back to the topics they came from, each exactly once."`
}

// chooseFlags choose dead letters. Without any, all are chosen.
type chooseFlags struct {
	Topic     string  `help:"Only records of this topic." placeholder:"NAME"`
	Partition *int32  `help:"Only records of this partition of their topic." placeholder:"N"`
	Offset    []int64 `help:"Only the records at these offsets." placeholder:"N"`
	Match     string  `help:"Only records whose error contains this." placeholder:"TEXT"`
}

func (f *chooseFlags) choose(d stream.DeadLetter) bool {
	return (f.Topic == "" || f.Topic == d.Topic) &&
		(f.Partition == nil || *f.Partition == d.Partition) &&
		(len(f.Offset) == 0 || slices.Contains(f.Offset, d.Offset)) &&
		strings.Contains(d.Error, f.Match)
}

type deadListCmd struct {
	storedFlags
	chooseFlags
	All     bool `help:"Also those that were replayed."`
	Preview bool `help:"Show the beginning of their keys and values. Posts are private: it is not shown unless it is asked for."`
	JSON    bool `help:"As JSON lines."`
}

// Help is shown by --help.
func (c *deadListCmd) Help() string {
	return "An error may quote the record it is about. `tagtide topics read` shows dead letters whole."
}

// Run prints them.
func (c *deadListCmd) Run(ctx context.Context, s std, g *Globals) error {
	return c.with(ctx, g.logger(s.err), func(l *stream.Log) error {
		out := bufio.NewWriter(s.out)
		show := c.table(out)
		if c.JSON {
			show = c.lines(out)
		}
		err := stream.ReadDeadLetters(ctx, l, c.graph(), func(d stream.DeadLetter) error {
			if d.Replayed && !c.All || !c.choose(d) {
				return nil
			}
			return show(&d)
		})
		return errors.Join(err, show(nil), out.Flush())
	})
}

// deadJSON is a dead letter as a line.
type deadJSON struct {
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Timestamp time.Time `json:"timestamp"`
	From      string    `json:"from,omitempty"` // file or address
	Line      int64     `json:"line,omitempty"` // of the file, from 1
	Error     string    `json:"error"`
	Size      int       `json:"size"`
	Dropped   []string  `json:"dropped,omitempty"`
	Replayed  bool      `json:"replayed"`
	Key       *string   `json:"key,omitempty"`
	Preview   *string   `json:"preview,omitempty"`
}

// lines prints letters as JSON lines.
func (c *deadListCmd) lines(w io.Writer) func(*stream.DeadLetter) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return func(d *stream.DeadLetter) error {
		if d == nil {
			return nil
		}
		from, line := origin(d)
		row := deadJSON{
			Topic: d.Topic, Partition: d.Partition, Offset: d.Offset, Timestamp: d.Timestamp.UTC(), From: from, Line: line,
			Error: d.Error, Size: d.Size(), Dropped: d.Dropped, Replayed: d.Replayed,
		}
		if c.Preview {
			row.Key, row.Preview = preview(d.Key), preview(d.Value)
		}
		return e.Encode(row)
	}
}

// origin tells where an emitter read what it could not decode; "" if the record
// does not say, and 0 if there are no lines.
func origin(d *stream.DeadLetter) (from string, line int64) {
	for _, h := range d.Headers {
		switch h.Key {
		case emitter.HeaderSource:
			from = strings.ToValidUTF8(string(h.Value), "\uFFFD")
		case emitter.HeaderLine:
			line, _ = strconv.ParseInt(string(h.Value), 10, 64) // 0 is what is not known
		}
	}
	return from, line
}

// where is its origin in one word: file and line, or address.
func where(d *stream.DeadLetter) string {
	from, line := origin(d)
	if line > 0 {
		from = fmt.Sprintf("%s:%d", from, line)
	}
	return cmp.Or(printable(from), "-")
}

// preview is the beginning of what may be no text at all; nil for null.
func preview(b []byte) *string {
	const long = 120 // bytes
	if b == nil {
		return nil
	}
	text := strings.ToValidUTF8(string(b[:min(long, len(b))]), "\uFFFD")
	return &text
}

// table prints letters in columns; nil ends it.
func (c *deadListCmd) table(w io.Writer) func(*stream.DeadLetter) error {
	const page = 1000 // rows that get the same widths, so that not all are kept
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	rows := 0
	return func(d *stream.DeadLetter) error {
		if d == nil {
			return t.Flush()
		}
		if rows == 0 {
			fmt.Fprintln(t, "topic\tpartition\toffset\ttimestamp\tsize\treplayed\tfrom\terror")
		}
		replayed := map[bool]string{true: "yes", false: "no"}[d.Replayed]
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%d\t%s\t%s\t%s\n", printable(d.Topic), d.Partition, d.Offset,
			d.Timestamp.UTC().Format(time.RFC3339), d.Size(), replayed, where(d), c.remark(d))
		if rows++; rows%page == 0 {
			return t.Flush()
		}
		return nil
	}
}

// remark is the last column: the error in one line, and what was asked for.
func (c *deadListCmd) remark(d *stream.DeadLetter) string {
	text := printable(d.Error)
	if len(d.Dropped) > 0 {
		text += " [without " + strings.Join(d.Dropped, ", ") + "]"
	}
	if !c.Preview {
		return text
	}
	for _, b := range [][]byte{d.Key, d.Value} {
		if p := preview(b); p != nil {
			text += fmt.Sprintf(" %q", *p)
		} else {
			text += " null"
		}
	}
	return text
}

// printable is text of others as one line that does nothing to a terminal.
func printable(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

type deadReplayCmd struct {
	storedFlags
	chooseFlags
	Yes    bool `help:"Do not ask."`
	DryRun bool `help:"Say what would be done, and do nothing."`
}

// Help is shown by --help.
func (c *deadReplayCmd) Help() string {
	return `Each dead letter is sent back once, also when the command is killed, or given twice. What still cannot be handled becomes another dead letter. Processors may be running, if they are of a version that can handle what the last one could not.`
}

// Run does it.
func (c *deadReplayCmd) Run(ctx context.Context, s std, g *Globals) error {
	logger := g.logger(s.err)
	return c.with(ctx, logger, func(l *stream.Log) error {
		r, err := stream.NewReplay(ctx, l, c.graph(), stream.ReplayOptions{Choose: c.choose, Logger: logger})
		if err != nil {
			return err
		}
		c.explain(s.err, r.Plan())
		if c.DryRun || r.Plan().Records() == 0 {
			return nil
		}
		if !c.Yes && !confirmed(s) {
			return errors.New("nothing was done: the answer was not yes")
		}
		sent, err := r.Run(ctx)
		fmt.Fprintf(s.out, "%d records sent back\n", sent)
		return err
	})
}

// explain says what would be done.
func (c *deadReplayCmd) explain(w io.Writer, p stream.ReplayPlan) {
	if p.Records() == 0 {
		fmt.Fprintf(w, "There is nothing to send back of group %s.\n", c.Group)
	} else {
		fmt.Fprintf(w, "This sends %d dead letters of group %s back to the topics they came from, to be handled again:\n", p.Records(), c.Group)
	}
	for _, topic := range slices.Sorted(maps.Keys(p.Topics)) {
		fmt.Fprintf(w, "  %d to %s\n", p.Topics[topic], topic)
	}
	for _, why := range slices.Sorted(maps.Keys(p.LeftOut)) {
		fmt.Fprintf(w, "%d are left out: %s.\n", p.LeftOut[why], why)
	}
}
