package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// watchEvery is how often a reader asks who leads what it reads and whether
// the topics are the same, when nothing makes it ask earlier.
const watchEvery = 1500 * time.Millisecond

// watch gives wants to fetchers, until the reader's end.
func (r *reader) watch() {
	defer wake(r.ready) // Poll has something to say: closed
	var pause backoff
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		began := time.Now()
		err := r.look()
		if r.life.Err() != nil {
			return
		}
		r.log.report(none, began, err, "kafka cannot be reached: reading goes on when it is back", "kafka is back")
		wait := watchEvery
		if err != nil || r.unplaced() {
			wait = pause.next()
		} else {
			pause = backoff{}
		}
		timer.Reset(wait)
		select {
		case <-r.life.Done():
			return
		case <-timer.C:
			continue
		case <-r.moved:
		}
		// Several moves in a row are looked at once, and not in a frenzy.
		if pause.tries > 0 && pause.wait(r.life) != nil {
			return
		}
	}
}

// unplaced tells whether a want that may be read has no fetcher.
func (r *reader) unplaced() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.wants, func(w *want) bool { return w.broker == none && !w.final })
}

// look asks for the metadata of all topics that are read, and gives each want
// to the fetcher of its leader.
func (r *reader) look() error {
	names := r.topics()
	if len(names) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.life, r.log.o.Timeout)
	defer cancel()
	var topics []*sarama.TopicMetadata
	c := r.log.cluster
	err := c.anywhere(ctx, func(b *sarama.Broker) (err error) {
		topics, err = c.ask(b, names)
		return err
	})
	if err != nil {
		return err
	}
	told, started := r.place(topics)
	for _, f := range started {
		r.start(f.run)
	}
	if told {
		wake(r.ready)
	}
	return nil
}

func (r *reader) topics() (names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.wants {
		if !slices.Contains(names, w.p.Topic) {
			names = append(names, w.p.Topic)
		}
	}
	return names
}

// place takes over what metadata says of the wants. It tells whether there is
// an error to say, and which fetchers are new and have to be started.
func (r *reader) place(topics []*sarama.TopicMetadata) (told bool, started []*fetcher) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.wants {
		i := slices.IndexFunc(topics, func(t *sarama.TopicMetadata) bool { return t.Name == w.p.Topic })
		if i < 0 || w.final {
			continue // sought meanwhile, or given up
		}
		had := w.err
		w.locate(topics[i])
		told = told || w.err != nil && had == nil
		if w.broker == none {
			continue
		}
		f := r.fetchers[w.broker]
		if f == nil && !r.closed {
			f = &fetcher{reader: r, broker: w.broker, hungry: make(chan struct{}, 1)}
			r.fetchers[w.broker] = f
			started = append(started, f)
		}
		if f != nil {
			wake(f.hungry)
		}
	}
	return told, started
}

// locate takes over what metadata says of a want's topic.
func (w *want) locate(t *sarama.TopicMetadata) {
	i := slices.IndexFunc(t.Partitions, func(p *sarama.PartitionMetadata) bool { return p.ID == w.p.Number })
	if unknown(t.Err) || t.Err == sarama.ErrNoError && i < 0 {
		w.broker = none
		if w.unknown++; w.unknown >= believed {
			w.err = fmt.Errorf("%w: %s/%d", log.ErrUnknownTopic, w.p.Topic, w.p.Number)
		}
		return
	}
	w.unknown = 0
	if err := topicError(t); err != nil {
		w.broker, w.err = none, err
		return
	}
	id := idOf(t)
	if w.topicID != "" && id != w.topicID {
		w.broker, w.final = none, true
		w.err = fmt.Errorf("%w: %s was deleted and recreated (its id was %s and is %s): what was read of it is of another topic",
			log.ErrUnknownTopic, w.p.Topic, w.topicID, id)
		return
	}
	w.topicID = id
	if errors.Is(w.err, log.ErrUnknownTopic) {
		w.err = nil
	}
	if i < 0 || t.Partitions[i].Leader < 0 {
		w.broker = none
		return
	}
	w.broker, w.epoch = t.Partitions[i].Leader, epochOf(t.Partitions[i])
}
