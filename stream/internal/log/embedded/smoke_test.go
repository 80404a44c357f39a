package embedded

import (
	"context"
	"testing"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

func TestSmoke(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	l, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.CreateTopic(ctx, log.Topic{Name: "a", Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	m, err := l.Join("g", log.JoinOptions{Assign: func(ms []log.MemberInfo) map[string][]byte {
		return map[string][]byte{ms[0].ID: []byte("x")}
	}})
	if err != nil {
		t.Fatal(err)
	}
	claim, changed, err := m.Poll()
	if err != nil || !changed || string(claim.Assignment) != "x" {
		t.Fatal(claim, changed, err)
	}
	p, err := l.Producer(ctx, "tx")
	if err != nil {
		t.Fatal(err)
	}
	var b record.Builder
	b.Append(1, []byte("k"), []byte("v"))
	a0 := record.Partition{Topic: "a"}
	rec, err := p.Commit(ctx, &log.Txn{Writes: []log.Write{{Partition: a0, Records: &b}}, Positions: map[record.Partition]int64{a0: 7}, Claim: claim.GroupClaim})
	if err != nil || rec.Next[0] != 1 {
		t.Fatal(rec, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = Open(dir, Options{}); err != nil {
		t.Fatal(err)
	}
	r := l.NewReader(log.ReaderOptions{})
	r.Seek(a0, 0)
	fs, err := r.Poll()
	if err != nil || len(fs) != 1 || fs[0].Next != 1 || len(fs[0].Batches) != 1 {
		t.Fatal(fs, err)
	}
	pos, err := l.Positions(ctx, "g", a0)
	if err != nil || pos[a0] != 7 {
		t.Fatal(pos, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
