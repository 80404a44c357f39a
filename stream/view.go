package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/internal/follow"
	"github.com/tagtide/tagtide/stream/internal/store"
)

// ViewOptions tune a view. The zero value is good.
type ViewOptions[V any] struct {
	// State keeps the view's copy; default a MemoryState. A view that finds its
	// copy there goes on where it left off.
	State *State
	// Changed, if set, is given every change of the table, in order for each
	// key: at the start the rows that State has, then what is committed. It is
	// called from one goroutine; keys are only valid during the call. An error
	// ends the view.
	Changed func(changes []Change[V]) error
	// Of is the group that keeps the table, if lag is to tell how far the
	// group is behind its inputs too, not only the view behind the table.
	Of *GroupGraph
	// Partitioner of the table's keys; default what Of says, else [FNV]. With a
	// wrong one Get does not find them.
	Partitioner Partitioner
	// Logger; default slog.Default(). Metrics are registered with Metrics; none if nil.
	Logger  *slog.Logger
	Metrics Registerer
}

// A Change of a row.
type Change[V any] struct {
	Key       string
	Value     V
	Deleted   bool
	Partition int32 // of the table
}

// A View is a whole table, all its partitions, kept up to date on this machine
// and readable from any goroutine. It shows committed data only.
type View[V any] struct {
	log      *Log
	topic    string
	codec    codec.Codec[V]
	opts     ViewOptions[V]
	follower *follow.Follower
	probe    *probe
	changes  []Change[V]

	recovered chan struct{}
	began     atomic.Pointer[time.Time] // when Run did
}

// NewView makes a view of the table with the given topic, as in
// "hashtags-table". Nothing happens before Run.
func NewView[V any](l *Log, topic string, c codec.Codec[V], o ViewOptions[V]) (*View[V], error) {
	if o.State == nil {
		o.State = MemoryState()
	}
	o.Logger = cmp.Or(o.Logger, slog.Default())
	if o.Of != nil {
		o.Partitioner = cmp.Or(o.Partitioner, o.Of.Partitioner(topic))
	}
	v := &View[V]{log: l, topic: topic, codec: c, opts: o, recovered: make(chan struct{})}
	config := follow.Config{Log: l.keeper, Store: o.State.tables, Topic: topic, Partitioner: o.Partitioner, Space: "view:", Logger: o.Logger}
	if o.Changed != nil {
		config.Changed = v.tell
	}
	v.follower = follow.New(config)
	v.probe = newProbe(l.keeper, topic, o.Of, func() []int64 { return v.follower.Progress().Next })
	registerViewMetrics(o.Metrics, topic, v.Freshness)
	return v, nil
}

// Run follows the table until ctx ends, and then returns nil. A table that is
// not there yet is waited for: its group may be started later. A View runs once.
func (v *View[V]) Run(ctx context.Context) error {
	now := time.Now()
	v.began.Store(&now)
	if err := v.open(ctx); err != nil || ctx.Err() != nil {
		return errors.Join(err, v.follower.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { v.probe.run(ctx, v.recovered) })
	err := runFollower(ctx, v.follower, v.recovered)
	cancel()
	wg.Wait()
	return errors.Join(err, v.follower.Close())
}

// open opens the table, as soon as it is there.
func (v *View[V]) open(ctx context.Context) error {
	const pause = 200 * time.Millisecond
	told := time.Now() // a moment is nothing to tell of
	for {
		err := v.follower.Open(ctx, time.Now())
		if !errors.Is(err, ErrUnknownTopic) {
			return err
		}
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			v.opts.Logger.Info("waiting for the table's topic; its group creates it", "topic", v.topic)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// tell hands changes over, decoded.
func (v *View[V]) tell(partition int32, entries []store.Entry) error {
	v.changes = v.changes[:0]
	for _, e := range entries {
		c := Change[V]{Key: unsafe.String(unsafe.SliceData(e.Key), len(e.Key)), Deleted: e.Value == nil, Partition: partition}
		if !c.Deleted {
			var err error
			if c.Value, err = v.codec.Decode(e.Value); err != nil {
				return fmt.Errorf("table %s, key %.100q: %w", v.topic, e.Key, err)
			}
		}
		v.changes = append(v.changes, c)
	}
	return v.opts.Changed(v.changes)
}

// Get returns the value of a key.
func (v *View[V]) Get(key string) (value V, ok bool, err error) {
	data, ok, err := v.follower.Get(nil, []byte(key))
	if err != nil || !ok {
		return value, false, err
	}
	value, err = v.codec.Decode(data)
	return value, err == nil, err
}

// Scan calls f for every row, partition by partition, keys in order within
// one, until f returns false. Each partition is a snapshot of its own.
func (v *View[V]) Scan(f func(key string, value V) bool) error {
	var failed error
	err := v.follower.Scan(nil, func(key, data []byte) bool {
		value, err := v.codec.Decode(data)
		if err != nil {
			failed = fmt.Errorf("table %s, key %.100q: %w", v.topic, key, err)
			return false
		}
		return f(string(key), value)
	})
	return errors.Join(err, failed)
}

// Recovered is closed when the view has reached the end that the table had
// when Run began.
func (v *View[V]) Recovered() <-chan struct{} { return v.recovered }

// Freshness tells how far the view can be trusted to be up to date.
func (v *View[V]) Freshness() Freshness {
	f := v.probe.last()
	p := v.follower.Progress()
	switch {
	case p.Next == nil || !isClosed(v.recovered):
		f.State = Restoring
	case f.State != Disconnected:
		f.State = Running
	}
	f.Progress = 1
	if f.State == Restoring {
		f.Progress, f.ToGo = 0, p.ToGo
		if began := v.began.Load(); began != nil && p.Done > 0 {
			f.Progress = float64(p.Done) / float64(p.Done+p.ToGo)
			f.ETA = time.Duration(float64(time.Since(*began)) * float64(p.ToGo) / float64(p.Done))
		}
	}
	return f
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
