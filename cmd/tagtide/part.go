package main

import (
	"context"
	"errors"

	"github.com/tagtide/tagtide/stream"
)

// A part is a tagtide that does some of the work, on a Kafka.
type part struct {
	role      string
	brokers   brokerFlags
	graph     *stream.GroupGraph
	topics    topicFlags        // that it may create
	addresses map[string]string // to listen on, by flag
}

// A lead is what a process runs for: when it has ended, so has the process.
type lead func(context.Context) (ended bool, err error)

// run connects, lets add make the parts, and runs them.
func (p *part) run(ctx context.Context, s std, g *Globals, add func(*works) (lead, error)) (err error) {
	logger := g.logger(s.err)
	listeners, err := listen(p.addresses)
	if err != nil {
		return err
	}
	l, err := p.brokers.open(ctx, logger)
	if ctx.Err() != nil {
		err = nil // stopped before it had begun
	}
	if l == nil {
		return errors.Join(err, listeners.close())
	}
	w := newWorks(p.role, l, p.graph, logger)
	defer func() { err = errors.Join(err, w.close()) }()
	w.news.share(l, p.graph.Group(), p.topics)
	lead, err := add(w)
	if err != nil {
		return errors.Join(err, listeners.close())
	}
	return w.run(ctx, listeners, s, lead)
}
