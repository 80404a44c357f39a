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
			changes, err := n.changes(early, at)
			if err == nil {
				err = t.cfg.Store.Apply(changes, true)
			}
			if err != nil {
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
		old:  "		t.recover(now)\n	case t.refuse(err, now):",
		new:  "		t.settle(n, now)\n		t.producer = nil\n	case t.refuse(err, now):",
	},
	{
		name: "in doubt taken for aborted, sent again",
		file: "stream/internal/thread/commit.go",
		old:  "		t.recover(now)\n	case t.refuse(err, now):",
		new: `		producer, err := t.cfg.Log.Producer(context.Background(), t.cfg.TransactionalID)
		if err == nil {
			t.producer = producer
			n.retryAt = now.Add(retryPause)
		}
	case t.refuse(err, now):`,
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
	{
		name: "positions stop at the last record",
		file: "stream/internal/thread/process.go",
		old:  "			r.task.Seek(source, max(r.task.Next(source), q.fetched.Next))\n",
		new:  "",
	},
	{
		name: "wake-up missing",
		file: "stream/internal/thread/thread.go",
		old:  "	if t.cfg.Wake != nil {\n		t.cfg.Wake()\n	}\n",
		new:  "",
	},
	{
		name: "released before it is committed",
		file: "stream/internal/thread/run.go",
		old:  "	return r.task == nil || !r.staged() && !r.moved()\n",
		new:  "	return true\n",
	},
	{
		name: "failed step not rolled back",
		file: "stream/internal/task/sink.go",
		old:  "		o.records.Rollback(o.mark)\n",
		new:  "",
	},
	{
		name: "emitter takes in doubt for aborted",
		file: "stream/emitter_machine.go",
		old:  "	case mark == f.mark:\n",
		new:  "	case false:\n",
	},
	{
		name: "uncommitted records read",
		file: "stream/internal/log/embedded/state.go",
		old:  "		return p.holds[0]\n",
		new:  "		return p.next\n",
	},
	{
		name: "standby ahead of what is committed",
		file: "stream/internal/thread/restore.go",
		old:  "	change, follower := c.follower.Change(now), c.follower\n",
		new: `	change, follower := c.follower.Change(now), c.follower
	if c.forever {
		change.Checkpoint.Next = max(change.Checkpoint.Next, c.extent.End)
	}
`,
	},
	{
		name: "standby promoted without its tail",
		file: "stream/internal/thread/restore.go",
		old:  "			c.from, c.target, c.forever = c.follower.Applied(), extent.End, r.standby || !own\n",
		new: `			c.from, c.target, c.forever = c.follower.Applied(), c.follower.Next(), r.standby || !own
			t.restores.Drop(c.changelog)
`,
	},
	{
		name: "promoted standby begins anew",
		file: "stream/internal/thread/standby.go",
		old:  "	r.job, r.found = nil, nil // a standby's preparation finds too little\n",
		new:  "	r.job, r.found = nil, nil\n	r.astray = true\n",
	},
	{
		name: "assignor ignores owners",
		file: "stream/internal/assign/assign.go",
		old:  "				p.owner[t] = m\n",
		new:  "				_ = m\n",
	},
	{
		name: "tasks are given to members that do not know of them",
		file: "stream/internal/instance/divide.go",
		old:  "	if len(assignments) > 0 || !agreed {\n",
		new:  "	if len(assignments) > 0 || !agreed && false {\n",
	},
	{
		name: "a late leader leaves added partitions out",
		file: "stream/internal/instance/divide.go",
		old:  "	g.Tasks = assign.Tasks(most)\n",
		new:  "",
	},
	{
		name: "warm-up never asks to take over",
		file: "stream/internal/instance/instance.go",
		old:  "	case released || i.lost || i.grew || len(i.warm) < warm:\n",
		new:  "	case released || i.lost || i.grew || warm < 0:\n",
	},
	{
		name: "refold beyond its limit",
		file: "stream/internal/thread/refold.go",
		old:  "			if rec.Offset < f.next || rec.Offset >= f.limit {\n",
		new:  "			if rec.Offset < f.next {\n",
	},
	{
		name: "refold begins too late",
		file: "stream/internal/thread/refold.go",
		old:  "	return first(low - replay.Milliseconds())\n",
		new:  "	return first(low - replay.Milliseconds()/9)\n",
	},
	{
		name: "checkpoint with a later stream time",
		file: "stream/internal/table/stage.go",
		old:  "		c.Stream = t.age.sealed\n",
		new:  "		c.Stream = t.age.now\n",
	},
	{
		name: "aging rows never end",
		file: "stream/internal/table/age.go",
		old:  "now-int64(binary.BigEndian.Uint64(row)) <= a.keep",
		new:  "now-int64(binary.BigEndian.Uint64(row)) <= now",
	},
	{
		name: "aging rows end early",
		file: "stream/internal/table/age.go",
		old:  "now-int64(binary.BigEndian.Uint64(row)) <= a.keep",
		new:  "now-int64(binary.BigEndian.Uint64(row)) <= a.keep/2",
	},
	{
		name: "sweep takes rows that live",
		file: "stream/internal/table/age.go",
		old:  "		if a.lives(row, a.sealed) {\n",
		new:  "		if a.lives(row, a.sealed+a.keep/2) {\n",
	},
	{
		name: "sweep takes rows that are set again",
		file: "stream/internal/table/age.go",
		old:  "		if !t.sealed.has(str(key)) {\n",
		new:  "		if true {\n",
	},
}
