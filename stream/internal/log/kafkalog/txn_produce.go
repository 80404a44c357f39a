package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// produce writes all batches, in waves. A wave sends what is not accepted yet
// to its leaders, to all of them at once, and to each as many requests as the
// connection takes in flight; the next one sends again what was refused for
// now, under the same sequence numbers. going ends the waves.
func (c *commit) produce(ctx, going context.Context) error {
	var pause pause
	for {
		wave, err := c.wave(going)
		if err != nil || len(wave) == 0 {
			return err
		}
		var sending sync.WaitGroup
		for broker, batches := range wave {
			sending.Go(func() { c.producer.send(ctx, broker, batches) })
		}
		sending.Wait()
		again, err := c.judge(wave)
		if err != nil {
			return err
		}
		if again != nil && pause.wait(going, again) != nil {
			return again
		}
	}
}

// A sent batch is one of a wave, with its answer.
type sent struct {
	*out
	err error
}

// wave is what is to be sent now, by leader; of a partition in order.
func (c *commit) wave(ctx context.Context) (map[int32][]*sent, error) {
	wave := map[int32][]*sent{}
	for _, p := range c.partitions() {
		var rest []*sent
		for _, o := range c.queues[p] {
			if !o.done {
				rest = append(rest, &sent{out: o})
			}
		}
		if len(rest) == 0 {
			continue
		}
		if _, told := c.producer.sequences[p]; !told && len(rest) == len(c.queues[p]) {
			// A broker that has nothing of this producer takes any sequence,
			// also that of a batch whose predecessor it has just refused.
			rest = rest[:1]
		}
		leader, err := c.producer.log.cluster.leader(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("write: %w", err)
		}
		wave[leader] = append(wave[leader], rest...)
	}
	return wave, nil
}

// send sends batches to their leader and waits for the answers.
func (p *producer) send(ctx context.Context, broker int32, batches []*sent) {
	at := role{records, broker}
	x, err := p.links.to(ctx, at)
	if err != nil {
		for _, s := range batches {
			s.err = &unsent{err}
		}
		return
	}
	stop := x.during(ctx)
	lost := false
	var answers sync.WaitGroup
	for _, request := range requests(batches) {
		if lost {
			fail(request, &unsent{errors.New("an earlier request was lost")})
			continue
		}
		answers.Add(1)
		err := x.AsyncProduce(p.request(request), func(r *sarama.ProduceResponse, err error) {
			defer answers.Done()
			take(request, r, err)
		})
		if err != nil {
			answers.Done()
			fail(request, outcome(err))
			lost = !isUnsent(outcome(err)) && !answered(err)
			if lost {
				x.kill() // under those that wait for their answers
			}
		}
	}
	answers.Wait()
	if !stop() || lost || anyInDoubt(batches) {
		p.links.drop(at, x)
	}
}

// maxRequest is how large a request becomes, if it is not of one batch.
const maxRequest = 8 << 20

// requests divides batches: one of a partition in each request, in order.
func requests(batches []*sent) (all [][]*sent) {
	sizes := []int{}
	last := map[record.Partition]int{} // request that the partition's last batch is in
	for _, s := range batches {
		n := 0
		if i, ok := last[s.at]; ok {
			n = i + 1
		}
		for n < len(all) && sizes[n]+s.bytes > maxRequest {
			n++
		}
		if n == len(all) {
			all, sizes = append(all, nil), append(sizes, 0)
		}
		all[n] = append(all[n], s)
		sizes[n] += s.bytes
		last[s.at] = n
	}
	return all
}

// appendTimeout is how long a leader may wait for its followers.
const appendTimeout = 5 * time.Second

func (p *producer) request(batches []*sent) *sarama.ProduceRequest {
	r := &sarama.ProduceRequest{
		Version: 10, TransactionalID: &p.id, RequiredAcks: sarama.WaitForAll, Timeout: int32(appendTimeout / time.Millisecond),
	}
	for _, s := range batches {
		r.AddBatch(s.at.Topic, s.at.Number, s.batch)
	}
	return r
}

func fail(batches []*sent, err error) {
	for _, s := range batches {
		s.err = err
	}
}

// take takes the answer to a request.
func take(batches []*sent, r *sarama.ProduceResponse, err error) {
	if err != nil {
		fail(batches, fmt.Errorf("%w: connection lost before the answer: %w", log.ErrInDoubt, err))
		return
	}
	for _, s := range batches {
		block := r.GetBlock(s.at.Topic, s.at.Number)
		switch {
		case block == nil:
			s.err = fmt.Errorf("%w: no answer for %s/%d", log.ErrInDoubt, s.at.Topic, s.at.Number)
		case block.Err != sarama.ErrNoError:
			s.err = block.Err
		case block.Offset < 0:
			// It was there already, and the broker has forgotten where.
			s.err = fmt.Errorf("%w: accepted at an unknown offset", log.ErrInDoubt)
		default:
			s.done, s.next = true, block.Offset+int64(len(s.batch.Records))
		}
	}
}

func anyInDoubt(batches []*sent) bool {
	for _, s := range batches {
		if errors.Is(s.err, log.ErrInDoubt) {
			return true
		}
	}
	return false
}

// judge looks at the answers to a wave: why another one is needed, or what
// ends the transaction.
func (c *commit) judge(wave map[int32][]*sent) (again, fatal error) {
	refused := map[record.Partition]bool{}
	for _, batches := range wave {
		for _, s := range batches {
			if s.err == nil {
				continue
			}
			err := s.verdict(refused[s.at])
			refused[s.at] = true
			if !retriable(err) {
				fatal = worse(fatal, fmt.Errorf("write to %s/%d: %w", s.at.Topic, s.at.Number, err))
				continue
			}
			c.producer.log.cluster.moved(s.at)
			again = err
		}
	}
	return again, fatal
}

// verdict says what the answer to a batch means, given whether one before it
// was refused: then it could not be accepted either, and both are sent again.
func (s *sent) verdict(behind bool) error {
	var k sarama.KError
	if isUnsent(s.err) || errors.Is(s.err, log.ErrInDoubt) || !errors.As(s.err, &k) {
		return s.err
	}
	switch {
	case k == sarama.ErrOutOfOrderSequenceNumber && behind,
		k == sarama.ErrUnknownTopicOrPartition: // not here; whether it is anywhere, the next wave asks
		return fmt.Errorf("%w: %w", log.ErrUnavailable, k)
	case k == sarama.ErrMessageSizeTooLarge, k == sarama.ErrMessageSetSizeTooLarge:
		return s.tooLarge()
	}
	return verdict(k)
}

// tooLarge says that the batch is, and which record, if it has only one.
func (s *sent) tooLarge() error {
	if n := len(s.batch.Records); n != 1 {
		return &tooLarge{at: s.at, bytes: s.bytes, records: n}
	}
	rec := s.batch.Records[0]
	var headers []record.Header
	for _, h := range rec.Headers {
		headers = append(headers, record.Header{Key: string(h.Key), Value: h.Value})
	}
	return tooLargeFor(s.at, s.bytes, rec.Key, rec.Value, headers)
}
