package stream_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/codec"
)

// javaTopic fills a topic as a Java program would: a row for each key, in the
// partition that the Java client chooses.
func (b bed) javaTopic(topic string, keys int, table bool) {
	b.Helper()
	e, err := stream.NewEmitter(b.log, topic, codec.String, stream.EmitterOptions{ID: "java-" + topic, Partitions: 5, Partitioner: stream.Murmur2, Table: table})
	if err != nil {
		b.Fatal(err)
	}
	defer run(b.Context(), e)()
	batch := e.NewBatch()
	for n := range keys {
		key := fmt.Sprint("key", n)
		if n%2 == 0 { // both ways of sending
			err = e.Emit(b.Context(), key, "of "+key)
		} else {
			err = batch.Add([]byte(key), "of "+key)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := errors.Join(e.Send(b.Context(), batch), e.Flush(b.Context())); err != nil {
		b.Fatal(err)
	}
}

// partitioned holds every key of a topic against the partitioner.
func (b bed) partitioned(topic string, keys int) {
	b.Helper()
	found := 0
	err := stream.ReadTopic(b.Context(), b.log, topic, func(r stream.Record) error {
		found++
		if want := stream.Murmur2.Of(r.Key, 5); r.Partition != want {
			b.Errorf("%s: %s lies in partition %d, want %d", topic, r.Key, r.Partition, want)
		}
		return nil
	})
	if err != nil || found != keys {
		b.Errorf("%s has %d records, want %d: %v", topic, found, keys, err)
	}
}

// shared is a group that shares all its topics with Java programs: what it reads
// and joins they have written, and what it writes and keeps they can look up.
func shared() *stream.GroupGraph {
	kept := stream.Persist(codec.String)
	users := stream.Join("users", codec.String).PartitionedBy(stream.Murmur2)
	places := stream.Lookup("places", codec.String).PartitionedBy(stream.Murmur2)
	out := stream.Output("found", codec.String).PartitionedBy(stream.Murmur2)
	again := stream.Loop(codec.String, func(ctx stream.Context, _ string) error {
		user, ok, err := users.Value(ctx)
		if err == nil && !ok {
			err = errors.New("the user is in another partition")
		}
		return errors.Join(err, kept.SetValue(ctx, user), out.Emit(ctx, ctx.Key(), user))
	}, users, kept).PartitionedBy(stream.Murmur2)
	in := stream.Input("in", codec.String, func(ctx stream.Context, v string) error {
		place, ok, err := places.Get(ctx, ctx.Key())
		if err == nil && !ok {
			err = errors.New("the place is in another partition")
		}
		return errors.Join(err, again.Loopback(ctx, ctx.Key(), place))
	}).PartitionedBy(stream.Murmur2)
	return stream.DefineGroup("shared", in, again, places, out)
}

func TestTopicsAreSharedWithJavaPrograms(t *testing.T) {
	b := newBed(t)
	const keys = 60
	for topic, table := range map[string]bool{"in": false, "users": true, "places": true} {
		b.javaTopic(topic, keys, table)
	}
	g := shared()
	p, err := stream.NewProcessor(b.log, g, stream.ProcessorOptions{Partitions: 5, OnFailure: stream.StopOnFailed})
	if err != nil {
		t.Fatal(err)
	}
	defer run(t.Context(), p)()
	b.handled(g)
	for _, topic := range []string{"in", "shared-table", "found"} {
		b.partitioned(topic, keys)
	}
	view, err := stream.NewView(b.log, "shared-table", codec.String, stream.ViewOptions[string]{Of: g})
	if err != nil {
		t.Fatal(err)
	}
	defer run(t.Context(), view)()
	<-view.Recovered()
	for n := range keys {
		key := fmt.Sprint("key", n)
		if value, ok, err := view.Get(key); !ok || err != nil || value != "of "+key {
			t.Errorf("the view has %q under %s, %v", value, key, err)
		}
	}
}

// Records that are handled together must lie in partitions of one kind, or what
// belongs to one key does not meet.
func TestPartitionersThatDoNotFitAreNamed(t *testing.T) {
	nothing := func(stream.Context, string) error { return nil }
	java := stream.Join("users", codec.String).PartitionedBy(stream.Murmur2)
	kept := stream.Persist(codec.String)
	late := stream.Output("out", codec.String)
	tooLate := stream.DefineGroup("g", stream.Input("in", codec.String, nothing), late)
	late.PartitionedBy(stream.Murmur2)
	for name, c := range map[string]struct {
		graph *stream.GroupGraph
		says  []string
	}{
		"a join":    {stream.DefineGroup("g", stream.Input("in", codec.String, nothing, java)), []string{"in is partitioned by fnv-1a-32", "users by murmur2"}},
		"own table": {stream.DefineGroup("g", stream.Input("in", codec.String, nothing, kept.PartitionedBy(stream.Murmur2))), []string{"PartitionedBy is for joined tables"}},
		"one topic in two ways": {stream.DefineGroup("g", stream.Input("in", codec.String, nothing), stream.Output("in", codec.String).PartitionedBy(stream.Murmur2)),
			[]string{"topic in", "by fnv-1a-32 and by murmur2"}},
		"too late": {tooLate, []string{"PartitionedBy of the output out"}},
	} {
		err := c.graph.Validate()
		for _, says := range c.says {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v, want an error that says %q", name, err, says)
			}
		}
	}
}
