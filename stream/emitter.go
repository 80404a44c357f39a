package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/internal/log"
)

// EmitterOptions configure an emitter. ID is required; the zero value of
// everything else is good.
type EmitterOptions struct {
	// ID names the emitter for ever, also across restarts. Of two that run
	// under one ID the later one fences the earlier. It must not contain "/".
	ID string
	// Cursors is the topic of the table in which the emitter's cursors are
	// kept; several emitters may share it. Without one there are no cursors,
	// and a transaction whose outcome is unknown ends Run with an error.
	Cursors string
	// Partitioner chooses the partitions of keys; default [FNV].
	Partitioner Partitioner
	// CommitInterval between two transactions. Default 100 ms.
	CommitInterval time.Duration
	// MaxBytes that may wait for their commit; Send blocks beyond them. Half
	// of them are committed before the interval is over. Default 8 MiB.
	MaxBytes int
	// StopTimeout is how long Run goes on trying to commit what was handed
	// over after its context has ended. Default 30 s.
	StopTimeout time.Duration

	// NoCreate makes a topic that is missing an error, instead of creating it.
	NoCreate bool
	// Partitions of the topic, if it is created. Default 4. The topic of the
	// cursors always gets one.
	Partitions int32
	// ReplicationFactor of topics that are created. Default: the log's.
	ReplicationFactor int16
	// Retention of the topic, if it is created. Default 3 days; see
	// [InputRetention].
	Retention time.Duration
	// Table makes the topic, if it is created, a table's: of each key only the
	// last record stays, and that for as long as Retention.
	Table bool

	// Logger for what operators should know; default slog.Default().
	Logger *slog.Logger
	// Metrics is where the emitter registers its metrics; nil: nowhere.
	Metrics Registerer
	// Now stamps records; default time.Now.
	Now func() time.Time
	// Instance tells this emitter from earlier ones of the same ID. Default:
	// random, as it should be outside of simulations.
	Instance string
}

// An Emitter writes values to a topic from outside of any group, exactly once:
// what is handed over in one piece, records and cursors, becomes readable in
// one piece, also across crashes, and in the order in which it was handed
// over. Whoever resumes at the last committed cursor repeats and misses
// nothing.
//
// Keys belong to partitions by their hash over as many as the topic has. When
// partitions are added, a running emitter learns of them within seconds: batches
// begun from then on use them, and the same key may lie in another one.
//
// Nothing is committed unless Run runs. All methods are safe for concurrent
// use; a [Batch] is not.
type Emitter[V any] struct {
	codec codec.Codec[V]
	core  *emitter
	bufs  sync.Pool // *[]byte, for encoding
}

// emitter is the part of an Emitter that does not depend on the type of its
// values.
type emitter struct {
	o       EmitterOptions
	queue   *emitQueue
	machine *emitMachine
	started atomic.Bool
	turns   atomic.Uint32 // for records without key
}

// NewEmitter makes an emitter for a topic, and creates what topics are missing.
// It does not take over the ID yet: Run does.
func NewEmitter[V any](l *Log, topic string, c codec.Codec[V], o EmitterOptions) (*Emitter[V], error) {
	core, err := newEmitter(l.keeper, topic, o)
	if err != nil {
		return nil, fmt.Errorf("emitter %s: %w", o.ID, err)
	}
	return &Emitter[V]{codec: c, core: core}, nil
}

func newEmitter(l log.Log, topic string, o EmitterOptions) (*emitter, error) {
	if err := o.prepare(); err != nil {
		return nil, err
	}
	partitions, err := emitterTopics(context.Background(), l, topic, &o)
	if err != nil {
		return nil, err
	}
	q := newEmitQueue(o.MaxBytes)
	m := newEmitterMetrics(o.Metrics, o.ID, q)
	e := &emitter{o: o, queue: q, machine: newEmitMachine(l, topic, &o, q, m)}
	e.machine.partitions.Store(partitions)
	return e, nil
}

// prepare checks the options and fills in the defaults.
func (o *EmitterOptions) prepare() error {
	switch {
	case o.ID == "":
		return errors.New("EmitterOptions.ID is required")
	case strings.Contains(o.ID, "/"):
		return errors.New("EmitterOptions.ID must not contain a slash")
	case strings.Contains(o.Instance, " "):
		return errors.New("EmitterOptions.Instance must not contain a space")
	}
	setDefault(&o.CommitInterval, 100*time.Millisecond)
	setDefault(&o.MaxBytes, 8<<20)
	setDefault(&o.StopTimeout, 30*time.Second)
	setDefault(&o.Partitions, defaultPartitions)
	setDefault(&o.Retention, minRetention)
	setDefault(&o.Instance, randomInstance())
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// NewBatch returns an empty batch.
func (e *Emitter[V]) NewBatch() *Batch[V] {
	return &Batch[V]{codec: e.codec, emitter: e.core, load: &emitLoad{}}
}

// partitions is how many the topic has, as far as is known. It only grows.
func (e *emitter) partitions() int32 { return e.machine.partitions.Load() }

// Send hands over everything in b, to be committed in one transaction, and
// leaves b empty for reuse. It blocks while too many bytes wait; a batch of
// any size is taken once nothing else does. On an error nothing was handed
// over and b is as it was.
func (e *Emitter[V]) Send(ctx context.Context, b *Batch[V]) error {
	if b.load.empty() {
		return nil
	}
	if len(b.load.cursors) > 0 && e.core.o.Cursors == "" {
		return e.core.wrap(errNoCursors)
	}
	fresh, err := e.core.queue.put(ctx, b.load)
	if err != nil {
		return e.core.wrap(err)
	}
	b.load = fresh
	return nil
}

// Emit hands over one record. It blocks as Send does.
func (e *Emitter[V]) Emit(ctx context.Context, key string, v V) error {
	buf, _ := e.bufs.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	defer e.bufs.Put(buf)
	*buf = append((*buf)[:0], key...)
	var err error
	if *buf, err = e.codec.Append(*buf, v); err != nil {
		return e.core.wrap(fmt.Errorf("encode the value of key %q: %w", key, err))
	}
	k, value := (*buf)[:len(key):len(key)], (*buf)[len(key):]
	p := e.core.o.Partitioner.Of(k, e.core.partitions())
	return e.core.wrap(e.core.queue.putRecord(ctx, e.core.o.Now().UnixMilli(), p, k, value))
}

// Flush commits what was handed over before without waiting for the interval,
// and returns when that is done.
func (e *Emitter[V]) Flush(ctx context.Context) error {
	return e.core.wrap(e.core.queue.flush(ctx))
}

// Cursor returns the cursor that was last committed under name, and whether
// there is one. It waits until Run has taken over the ID, because only then no
// earlier emitter can move it any more. The caller must not change the value.
func (e *Emitter[V]) Cursor(ctx context.Context, name string) ([]byte, bool, error) {
	cursors, err := e.core.machine.cursors.await(ctx, e.core.queue)
	if err != nil {
		return nil, false, e.core.wrap(err)
	}
	value, ok := cursors.get(name)
	return value, ok, nil
}

// Cursors calls f for every committed cursor whose name begins with prefix, in
// no particular order. It waits as Cursor does. f must not change the value.
func (e *Emitter[V]) Cursors(ctx context.Context, prefix string, f func(name string, value []byte)) error {
	cursors, err := e.core.machine.cursors.await(ctx, e.core.queue)
	if err != nil {
		return e.core.wrap(err)
	}
	for name, value := range cursors.all() {
		if strings.HasPrefix(name, prefix) {
			f(name, value)
		}
	}
	return nil
}

// Run takes over the ID and commits what is handed over, until ctx ends. Then
// it takes nothing more, commits what it has, and returns nil. It returns an
// error that wraps [ErrFenced] when another emitter took over the ID, and
// tries again, for ever, whatever may pass. It runs once.
func (e *Emitter[V]) Run(ctx context.Context) error {
	if e.core.started.Swap(true) {
		return e.core.wrap(errors.New("Run was called before"))
	}
	return e.core.wrap(e.core.run(ctx))
}

func (e *emitter) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("emitter %s: %w", e.o.ID, err)
}

func (e *emitter) run(ctx context.Context) error {
	work, cancel := lasting(ctx, e.o.StopTimeout)
	defer cancel()
	defer e.machine.close()
	for {
		if ctx.Err() != nil {
			e.queue.close()
			if e.machine.idle() {
				e.queue.end(errStopped)
				return nil
			}
		}
		now := time.Now()
		progress, err := e.machine.step(work, now)
		if err == nil && work.Err() != nil {
			err = fmt.Errorf("stopped before everything could be committed: %w", e.machine.why(work.Err()))
		}
		if err != nil {
			e.queue.end(err)
			return err
		}
		if !progress {
			e.wait(ctx, work, now)
		}
	}
}

// wait returns when step may have something to do, or a context has ended.
func (e *emitter) wait(ctx, work context.Context, now time.Time) {
	var due <-chan time.Time
	if at := e.machine.wake(); !at.IsZero() {
		timer := time.NewTimer(at.Sub(now))
		defer timer.Stop()
		due = timer.C
	}
	ended := ctx.Done()
	if ctx.Err() != nil {
		ended = work.Done()
	}
	select {
	case <-due:
	case <-ended:
	case <-e.queue.wake:
	case <-e.machine.readable():
	}
}

// lasting returns a context that ends later than ctx by the given time.
func lasting(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var timer *time.Timer
	armed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		timer = time.AfterFunc(by, cancel)
		close(armed)
	})
	return longer, func() {
		if !stop() {
			<-armed
			timer.Stop()
		}
		cancel()
	}
}

var (
	errStopped   = errors.New("stopped")
	errNoCursors = errors.New("there are no cursors: EmitterOptions.Cursors names no topic")
)
