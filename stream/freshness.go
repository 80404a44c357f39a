package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
	"github.com/tagtide/tagtide/stream/internal/topology"
)

// A Freshness says how up to date a view is.
type Freshness struct {
	State ViewState
	// AsOf is a time such that Lag counts everything that was committed before it.
	AsOf time.Time
	// Lag is how many records, by position, had not reached the view: those
	// its group has not handled, and those of the table it has not read. With
	// 0, all that was committed before AsOf is in the view. -1: not known.
	Lag int64
	// Progress of the recovery, 0 to 1, and the changelog positions to go.
	Progress float64
	ToGo     int64
	// ETA is how long the recovery will take at the pace it had; 0: not known.
	ETA time.Duration
}

// ViewState is what a view is doing.
type ViewState int

// The states of a view.
const (
	Restoring    ViewState = iota // catching up for the first time
	Running                       // following
	Disconnected                  // the log does not answer
)

func (s ViewState) String() string {
	return [...]string{"restoring", "running", "disconnected"}[s]
}

// probeEvery is how often lag is measured; with the time that takes, an answer
// is never older than 250 ms while the log answers.
const probeEvery = 150 * time.Millisecond

// disconnectedAfter is for how long lag may go unmeasured before the log counts
// as not answering.
const disconnectedAfter = 5 * time.Second

// measureTimeout bounds one measurement: one that hangs must not pass for news.
const measureTimeout = time.Second

// A probe measures lag in the background, so that no reader of a view waits
// for the log.
//
// Invariant: it reads in the way of the data, first how many partitions there
// are, then ends, then positions, from the inputs to the view. In another order a record that hops between two
// reads would be in neither count, and lag would show a 0 that is not true. And
// ends are ends, not where committed reading ends: behind an open transaction
// there may be committed records of others, which a Kafka broker hides until
// it is decided. Lag still gets to 0, for readers pass transaction markers.
type probe struct {
	log   log.Log
	table string
	graph *GroupGraph
	next  func() []int64 // of the view, by partition; nil before it has any

	mu     sync.Mutex
	result Freshness
}

func newProbe(l log.Log, table string, g *GroupGraph, next func() []int64) *probe {
	return &probe{log: l, table: table, graph: g, next: next, result: Freshness{Lag: -1}}
}

func (p *probe) last() Freshness {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.result
}

// run measures until ctx ends, beginning when the view has recovered: before
// that, nobody is told a lag.
func (p *probe) run(ctx context.Context, recovered <-chan struct{}) {
	select {
	case <-ctx.Done():
		return
	case <-recovered:
	}
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	answered := time.Now()
	for {
		begun := time.Now()
		lag, err := p.measure(ctx)
		switch {
		case err == nil:
			answered = begun
			p.set(Freshness{State: Running, AsOf: begun, Lag: lag})
		case time.Since(answered) > disconnectedAfter:
			last := p.last()
			p.set(Freshness{State: Disconnected, AsOf: last.AsOf, Lag: -1})
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *probe) set(f Freshness) {
	p.mu.Lock()
	p.result = f
	p.mu.Unlock()
}

// measure counts what lies between the inputs' ends and the view.
func (p *probe) measure(ctx context.Context) (lag int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	for _, topic := range p.upstream() {
		n, err := p.behind(ctx, topic)
		if err != nil {
			return 0, err
		}
		lag += n
	}
	_, ends, err := p.ends(ctx, p.table)
	if err != nil {
		return 0, err
	}
	next := p.next()
	for i, end := range ends {
		at := end.Start // of a partition that the view does not follow yet
		if i < len(next) {
			at = next[i]
		}
		lag += max(0, end.End-at)
	}
	return lag, nil
}

// upstream lists what the group reads: inputs first, then the loop.
func (p *probe) upstream() []string {
	if p.graph == nil {
		return nil
	}
	var inputs, loop []string
	for _, s := range p.graph.topology.Sources {
		if s.Loop {
			loop = append(loop, topology.LoopTopic(p.graph.Group()))
		} else {
			inputs = append(inputs, s.Topic)
		}
	}
	return append(inputs, loop...)
}

// behind counts the positions of a topic that the group has not committed.
func (p *probe) behind(ctx context.Context, topic string) (int64, error) {
	partitions, ends, err := p.ends(ctx, topic)
	if err != nil {
		return 0, err
	}
	positions, err := p.stablePositions(ctx, partitions)
	if err != nil {
		return 0, err
	}
	var lag int64
	for n, end := range ends {
		at, ok := positions[partitions[n]]
		if !ok {
			at = end.Start
		}
		lag += max(0, end.End-at)
	}
	return lag, nil
}

// stablePositions asks for the group's positions until no transaction holds
// them, or ctx ends. Commits are short, so that is soon.
func (p *probe) stablePositions(ctx context.Context, partitions []record.Partition) (map[record.Partition]int64, error) {
	for {
		positions, err := p.log.Positions(ctx, p.graph.Group(), partitions...)
		if !errors.Is(err, log.ErrUnstable) {
			return positions, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// ends returns a topic's partitions, as many as there are now, and their
// extents, in order.
func (p *probe) ends(ctx context.Context, topic string) ([]record.Partition, []log.Range, error) {
	counts, err := p.log.Partitions(ctx, topic)
	if err != nil {
		return nil, nil, err
	}
	if counts[topic] == 0 {
		return nil, nil, fmt.Errorf("%w: %s", log.ErrUnknownTopic, topic)
	}
	partitions := make([]record.Partition, counts[topic])
	for n := range partitions {
		partitions[n] = record.Partition{Topic: topic, Number: int32(n)}
	}
	extents, err := p.log.Ends(ctx, partitions...)
	if err != nil {
		return nil, nil, err
	}
	ranges := make([]log.Range, len(partitions))
	for n, partition := range partitions {
		ranges[n] = extents[partition]
	}
	return partitions, ranges, nil
}
