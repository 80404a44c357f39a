package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tagtide/tagtide/emitter"
	"github.com/tagtide/tagtide/emitter/archive"
	"github.com/tagtide/tagtide/internal/ranking"
	"github.com/tagtide/tagtide/processor"
	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/view"
)

var quiet = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))

// The groups that are measured. Posts are remembered for as long as users get
// it by default, unless it is to be seen what that costs.
var (
	usual     = processor.Options{Dedupe: 48 * time.Hour}
	forgetful = processor.Options{Group: "forgetful"}
)

// A rig is tagtide put together over one data directory.
type rig struct {
	dir    string
	tables string // directory of the group's
	log    *stream.Log
	graph  *stream.GroupGraph
	states []*stream.State
	group  *errgroup.Group
	ctx    context.Context
	stop   context.CancelFunc
}

func (b bench) open(ctx context.Context, name string) (*rig, error) {
	return b.openGroup(ctx, name, usual)
}

func (b bench) openGroup(ctx context.Context, name string, o processor.Options) (*rig, error) {
	r := &rig{dir: b.file(name), tables: filepath.Join(b.file(name), o.Group), graph: processor.Graph(o)}
	if err := os.MkdirAll(r.tables, 0o755); err != nil {
		return nil, err
	}
	var err error
	if b.brokers != "" {
		r.log, err = stream.OpenKafka(ctx, stream.KafkaOptions{Brokers: strings.Split(b.brokers, ","), Logger: quiet})
	} else {
		r.log, err = stream.OpenEmbedded(filepath.Join(r.dir, "log"), stream.EmbeddedOptions{Logger: quiet})
	}
	if err != nil {
		return nil, err
	}
	ctx, r.stop = context.WithCancel(ctx)
	r.group, r.ctx = errgroup.WithContext(ctx)
	return r, nil
}

func (r *rig) close() error {
	r.stop()
	err := r.group.Wait()
	for _, s := range r.states {
		err = errors.Join(err, s.Close())
	}
	return errors.Join(err, r.log.Close())
}

func (r *rig) state(name string) (*stream.State, error) {
	s, err := stream.OpenState(filepath.Join(r.tables, name), stream.StateOptions{Logger: quiet})
	if err == nil {
		r.states = append(r.states, s)
	}
	return s, err
}

func (r *rig) emitter(file string) (*emitter.Emitter, error) {
	source := archive.New(archive.Options{Paths: []string{file}, Logger: quiet})
	return emitter.New(r.log, "tweets", source, emitter.Options{
		Stream: stream.EmitterOptions{ID: "bench", Cursors: "hashtags-cursors-table", Logger: quiet},
		Report: func(emitter.Report) {},
	})
}

func (r *rig) processor() (*stream.Processor, error) {
	s, err := r.state("process")
	if err != nil {
		return nil, err
	}
	p, err := stream.NewProcessor(r.log, r.graph, stream.ProcessorOptions{State: s, Logger: quiet})
	if err == nil {
		r.group.Go(func() error { return p.Run(r.ctx) })
	}
	return p, err
}

func (r *rig) view(name string) (*view.View, error) {
	s, err := r.state(name)
	if err != nil {
		return nil, err
	}
	v, err := view.New(r.log, r.graph, view.Options{State: s, Logger: quiet})
	if err == nil {
		r.group.Go(func() error { return v.Run(r.ctx) })
	}
	return v, err
}

// until polls; what is measured takes seconds, so 2 ms do not matter.
func (r *rig) until(done func() bool) error {
	for !done() {
		select {
		case <-r.ctx.Done():
			return errors.Join(r.ctx.Err(), r.group.Wait())
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}

// settled waits until the view has everything committed by now.
func (r *rig) settled(v *view.View) error {
	since := time.Now()
	return r.until(func() bool {
		f := v.Freshness()
		return f.State == stream.Running && f.Lag == 0 && f.AsOf.After(since)
	})
}

// emit measures posts from the file into the topic, committed. They are what is
// processed next.
func (b bench) emit(ctx context.Context) (result, error) {
	r, err := b.open(ctx, "main")
	if err != nil {
		return result{}, err
	}
	e, err := r.emitter(b.file("tweets.jsonl"))
	if err != nil {
		return result{}, err
	}
	begin := time.Now()
	err = e.Run(r.ctx)
	took := time.Since(begin)
	return result{Items: int64(b.posts), Seconds: took.Seconds()}, errors.Join(err, r.close())
}

// process measures how fast what waits in the input is counted, with a live
// view: from the start of the processor until the last post is in the view.
func (b bench) process(ctx context.Context) (result, error) { return b.processed(ctx, usual) }

// processForgetful measures the same where no post is remembered.
func (b bench) processForgetful(ctx context.Context) (result, error) {
	return b.processed(ctx, forgetful)
}

// processed is a group of its own in each turn.
func (b bench) processed(ctx context.Context, o processor.Options) (result, error) {
	if b.turn > 0 {
		o.Group = fmt.Sprintf("%s-%d", cmp.Or(o.Group, "usual"), b.turn)
	}
	r, err := b.openGroup(ctx, "main", o)
	if err != nil {
		return result{}, err
	}
	return r.count(b.posts, func() error { return nil })
}

// pipeline measures the whole way, from the file until the last post is in the
// view, which is live all the time.
func (b bench) pipeline(ctx context.Context) (result, error) {
	return b.whole(ctx, "pipeline", "tweets.jsonl", b.posts)
}

// wide fills the directory that the later measurements use.
func (b bench) wide(ctx context.Context) (result, error) {
	return b.whole(ctx, "data", "wide.jsonl", b.tags/2)
}

func (b bench) whole(ctx context.Context, dir, file string, posts int) (result, error) {
	r, err := b.open(ctx, dir)
	if err != nil {
		return result{}, err
	}
	e, err := r.emitter(b.file(file))
	if err != nil {
		return result{}, err
	}
	return r.count(posts, func() error { return e.Run(r.ctx) })
}

// count measures from the start of a processor and a live view until both have
// all posts, those that feed brings meanwhile included. It closes the rig.
func (r *rig) count(posts int, feed func() error) (result, error) {
	begin := time.Now()
	if _, err := r.processor(); err != nil {
		return result{}, err
	}
	v, err := r.view("serve")
	if err != nil {
		return result{}, err
	}
	err = errors.Join(feed(), r.settled(v))
	took := time.Since(begin)
	if n := v.Totals().Posts; err == nil && n != int64(posts) {
		err = fmt.Errorf("counted %d posts of %d", n, posts)
	}
	return result{Items: int64(posts), Seconds: took.Seconds()}, errors.Join(err, r.close())
}

// restore measures how fast a processor that lost its disk has its tables back.
func (b bench) restore(ctx context.Context) (result, error) { return b.restored(ctx, "data") }

func (b bench) restored(ctx context.Context, dir string) (result, error) {
	if err := os.RemoveAll(filepath.Join(b.file(dir), "process")); err != nil {
		return result{}, err
	}
	r, err := b.open(ctx, dir)
	if err != nil {
		return result{}, err
	}
	n, err := r.tableRecords()
	if err != nil {
		return result{}, err
	}
	begin := time.Now()
	p, err := r.processor()
	if err != nil {
		return result{}, err
	}
	err = r.until(func() bool {
		tasks := p.Tasks()
		return len(tasks) > 0 && !slices.ContainsFunc(tasks, func(t stream.TaskInfo) bool { return t.State != "running" })
	})
	took := time.Since(begin)
	return result{Items: n, Seconds: took.Seconds()}, errors.Join(err, r.close())
}

// tableRecords counts the records of the group's table.
func (r *rig) tableRecords() (n int64, err error) {
	topics, err := stream.DescribeTopics(r.ctx, r.log, stream.GroupTable(r.graph.Group()))
	if err != nil {
		return 0, err
	}
	for _, p := range topics[0].Partitions {
		n += p.End - p.Start
	}
	return n, nil
}

// viewCold measures a view that has nothing but the table's topic.
func (b bench) viewCold(ctx context.Context) (result, error) { return b.viewStart(ctx, "cold") }

// viewReopen measures a view that finds its own store.
func (b bench) viewReopen(ctx context.Context) (result, error) { return b.viewStart(ctx, "serve") }

func (b bench) viewStart(ctx context.Context, state string) (result, error) {
	r, err := b.open(ctx, "data")
	if err != nil {
		return result{}, err
	}
	begin := time.Now()
	v, err := r.view(state)
	if err != nil {
		return result{}, err
	}
	err = r.until(func() bool { return v.Freshness().State == stream.Running })
	took := time.Since(begin)
	if n := v.Index().Len(); err == nil && n < int64(b.tags) {
		err = fmt.Errorf("the view has %d of %d hashtags", n, b.tags)
	}
	return result{Items: int64(b.tags), Seconds: took.Seconds()}, errors.Join(err, r.close())
}

// indexMemory measures the order itself: bytes per hashtag.
func (b bench) indexMemory(context.Context) (result, error) {
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	before := heap()
	var x ranking.Index
	begin := time.Now()
	for i := range b.tags {
		x.Apply([]ranking.Update{{Tag: fmt.Sprintf("wide%d", i), Count: int64(1 + b.tags/(i+1))}})
	}
	took := time.Since(begin)
	per := (heap() - before) / float64(b.tags)
	if x.Len() != int64(b.tags) {
		return result{}, fmt.Errorf("the index has %d of %d hashtags", x.Len(), b.tags)
	}
	return result{Items: int64(b.tags), Seconds: took.Seconds(), Extra: map[string]float64{"bytes_per_tag": per}}, nil
}
