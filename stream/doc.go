// Package stream is goka's model of stream processing, exactly once: emitters
// write posts into topics, a group of processors keeps tables from them, and
// views serve those tables. It runs on an embedded log where one process is
// enough; the same programs will run on Kafka where it is not.
//
// A group is described by a graph of edges: what it reads ([Input]), its own
// re-keying topic ([Loop]), the table it keeps ([Persist], [NamedTable]), what
// else it reads ([Join], [Lookup]) and writes ([Output]). Edges are typed
// handles: a step reads and writes through them.
//
//	counts := stream.Persist(codec.Int64)
//	words := stream.Loop(codec.Int64, func(ctx stream.Context, n int64) error {
//		total, _, err := counts.Value(ctx)
//		if err != nil {
//			return err
//		}
//		return counts.SetValue(ctx, total+n)
//	}, counts)
//	lines := stream.Input("lines", codec.String, func(ctx stream.Context, line string) error {
//		for word := range strings.FieldsSeq(line) {
//			words.Loopback(ctx, word, 1)
//		}
//		return nil
//	})
//	graph := stream.DefineGroup("wordcount", lines, words, counts)
//
// # Guarantees
//
// Table writes, loop and output records and the positions of the inputs are
// committed as one transaction, so each record counts exactly once whatever
// dies when. A crash costs at most two commit intervals of replay, and of the
// input of a folded table what a minute brought. Readers see committed data only.
//
// # Names
//
// The loop of group g is topic g-loop, its table g-table, further tables
// g-NAME-table, dead letters g-dead: goka's layout, readable by any consumer.
package stream
