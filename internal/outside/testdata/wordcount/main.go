// Wordcount counts the words of its standard input with tagtide's engine, and
// prints them as "word count" when the input has ended and all is counted.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// run starts the parts, and ends them when the counts are printed.
func run(ctx context.Context) error {
	l, err := stream.OpenEmbedded("", stream.EmbeddedOptions{}) // "": in memory
	if err != nil {
		return err
	}
	defer l.Close()
	group := wordCount()
	emitter, err := stream.NewEmitter(l, "lines", codec.String, stream.EmitterOptions{ID: "stdin"})
	if err != nil {
		return err
	}
	processor, err := stream.NewProcessor(l, group, stream.ProcessorOptions{})
	if err != nil {
		return err
	}
	view, err := stream.NewView(l, stream.GroupTable("wordcount"), codec.Int64, stream.ViewOptions[int64]{Of: group})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return emitter.Run(ctx) })
	parts.Go(func() error { return processor.Run(ctx) })
	parts.Go(func() error { return view.Run(ctx) })
	parts.Go(func() error { defer stop(); return count(ctx, emitter, view) })
	return parts.Wait()
}

// count emits the input, waits until the view has all of it, and prints it.
func count(ctx context.Context, emitter *stream.Emitter[string], view *stream.View[int64]) error {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if err := emitter.Emit(ctx, "", in.Text()); err != nil {
			return err
		}
	}
	if err := emitter.Flush(ctx); err != nil {
		return err
	}
	for flushed := time.Now(); ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		if f := view.Freshness(); f.Lag == 0 && f.AsOf.After(flushed) {
			break
		}
	}
	return view.Scan(func(word string, n int64) bool {
		fmt.Println(word, n)
		return true
	})
}
