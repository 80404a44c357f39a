package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// ReplayOptions tune a replay. The zero value is good.
type ReplayOptions struct {
	// Choose says which dead letters are sent back; default all. It must give
	// the same answer for a letter each time.
	Choose func(DeadLetter) bool
	// Logger for what operators should know; default slog.Default().
	Logger *slog.Logger
	// Now stamps copies for topics that forget by age; default time.Now.
	Now func() time.Time
}

// A Replay sends dead letters back to the topics that their records came from,
// each exactly once, ever: also when it is killed in the middle, run again, or
// run by two at once.
//
//	GROUP-dead ─▶ copies ──────────────────────┐ one
//	           └▶ marks: which have been sent ─┘ transaction
//
// A copy has the key, the value and the headers of the record. In an input it
// lies in the partition that the record had, in the loop in that of its key. It
// has the record's timestamp, unless its topic forgets by age: then it has the
// time of sending, lest it be gone before it is handled.
//
// What fails again becomes another dead letter, behind those that this replay
// is about. The group may run meanwhile. A Replay belongs to one goroutine.
type Replay struct {
	log    *Log
	opts   ReplayOptions
	dead   *deadTopic
	topics map[string]replayTopic // that the group reads, by name
	plan   ReplayPlan

	pause time.Duration // before the first try that follows one that failed
	most  int64         // records in a transaction

	marks  *replayMarks
	doubt  *replayLoad // a transaction whose outcome is unknown
	sent   int64
	logger *slog.Logger
}

// A ReplayPlan is what a Replay is about to do.
type ReplayPlan struct {
	Topics  map[string]int64 // records that will go back, by topic
	LeftOut map[string]int64 // chosen ones that will not, by the reason
}

// Records is how many records will go back.
func (p ReplayPlan) Records() (n int64) {
	for _, of := range p.Topics {
		n += of
	}
	return n
}

// replayTopic is where copies go.
type replayTopic struct {
	log.Topic
	loop        bool
	partitioner Partitioner
}

// NewReplay reads the dead letters that there are and makes a plan. It writes
// nothing. If there is no topic of dead letters the error wraps [ErrUnknownTopic].
func NewReplay(ctx context.Context, l *Log, g *GroupGraph, o ReplayOptions) (*Replay, error) {
	if o.Choose == nil {
		o.Choose = func(DeadLetter) bool { return true }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	dead, err := findDead(ctx, l, g)
	if err != nil {
		return nil, err
	}
	r := &Replay{log: l, opts: o, dead: dead, pause: 50 * time.Millisecond, most: replayRecords, logger: o.Logger.With("group", g.Group()), topics: map[string]replayTopic{}}
	for _, s := range g.topology.Sources {
		topics, err := l.keeper.Topics(ctx, s.Topic)
		if err != nil {
			return nil, fmt.Errorf("look up topic %s: %w", s.Topic, err)
		}
		for _, t := range topics {
			r.topics[t.Name] = replayTopic{t, s.Loop, g.Partitioner(t.Name)}
		}
	}
	if r.marks, err = dead.peek(ctx, l); err != nil {
		return nil, err
	}
	r.plan = ReplayPlan{Topics: map[string]int64{}, LeftOut: map[string]int64{}}
	return r, dead.read(ctx, l, r.count)
}

// Plan tells what Run will do.
func (r *Replay) Plan() ReplayPlan { return r.plan }

// count puts a letter into the plan.
func (r *Replay) count(d DeadLetter) error {
	if r.marks.of(d.Letter.Partition).has(d.Letter.Offset) || !r.opts.Choose(d) {
		return nil
	}
	if why := r.hopeless(&d); why != "" {
		r.plan.LeftOut[why]++
	} else {
		r.plan.Topics[d.Topic]++
	}
	return nil
}

// hopeless says why a letter cannot be sent back; "" if it can.
func (r *Replay) hopeless(d *DeadLetter) string {
	switch {
	case d.Topic == "":
		return "they are no dead letters of the engine's"
	case len(d.Dropped) > 0:
		return "their record was too large to be kept whole: the " + strings.Join(d.Dropped, ", ") + " is missing"
	case r.topics[d.Topic].Partitions == 0:
		return "they are from topic " + d.Topic + ", which is not there or which the group does not read"
	}
	return ""
}

// replayTries is how often in a row a replay may fail before it gives up.
const replayTries = 10

// Run does what is planned, and returns how many records it has sent back. After
// an error those are sent for good, and another Replay goes on with the rest.
func (r *Replay) Run(ctx context.Context) (sent int64, err error) {
	if _, err := ensureTopic(ctx, r.log.keeper, false, log.Topic{Name: cursorsTopic(r.dead.group), Partitions: 1, Cleanup: log.Compact}); err != nil {
		return 0, err
	}
	pause := r.pause
	for failed := 0; ; failed++ {
		before := r.sent
		err := r.pass(ctx)
		if r.sent > before {
			failed, pause = 0, r.pause
		}
		switch {
		case errors.Is(err, log.ErrFenced):
			return r.sent, fmt.Errorf("another replay of group %s has taken over; run it again when that has ended", r.dead.group)
		case !errors.Is(err, log.ErrInDoubt) && !errors.Is(err, log.ErrUnavailable) || failed == replayTries:
			return r.sent, err
		}
		r.logger.Warn("nothing is lost; trying again", "in", pause, "error", err)
		select {
		case <-ctx.Done():
			return r.sent, errors.Join(ctx.Err(), err)
		case <-time.After(pause):
			pause = min(2*pause, 5*time.Second)
		}
	}
}

// pass sends what the marks do not have, until something fails.
func (r *Replay) pass(ctx context.Context) (err error) {
	p, err := r.log.keeper.Producer(ctx, replayID(r.dead.group))
	if err != nil {
		return fmt.Errorf("take over the replay: %w", err)
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	cursors, err := settledMarks(ctx, r.log, r.dead.group)
	if err != nil {
		return err
	}
	if r.marks, err = r.dead.newMarks(cursors); err != nil {
		return err
	}
	r.settle()
	load := newReplayLoad()
	err = r.dead.read(ctx, r.log, func(d DeadLetter) error {
		if !r.load(load, &d) || load.bytes < replayBytes && load.records < r.most {
			return nil
		}
		full := load
		load = newReplayLoad()
		load.behind = full.behind
		return r.commit(ctx, p, full)
	})
	if err != nil || load.records == 0 {
		return err
	}
	return r.commit(ctx, p, load)
}

// settle finds in the marks what became of a transaction in doubt.
func (r *Replay) settle() {
	if r.doubt != nil && r.marks.of(r.doubt.first.Partition).has(r.doubt.first.Offset) {
		r.sent += r.doubt.records
	}
	r.doubt = nil
}
