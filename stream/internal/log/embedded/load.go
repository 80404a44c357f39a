package embedded

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// load reads everything but the records into memory, or begins a new log.
func (l *Log) load() error {
	fresh, err := l.loadFormat()
	if err != nil || fresh {
		return err
	}
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

// loadFormat checks what the directory holds. It writes the first row of a log
// into an empty one, and then says that there is nothing else to load.
func (l *Log) loadFormat() (fresh bool, err error) {
	value, closer, err := l.db.Get([]byte{kindFormat})
	if errors.Is(err, pebble.ErrNotFound) {
		return true, l.begin()
	}
	if err != nil {
		return false, storageError(err)
	}
	row, err := decodeRow[formatRow](value)
	if err := errors.Join(err, closer.Close()); err != nil {
		return false, fmt.Errorf("%w: format: %w", log.ErrDamaged, err)
	}
	if row.Format != formatVersion {
		return false, fmt.Errorf("the log has format %d, this program knows %d", row.Format, formatVersion)
	}
	l.id = row.ID
	return false, nil
}

// begin makes an empty Pebble a log.
func (l *Log) begin() error {
	it, err := l.db.NewIter(nil)
	if err != nil {
		return storageError(err)
	}
	foreign := it.First()
	if err := it.Close(); err != nil {
		return storageError(err)
	}
	if foreign {
		return errors.New("what is there is no log")
	}
	if l.id = l.o.ID; l.id == "" {
		l.id = randomID()
	}
	row := formatRow{Format: formatVersion, ID: l.id}
	return storageError(l.db.Set([]byte{kindFormat}, encodeRow(row), pebble.Sync))
}

func randomID() string {
	var b [12]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
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
	l.open[t.id] = t
	return nil
}
