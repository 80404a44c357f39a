package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/tagtide/tagtide/processor"
	"github.com/tagtide/tagtide/stream"
)

// cli is the whole command line.
type cli struct {
	Globals

	Run         runCmd         `cmd:"" help:"Everything in one process: emitter, processor, view, API and page."`
	Emit        emitCmd        `cmd:"" help:"Only the emitter: posts from a source into a Kafka."`
	Process     processCmd     `cmd:"" help:"Only a processor instance, one of any number."`
	Serve       serveCmd       `cmd:"" help:"Only the view, the API and the page, any number of times."`
	Broker      brokerCmd      `cmd:"" help:"A Kafka for development, in memory, gone when it ends."`
	Topics      topicsCmd      `cmd:"" help:"Create, describe and read the group's topics."`
	Describe    describeCmd    `cmd:"" help:"The topology."`
	Dead        deadCmd        `cmd:"" help:"List records that could not be handled, and replay them."`
	Reset       resetCmd       `cmd:"" help:"Begin a group anew: its positions, topics and local state go."`
	Check       checkCmd       `cmd:"" help:"Are the local stores what the log says, and is nothing left open?"`
	Version     versionCmd     `cmd:"" help:"Facts about this build."`
	Healthcheck healthcheckCmd `cmd:"" help:"Probe a running tagtide; for containers."`
}

// Globals are the flags of every command.
type Globals struct {
	LogLevel  levelFlag `help:"debug, info, warn or error (default: info)." default:"info" placeholder:"LEVEL"`
	LogFormat string    `help:"text or json." enum:"text,json" default:"text"`
}

// levelFlag is how important a line of the log must be to be written.
type levelFlag struct{ level slog.Level }

// UnmarshalText is called by the parser.
func (f *levelFlag) UnmarshalText(text []byte) error {
	if err := f.level.UnmarshalText(text); err != nil {
		return fmt.Errorf("%q is none of debug, info, warn and error", text)
	}
	return nil
}

// logger makes what the flags ask for.
func (g *Globals) logger(w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: g.LogLevel.level}
	if g.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// groupFlags say what the group does.
type groupFlags struct {
	nameFlags
	memoryFlags
	decodeFlags
	Reposts string `help:"count posts that pass on somebody else's, or skip them." enum:"count,skip" default:"count"`
}

// graph is the topology of the group.
func (f groupFlags) graph() *stream.GroupGraph { return processor.Graph(f.options()) }

func (f groupFlags) options() processor.Options {
	return processor.Options{Group: f.Group, Input: f.InputTopic, SkipReposts: f.Reposts == "skip", BlueskyText: f.BlueskyText, Dedupe: f.Dedupe.time}
}

// memoryFlags say for how long posts are remembered.
type memoryFlags struct {
	Dedupe dedupeFlag `help:"For how long posts are remembered since they were last sent: what comes again counts once, edits and deletes are followed. off: each record counts (default: 48h)." default:"48h" placeholder:"TIME"`
}

// decodeFlags say what is found in posts.
type decodeFlags struct {
	BlueskyText bool `help:"Find hashtags in the text of Bluesky's posts that mark none and list none, which Bluesky itself does not."`
}

// dedupeFlag is a time, or off.
type dedupeFlag struct{ time time.Duration }

// UnmarshalText is called by the parser.
func (f *dedupeFlag) UnmarshalText(text []byte) (err error) {
	if string(text) == "off" {
		f.time = 0
		return nil
	}
	if f.time, err = time.ParseDuration(string(text)); err != nil || f.time < time.Second {
		return fmt.Errorf("%q is neither a time of a second or more, such as 48h, nor off", text)
	}
	return nil
}

// dataFlags say where a log that is not running lies.
type dataFlags struct {
	DataDir string `help:"Where run keeps its data (default: $$XDG_STATE_HOME/tagtide/GROUP/run, else ~/.local/state/…)." placeholder:"DIR"`
}

// topicFlags are for topics that have to be created.
type topicFlags struct {
	Partitions        int32 `help:"Partitions of topics that are created (default: as many as the input has, or 4)." placeholder:"N"`
	ReplicationFactor int16 `help:"Replicas of topics that are created (default: the broker's)." placeholder:"N"`
	CreateTopics      bool  `help:"Create topics that are missing." default:"true" negatable:""`
}

func (f topicFlags) validate() error {
	if f.Partitions < 0 || f.ReplicationFactor < 0 {
		return usagef("--partitions and --replication-factor must not be negative")
	}
	return nil
}

// startFlag is where a new group begins: oldest, newest or a time.
type startFlag struct{ stream.Start }

// UnmarshalText reads what the user typed.
func (s *startFlag) UnmarshalText(text []byte) error {
	switch word := string(text); word {
	case "oldest":
		return nil
	case "newest":
		s.Newest = true
		return nil
	default:
		at, err := time.Parse(time.RFC3339, word)
		if err != nil {
			return fmt.Errorf("%q is neither oldest, newest nor a time such as 2026-04-03T12:00:00Z", word)
		}
		s.At = at
		return nil
	}
}

// isTerminal tells whether w is a terminal that somebody looks at.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
