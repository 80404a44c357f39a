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
	"slices"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/tagtide/tagtide/stream"
)

// topicsCmd looks after topics.
type topicsCmd struct {
	Create   topicsCreateCmd   `cmd:"" help:"Create the group's topics, with the right settings."`
	Describe topicsDescribeCmd `cmd:"" help:"Partitions, extents and settings."`
	Read     topicsReadCmd     `cmd:"" help:"The records of a topic as JSON lines."`
}

// storedFlags say where a log is: a Kafka, or the data of a run that is stopped.
type storedFlags struct {
	groupFlags
	dataFlags
	brokerFlags
}

// Validate is called by the parser.
func (f *storedFlags) Validate() error {
	return errors.Join(f.nameFlags.validate(), f.brokerFlags.validate(false))
}

func (f *storedFlags) dir() (string, error) {
	if f.DataDir != "" {
		return f.DataDir, nil
	}
	return defaultDir(f.Group)
}

// with opens the log for as long as do takes.
func (f *storedFlags) with(ctx context.Context, logger *slog.Logger, do func(l *stream.Log) error) error {
	l, err := f.openLog(ctx, logger)
	if err != nil {
		return err
	}
	return errors.Join(do(l), l.Close())
}

func (f *storedFlags) openLog(ctx context.Context, logger *slog.Logger) (*stream.Log, error) {
	if len(f.Brokers) > 0 {
		return f.brokerFlags.open(ctx, logger)
	}
	dir, err := f.dir()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "log")); err != nil {
		return nil, fmt.Errorf("%s has no log of tagtide's: name the directory that run printed with --data-dir, or a Kafka with --brokers: %w", dir, err)
	}
	return stream.OpenEmbedded(filepath.Join(dir, "log"), stream.EmbeddedOptions{Logger: logger})
}

type topicsCreateCmd struct {
	storedFlags
	topicFlags
}

// Validate is called by the parser.
func (c *topicsCreateCmd) Validate() error {
	return errors.Join(c.topicFlags.validate(), c.storedFlags.Validate())
}

// Run creates what is missing.
func (c *topicsCreateCmd) Run(ctx context.Context, s std, g *Globals) error {
	if len(c.Brokers) == 0 {
		dir, err := c.dir()
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(dir, "log"), 0o755); err != nil {
			return fmt.Errorf("make the data directory: %w", err)
		}
	}
	return c.with(ctx, g.logger(s.err), func(l *stream.Log) error {
		graph := c.graph()
		if err := stream.CreateTopics(ctx, l, graph, stream.ProcessorOptions{Partitions: c.Partitions, ReplicationFactor: c.ReplicationFactor}); err != nil {
			return err
		}
		beside, err := c.createBeside(ctx, l)
		if err != nil {
			return err
		}
		return describeTopics(ctx, s.out, l, slices.Concat(graph.Inputs(), graph.OwnTopics(), beside)...)
	})
}

// createBeside creates what emitters and, where they are several, processes
// keep of themselves: who may not create topics needs these too.
func (c *topicsCreateCmd) createBeside(ctx context.Context, l *stream.Log) ([]string, error) {
	cursors := stream.TableTopic(c.Group, cursorsTable)
	emitting := stream.EmitterOptions{ID: cursors, Cursors: cursors, Partitions: c.Partitions, ReplicationFactor: c.ReplicationFactor}
	if err := stream.CreateEmitterTopics(ctx, l, c.InputTopic, emitting); err != nil {
		return nil, err
	}
	if len(c.Brokers) == 0 {
		return []string{cursors}, nil
	}
	instances := stream.TableTopic(c.Group, instancesTable)
	flags := c.topicFlags
	flags.CreateTopics = true
	return []string{cursors, instances}, stream.CreateEmitterTopics(ctx, l, instances, reporting(instances, "create", flags))
}

type topicsDescribeCmd struct {
	storedFlags
	JSON bool `help:"As JSON lines."`
}

// Run prints all topics.
func (c *topicsDescribeCmd) Run(ctx context.Context, s std, g *Globals) error {
	return c.with(ctx, g.logger(s.err), func(l *stream.Log) error {
		if !c.JSON {
			return describeTopics(ctx, s.out, l)
		}
		infos, err := stream.DescribeTopics(ctx, l)
		if err != nil {
			return err
		}
		e := json.NewEncoder(s.out)
		for _, t := range infos {
			if err := e.Encode(topicRow(t)); err != nil {
				return err
			}
		}
		return nil
	})
}

type topicJSON struct {
	Topic            string          `json:"topic"`
	CleanupPolicy    string          `json:"cleanup_policy"`
	RetentionSeconds int64           `json:"retention_seconds,omitempty"`
	Partitions       []partitionJSON `json:"partitions"`
}

type partitionJSON struct {
	Partition int   `json:"partition"`
	Start     int64 `json:"start"`
	Stable    int64 `json:"stable"`
	End       int64 `json:"end"`
}

func topicRow(t stream.TopicInfo) topicJSON {
	row := topicJSON{Topic: t.Name, CleanupPolicy: t.Cleanup, RetentionSeconds: int64(t.Retention / time.Second)}
	for n, p := range t.Partitions {
		row.Partitions = append(row.Partitions, partitionJSON{n, p.Start, p.Stable, p.End})
	}
	return row
}

func describeTopics(ctx context.Context, w io.Writer, l *stream.Log, names ...string) error {
	infos, err := stream.DescribeTopics(ctx, l, names...)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "topic\tcleanup\tretention\tpartition\tstart\tend")
	for _, info := range infos {
		retention := "for ever"
		if info.Retention > 0 {
			retention = info.Retention.String()
		}
		for n, p := range info.Partitions {
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\n", info.Name, info.Cleanup, retention, n, p.Start, p.End)
		}
	}
	return t.Flush()
}

type topicsReadCmd struct {
	Name string `arg:"" help:"The topic."`
	storedFlags
}

// Validate is called by the parser.
func (c *topicsReadCmd) Validate() error {
	if !isName(c.Name, maxName) {
		return usagef("%q is not the name of a topic", c.Name)
	}
	return c.storedFlags.Validate()
}

// recordJSON is a record as a line. Bytes that are no UTF-8 are in base64,
// under the other name; a null value has neither.
type recordJSON struct {
	Partition   int32             `json:"partition"`
	Offset      int64             `json:"offset"`
	Timestamp   time.Time         `json:"timestamp"`
	Key         *string           `json:"key"`
	KeyBase64   []byte            `json:"key_base64,omitempty"`
	Value       *string           `json:"value"`
	ValueBase64 []byte            `json:"value_base64,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"`
}

// Run prints the records.
func (c *topicsReadCmd) Run(ctx context.Context, s std, g *Globals) error {
	return c.with(ctx, g.logger(s.err), func(l *stream.Log) error {
		out := bufio.NewWriter(s.out)
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		err := stream.ReadTopic(ctx, l, c.Name, func(r stream.Record) error { return e.Encode(recordRow(r)) })
		return errors.Join(err, out.Flush())
	})
}

func recordRow(r stream.Record) recordJSON {
	row := recordJSON{Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UTC()}
	row.Key, row.KeyBase64 = text(r.Key)
	row.Value, row.ValueBase64 = text(r.Value)
	for _, h := range r.Headers {
		if row.Headers == nil {
			row.Headers = map[string]string{}
		}
		row.Headers[h.Key] = string(h.Value)
	}
	return row
}

// text returns bytes as a string if they are one.
func text(b []byte) (*string, []byte) {
	switch {
	case b == nil:
		return nil, nil
	case utf8.Valid(b):
		s := string(b)
		return &s, nil
	}
	return nil, b
}
