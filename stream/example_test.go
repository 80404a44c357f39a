package stream_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
)

// wordCount is a whole group: lines in, each word sent to the task that owns
// it, and there counted in the group's table.
func wordCount() *stream.GroupGraph {
	counts := stream.Persist(codec.Int64)
	words := stream.Loop(codec.Int64, func(ctx stream.Context, n int64) error {
		total, _, err := counts.Value(ctx)
		if err != nil {
			return err
		}
		return counts.SetValue(ctx, total+n)
	}, counts).Combine(func(a, b int64) int64 { return a + b })
	lines := stream.Input("lines", codec.String, func(ctx stream.Context, line string) error {
		for word := range strings.FieldsSeq(line) {
			if err := words.Loopback(ctx, word, 1); err != nil {
				return err
			}
		}
		return nil
	})
	return stream.DefineGroup("wordcount", lines, words, counts)
}

// run runs parts of a program until stop is called, which waits for them.
func run(ctx context.Context, parts ...interface{ Run(context.Context) error }) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for _, p := range parts {
		wg.Go(func() {
			if err := p.Run(ctx); err != nil {
				panic(err)
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

func Example() {
	ctx := context.Background()
	log, err := stream.OpenEmbedded("", stream.EmbeddedOptions{}) // "": in memory
	if err != nil {
		panic(err)
	}
	defer log.Close()
	group := wordCount()
	emitter, err := stream.NewEmitter(log, "lines", codec.String, stream.EmitterOptions{ID: "example"})
	if err != nil {
		panic(err)
	}
	processor, err := stream.NewProcessor(log, group, stream.ProcessorOptions{})
	if err != nil {
		panic(err)
	}
	stop := run(ctx, emitter, processor)
	defer stop()

	for _, line := range []string{"to be or not to be", "that is the question"} {
		if err := emitter.Emit(ctx, "", line); err != nil {
			panic(err)
		}
	}
	if err := emitter.Flush(ctx); err != nil {
		panic(err)
	}
	for _, word := range []string{"be", "question", "to"} {
		fmt.Println(word, count(ctx, log, group, word))
	}
	// Output:
	// be 2
	// question 1
	// to 2
}

// count asks a view for a count, as soon as everything emitted is in it.
func count(ctx context.Context, log *stream.Log, group *stream.GroupGraph, word string) int64 {
	view, err := stream.NewView(log, "wordcount-table", codec.Int64, stream.ViewOptions[int64]{Of: group})
	if err != nil {
		panic(err)
	}
	stop := run(ctx, view)
	defer stop()
	for view.Freshness().State != stream.Running || view.Freshness().Lag != 0 {
		time.Sleep(10 * time.Millisecond)
	}
	n, _, err := view.Get(word)
	if err != nil {
		panic(err)
	}
	return n
}
