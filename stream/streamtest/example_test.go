package streamtest_test

import (
	"fmt"
	"strings"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
	"github.com/tagtide/tagtide/stream/streamtest"
)

// wordCount counts the words of lines.
func wordCount() *stream.GroupGraph {
	counts := stream.Persist(codec.Int64)
	words := stream.Loop(codec.Int64, func(ctx stream.Context, n int64) error {
		total, _, err := counts.Value(ctx)
		if err != nil {
			return err
		}
		return counts.SetValue(ctx, total+n)
	}, counts)
	lines := stream.Input("lines", codec.String, func(ctx stream.Context, line string) error {
		if strings.HasPrefix(line, "!") {
			return fmt.Errorf("%q is no line", line)
		}
		for word := range strings.FieldsSeq(line) {
			if err := words.Loopback(ctx, word, 1); err != nil {
				return err
			}
		}
		return nil
	})
	return stream.DefineGroup("wordcount", lines, words, counts)
}

// A test of a group: two members share the work, one is killed, the other goes
// on, and nothing is lost nor counted twice. In a test, t is its *testing.T.
func Example() {
	t := streamtest.New(t, wordCount(), streamtest.Options{Members: 2, Partitions: 4})
	lines := streamtest.NewTopic(t, "lines", codec.String)
	counts := streamtest.NewTable(t, "wordcount-table", codec.Int64)

	lines.Emit("a", "to be or not to be")
	t.Settle()
	fmt.Println("be", counts.All()["be"], "in", len(t.Members()[0].Tasks()), "and", len(t.Members()[1].Tasks()), "tasks")

	lines.Emit("a", "that is the question")
	lines.Emit("b", "!")
	t.Members()[0].Crash()
	t.Settle() // the session times out, the clock being the test's own
	fmt.Println("question", counts.All()["question"], "in", len(t.Members()[1].Tasks()), "tasks")
	fmt.Println("set aside:", t.DeadLetters()[0].Error)
	// Output:
	// be 2 in 4 and 4 tasks
	// question 1 in 8 tasks
	// set aside: "!" is no line
}

// t stands for a *testing.T, which examples do not have.
var t = noT{}

type noT struct{}

func (noT) Helper()                           {}
func (noT) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (noT) Cleanup(func())                    {}
