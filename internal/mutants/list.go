package main

// The mistakes. The first five are those that exactly-once engines have really
// made; the others guard what is easily broken in this one.
var mutants = []mutant{
	{
		name: "offsets outside the transaction",
		file: "stream/internal/thread/commit.go",
		old:  "			receipt, err = producer.Commit(ctx, &n.txn)\n",
		new: `			positions := n.txn.Positions
			n.txn.Positions = nil
			receipt, err = producer.Commit(ctx, &n.txn)
			n.txn.Positions = positions
			if err == nil {
				_, err = producer.Commit(ctx, &log.Txn{Positions: positions, Claim: n.txn.Claim})
			}
`,
	},
	{
		name: "store before commit",
		file: "stream/internal/thread/commit.go",
		old:  "			receipt, err = producer.Commit(ctx, &n.txn)\n",
		new: `			early := log.Receipt{Next: make([]int64, len(n.txn.Writes))}
			if err := t.cfg.Store.Apply(n.changes(early, at), true); err != nil {
				return err
			}
			receipt, err = producer.Commit(ctx, &n.txn)
`,
	},
	{
		name: "overlay kept after an abort",
		file: "stream/internal/thread/commit.go",
		old:  "	t.sink.Reset()\n	if t.spare != nil {\n",
		new:  "	if t.spare != nil {\n",
	},
	{
		name: "restore one record short",
		file: "stream/internal/thread/restore.go",
		old:  "target: extent.End, forever",
		new:  "target: max(extent.End-1, 0), forever",
	},
	{
		name: "fencing off",
		file: "stream/internal/log/embedded/txn.go",
		old:  `		return fmt.Errorf("%w: group %q, member %q, generation %d", log.ErrGeneration, c.Group, c.Member, c.Generation)`,
		new:  `		_ = fmt.Sprint(log.ErrGeneration)`,
	},
	{
		name: "in doubt taken for committed",
		file: "stream/internal/thread/commit.go",
		old:  "		t.recover(now)\n	default:",
		new:  "		t.settle(n, now)\n		t.producer = nil\n	default:",
	},
	{
		name: "in doubt taken for aborted, sent again",
		file: "stream/internal/thread/commit.go",
		old:  "		t.recover(now)\n	default:",
		new: `		producer, err := t.cfg.Log.Producer(context.Background(), t.cfg.TransactionalID)
		if err == nil {
			t.producer = producer
			n.retryAt = now.Add(retryPause)
		}
	default:`,
	},
	{
		name: "a lost claim ignored",
		file: "stream/internal/thread/thread.go",
		old:  "	t.lost = t.lost || in.lost\n",
		new:  "",
	},
	{
		name: "loop purged one too far",
		file: "stream/internal/thread/purge.go",
		old:  "] = part.next[i]\n",
		new:  "] = part.next[i] + 1\n",
	},
}
