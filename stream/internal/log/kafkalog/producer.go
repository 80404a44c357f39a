package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// A producer is one incarnation of a transactional id. It speaks transaction
// version 1: the epoch stays as it is from one transaction to the next, and
// sequences go on.
type producer struct {
	log   *Log
	id    string // transactional
	pid   int64  // the brokers' name for it
	epoch int16
	links *links
	codec sarama.CompressionCodec
	slabs slabs
	// sequences are the numbers of the next records, by partition.
	sequences map[record.Partition]int32
	// limits are how large batches may be, by topic, where brokers have
	// refused smaller ones than the default.
	limits map[string]int
	dead   bool
	// unlink, unless Close was first, ends the links with the log.
	unlink func() bool
}

// Producer implements [log.Log]. It goes on until ctx ends or the transaction
// of the one before has ended, in all partitions.
func (l *Log) Producer(ctx context.Context, transactionalID string) (log.Producer, error) {
	if transactionalID == "" {
		return nil, errors.New("producer: the transactional id is empty")
	}
	p := &producer{
		log: l, id: transactionalID, links: newLinks(l.cluster), codec: codecs[l.o.Compression],
		sequences: map[record.Partition]int32{}, limits: map[string]int{},
	}
	l.work.Add(1)
	p.unlink = context.AfterFunc(l.life, func() {
		p.links.close()
		l.work.Done()
	})
	if err := p.begun(ctx); err != nil {
		_ = p.Close()
		return nil, fmt.Errorf("producer %q: %w", transactionalID, err)
	}
	return p, nil
}

// begun takes the id over in the time that ctx and the log have.
func (p *producer) begun(ctx context.Context) error {
	if err := p.log.alive(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.log.life, cancel)()
	err := p.takeOver(ctx)
	if p.log.life.Err() != nil {
		return log.ErrClosed
	}
	return err
}

// init asks for a new epoch, whoever had the old one (producer id -1); done if
// it was given, or else the last transaction has to end first. It may be sent
// again where it never arrived: the worst that comes of it is one epoch more.
func (p *producer) init(ctx context.Context, timeout time.Duration) (done bool, err error) {
	err = p.ask(ctx, ctx, transactionCoordinator, p.id, func(b *sarama.Broker) error {
		r, err := b.InitProducerID(&sarama.InitProducerIDRequest{
			Version: 4, TransactionalID: &p.id, TransactionTimeout: timeout, ProducerID: -1, ProducerEpoch: -1,
		})
		if err != nil {
			return err
		}
		if done = r.Err != sarama.ErrConcurrentTransactions; !done {
			return nil
		}
		p.pid, p.epoch = r.ProducerID, r.ProducerEpoch
		return answer(r.Err)
	})
	return done && err == nil, err
}

// Close implements [log.Producer].
func (p *producer) Close() error {
	p.dead = true
	if p.unlink() {
		p.links.close()
		p.log.work.Done()
	}
	return nil
}

// Commit implements [log.Producer].
func (p *producer) Commit(ctx context.Context, t *log.Txn) (log.Receipt, error) {
	receipt, err := p.commit(ctx, t)
	if errors.Is(err, log.ErrFenced) || errors.Is(err, log.ErrInDoubt) {
		p.dead = true
	}
	if err != nil {
		return log.Receipt{}, fmt.Errorf("commit as %q: %w", p.id, err)
	}
	return receipt, nil
}

// commit makes the transaction, again with smaller batches where those were
// too large for a topic.
func (p *producer) commit(ctx context.Context, t *log.Txn) (log.Receipt, error) {
	for {
		if err := p.log.alive(); err != nil {
			return log.Receipt{}, err
		}
		if p.dead {
			return log.Receipt{}, fmt.Errorf("%w: the producer is dead", log.ErrFenced)
		}
		c, err := p.begin(t)
		if err == nil {
			err = c.run(ctx)
		}
		var large *tooLarge
		if errors.As(err, &large) && large.divisible() && !errors.Is(err, log.ErrInDoubt) && !errors.Is(err, log.ErrFenced) {
			p.limits[large.at.Topic] = large.bytes / 2
			continue
		}
		if err != nil {
			return log.Receipt{}, err
		}
		return c.receipt(), nil
	}
}

// A tooLarge says which batch was too large for its topic.
type tooLarge struct {
	at      record.Partition
	bytes   int // before compression
	records int
	// one is the record, if the batch has no other.
	one *log.TooLarge
}

// tooLargeFor is the error of a record that fits no batch of its topic.
func tooLargeFor(at record.Partition, bytes int, key, value []byte, headers []record.Header) *tooLarge {
	return &tooLarge{at, bytes, 1, &log.TooLarge{Topic: at.Topic, Key: string(key), Size: record.Size(key, value, headers)}}
}

// divisible tells whether smaller batches can be made of it.
func (e *tooLarge) divisible() bool { return e.records > 1 }

// Error implements error.
func (e *tooLarge) Error() string {
	return fmt.Sprintf("%v: %d record(s) of %d bytes in one batch for topic %s, partition %d, are more than its max.message.bytes (or the brokers' message.max.bytes)",
		log.ErrTooLarge, e.records, e.bytes, e.at.Topic, e.at.Number)
}

// Unwrap makes it a [log.ErrTooLarge], and a [log.TooLarge] if it is one record.
func (e *tooLarge) Unwrap() error {
	if e.one != nil {
		return e.one
	}
	return log.ErrTooLarge
}
