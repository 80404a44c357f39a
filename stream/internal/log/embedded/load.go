package embedded

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// load reads everything but the records into memory.
func (l *Log) load() error {
	for _, part := range []struct {
		kind byte
		what string
		load func(key, value []byte) error
	}{
		{kindCounters, "counters", l.loadCounters},
		{kindTopic, "topic", l.loadTopic},
		{kindExtent, "extent", l.loadExtent},
		{kindGroup, "group", l.loadGroup},
		{kindPosition, "position", l.loadPosition},
		{kindProducer, "producer", l.loadProducer},
		{kindOpen, "open transaction", l.loadOpen},
	} {
		if err := l.scan([]byte{part.kind}, part.load); err != nil {
			return fmt.Errorf("%w: %s: %w", log.ErrDamaged, part.what, err)
		}
	}
	return nil
}

// scan calls f for all rows under a prefix.
func (l *Log) scan(prefix []byte, f func(key, value []byte) error) error {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return storageError(err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var value []byte
		if value, err = it.ValueAndErr(); err == nil {
			err = f(it.Key(), value)
		}
	}
	return storageError(errors.Join(err, it.Close()))
}

func (l *Log) loadCounters(_, value []byte) (err error) {
	l.counters, err = decodeRow[counters](value)
	return err
}

func (l *Log) loadTopic(key, value []byte) error {
	if len(key) != 5 {
		return fmt.Errorf("key %q", key)
	}
	row, err := decodeRow[topicRow](value)
	if err != nil {
		return err
	}
	t := newTopic(placeOf(append(key[:5:5], 0, 0, 0, 0)).topic, row)
	l.topics[row.Name], l.byID[t.id] = t, t
	return nil
}

// at returns the partition of a key that begins with a place, or an error.
func (l *Log) at(key []byte) (*partition, error) {
	if len(key) < placeKeyLen {
		return nil, fmt.Errorf("key %q", key)
	}
	return l.atPlace(placeOf(key))
}

func (l *Log) atPlace(p place) (*partition, error) {
	t := l.byID[p.topic]
	if t == nil || p.partition < 0 || int(p.partition) >= len(t.partitions) {
		return nil, fmt.Errorf("partition %d of topic %d does not exist", p.partition, p.topic)
	}
	return t.partitions[p.partition], nil
}

func (l *Log) loadExtent(key, value []byte) error {
	p, err := l.at(key)
	if err != nil {
		return err
	}
	p.extent, err = decodeExtent(value)
	return err
}

func (l *Log) loadGroup(key, value []byte) error {
	row, err := decodeRow[groupRow](value)
	l.groupFor(string(key[1:])).generation = row.Generation
	return err
}

func (l *Log) loadPosition(key, value []byte) error {
	p, err := l.at(key)
	if err != nil {
		return err
	}
	next, err := decodePosition(value)
	l.groupFor(string(key[placeKeyLen:])).positions[p.place()] = next
	return err
}

func (l *Log) loadProducer(key, value []byte) error {
	row, err := decodeRow[producerRow](value)
	l.producers[string(key[1:])] = row
	return err
}

func (l *Log) loadOpen(key, value []byte) error {
	row, err := decodeRow[txnRow](value)
	if err != nil {
		return err
	}
	t := &txn{id: string(key[1:]), txnRow: row}
	for _, s := range t.Spans {
		if _, err := l.atPlace(s.place()); err != nil {
			return err
		}
	}
	l.hold(t)
	l.undecided[t.id] = t
	return nil
}
