package main

import (
	"strings"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
)

// wordCount is the group: lines in, each word sent to the task that owns it,
// and there counted.
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
