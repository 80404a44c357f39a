package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/log/embedded"
	"github.com/tagtide/tagtide/stream/internal/record"
)

var ctx = context.Background()

// A stage is a simulated log with a topic, and a producer that is about to
// commit under somebody's fate.
type stage struct {
	*sim
	at       record.Partition
	producer log.Producer
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{sim: newSim(t), at: record.Partition{Topic: "t"}}
	if err := s.log.CreateTopic(ctx, log.Topic{Name: "t", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	s.take("x")
	return s
}

// take makes a new producer of an id.
func (s *stage) take(id string) {
	s.t.Helper()
	var err error
	if s.producer, err = s.log.Producer(ctx, id); err != nil {
		s.t.Fatal(err)
	}
}

// commit commits one record and the position 7 under a fate.
func (s *stage) commit(value string, f embedded.Fate) error {
	b := &record.Builder{}
	b.Append(1, []byte("k"), []byte(value))
	s.fate = f
	_, err := s.producer.Commit(ctx, &log.Txn{
		Writes:    []log.Write{{Partition: s.at, Records: b}},
		Positions: map[record.Partition]int64{s.at: 7},
		Claim:     log.GroupClaim{Group: "g", Generation: -1},
	})
	return err
}

// seen is what the log shows: values, end, position, what is open.
func (s *stage) seen() string {
	s.t.Helper()
	var out []string
	r := s.log.NewReader(log.ReaderOptions{})
	defer r.Close()
	r.Seek(s.at, 0)
	all, err := r.Poll()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range all {
		for _, b := range f.Batches {
			for it := b.Reader(); it.Next(); {
				out = append(out, string(it.Record().Value))
			}
		}
	}
	ends, err := s.log.Ends(ctx, s.at)
	if err != nil {
		s.t.Fatal(err)
	}
	out = append(out, fmt.Sprintf("%d..%d", ends[s.at].Stable, ends[s.at].End))
	positions, err := s.log.Positions(ctx, "g", s.at)
	switch {
	case errors.Is(err, log.ErrUnstable):
		out = append(out, "unstable")
	case err != nil:
		s.t.Fatal(err)
	case len(positions) > 0:
		out = append(out, "position")
	}
	open, err := s.log.OpenTransactions(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, o := range open {
		out = append(out, "open:"+o.TransactionalID)
	}
	return strings.Join(out, " ")
}

func (s *stage) expect(when, want string) {
	s.t.Helper()
	if got := s.seen(); got != want {
		s.t.Fatalf("%s: the log shows %q, want %q", when, got, want)
	}
}

func TestFates(t *testing.T) {
	const after = 30 * time.Second
	for name, c := range map[string]struct {
		fate     embedded.Fate
		err      error
		now      string // what is seen at once
		taken    string // after the next producer of the id
		waited   string // instead: after some time
		outlived string // instead: after the transaction timeout
	}{
		"commits":          {embedded.Fate{}, nil, "v 1..1 position", "v 1..1 position", "v 1..1 position", "v 1..1 position"},
		"leaves holes":     {embedded.Fate{Holes: 2}, nil, "v 3..3 position", "v 3..3 position", "v 3..3 position", "v 3..3 position"},
		"refused":          {embedded.Fate{Outcome: embedded.Refused}, log.ErrUnavailable, "0..0", "0..0", "0..0", "0..0"},
		"aborted":          {embedded.Fate{Outcome: embedded.Aborted, Holes: 1}, log.ErrUnavailable, "2..2", "2..2", "2..2", "2..2"},
		"lost before":      {embedded.Fate{Outcome: embedded.LostBefore}, log.ErrInDoubt, "0..0", "0..0", "0..0", "0..0"},
		"lost after":       {embedded.Fate{Outcome: embedded.LostAfter}, log.ErrInDoubt, "v 1..1 position", "v 1..1 position", "v 1..1 position", "v 1..1 position"},
		"left open":        {embedded.Fate{Outcome: embedded.LeftOpen}, log.ErrInDoubt, "0..1 unstable open:x", "1..1", "0..1 unstable open:x", "1..1"},
		"delayed":          {embedded.Fate{Outcome: embedded.Delayed, After: after}, log.ErrInDoubt, "0..1 unstable open:x", "1..1", "v 1..1 position", "v 1..1 position"},
		"prepared":         {embedded.Fate{Outcome: embedded.Prepared, After: after}, log.ErrInDoubt, "0..1 unstable open:x", "v 1..1 position", "v 1..1 position", "v 1..1 position"},
		"moved, no member": {embedded.Fate{Outcome: embedded.Moved}, nil, "v 1..1 position", "v 1..1 position", "v 1..1 position", "v 1..1 position"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, crash := range []bool{false, true} {
				for then, want := range map[string]string{"taken": c.taken, "waited": c.waited, "outlived": c.outlived} {
					s := newStage(t)
					if err := s.commit("v", c.fate); !errors.Is(err, c.err) {
						t.Fatalf("commit: %v, want %v", err, c.err)
					}
					s.expect("at once", c.now)
					if crash {
						s.kill(t)
						s.expect("after a crash", c.now)
					}
					switch then {
					case "taken":
						s.take("x")
					case "waited":
						s.now = s.now.Add(after)
					case "outlived":
						s.now = s.now.Add(time.Hour)
					}
					s.tick(t)
					s.expect(fmt.Sprintf("%s, crash %v", then, crash), want)
				}
			}
		})
	}
}

func TestProducerIsDeadAfterDoubtOnly(t *testing.T) {
	s := newStage(t)
	if err := errors.Join(s.commit("a", embedded.Fate{})); err != nil {
		t.Fatal(err)
	}
	if err := s.commit("b", embedded.Fate{Outcome: embedded.Refused}); !errors.Is(err, log.ErrUnavailable) {
		t.Fatal(err)
	}
	if err := s.commit("c", embedded.Fate{}); err != nil {
		t.Fatalf("after a refusal: %v", err)
	}
	if err := s.commit("d", embedded.Fate{Outcome: embedded.LostAfter}); !errors.Is(err, log.ErrInDoubt) {
		t.Fatal(err)
	}
	if err := s.commit("e", embedded.Fate{}); !errors.Is(err, log.ErrFenced) {
		t.Fatalf("after a doubt: %v", err)
	}
}

// A crash by fault ends the log after the outcome, and a power loss then
// leaves that outcome.
func TestCrashAtTheOutcome(t *testing.T) {
	for outcome, want := range map[embedded.Outcome]string{
		embedded.Commits:    "v 1..1 position",
		embedded.LostBefore: "0..0",
		embedded.LeftOpen:   "0..1 unstable open:x",
		embedded.Prepared:   "0..1 unstable open:x",
		embedded.Aborted:    "1..1",
	} {
		s := newStage(t)
		waiting := s.log.NewReader(log.ReaderOptions{})
		err := s.commit("v", embedded.Fate{Outcome: outcome, Crash: true, After: time.Hour})
		select {
		case <-waiting.Ready():
		default:
			t.Errorf("outcome %d: who waits is not told", outcome)
		}
		if !errors.Is(err, log.ErrInDoubt) {
			t.Errorf("outcome %d: %v", outcome, err)
		}
		if _, err := s.log.Topics(ctx); !errors.Is(err, log.ErrClosed) {
			t.Errorf("outcome %d: the log lives: %v", outcome, err)
		}
		s.kill(t)
		s.expect(fmt.Sprint("outcome ", outcome), want)
	}
}

// Topics can go while a transaction that wrote to them is open.
func TestDeletedTopicLeavesOpenTransactionsEndable(t *testing.T) {
	s := newStage(t)
	if err := s.log.CreateTopic(ctx, log.Topic{Name: "other"}); err != nil {
		t.Fatal(err)
	}
	s.commit("v", embedded.Fate{Outcome: embedded.Prepared, After: time.Hour})
	if err := s.log.DeleteTopic(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	s.kill(t)
	if err := s.log.CreateTopic(ctx, log.Topic{Name: "t"}); err != nil {
		t.Fatal(err)
	}
	s.expect("created again", "0..0 open:x")
	s.take("x")
	s.expect("ended", "0..0")
}

func TestFaultsNeedDeterminism(t *testing.T) {
	_, err := embedded.Open(t.TempDir(), embedded.Options{Faults: func(embedded.Attempt) embedded.Fate { return embedded.Fate{} }})
	if err == nil {
		t.Error("opened")
	}
}

// Commits under the old generation pass while a rebalance is prepared, and
// not once it is formed.
func TestRebalanceIsPreparedBeforeItForms(t *testing.T) {
	s := newStage(t)
	assign := func(members []log.MemberInfo) map[string][]byte { return map[string][]byte{members[0].ID: []byte("w")} }
	join := func() log.Member {
		m, err := s.log.Join("g", log.JoinOptions{Assign: assign})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	first := join()
	claim, _, err := first.Poll()
	if err != nil {
		t.Fatal(err)
	}
	commit := func() error {
		_, err := s.producer.Commit(ctx, &log.Txn{Claim: claim.GroupClaim, Positions: map[record.Partition]int64{s.at: 1}})
		return err
	}
	second := join()
	if err := commit(); err != nil {
		t.Fatalf("while it is prepared: %v", err)
	}
	if _, changed, _ := second.Poll(); changed {
		t.Error("a claim before the first member came along")
	}
	next, changed, err := first.Poll()
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	if err := commit(); !errors.Is(err, log.ErrGeneration) {
		t.Fatalf("after it formed: %v", err)
	}
	if claim = next; commit() != nil {
		t.Error("the new claim is refused")
	}
}

func TestGenerationMovesByFault(t *testing.T) {
	s := newStage(t)
	m, err := s.log.Join("g", log.JoinOptions{Assign: func(ms []log.MemberInfo) map[string][]byte { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	claim, _, err := m.Poll()
	if err != nil {
		t.Fatal(err)
	}
	s.fate = embedded.Fate{Outcome: embedded.Moved}
	if _, err := s.producer.Commit(ctx, &log.Txn{Claim: claim.GroupClaim}); !errors.Is(err, log.ErrGeneration) {
		t.Fatal(err)
	}
	if claim, _, err = m.Poll(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.producer.Commit(ctx, &log.Txn{Claim: claim.GroupClaim}); err != nil {
		t.Fatalf("under the new claim: %v", err)
	}
}
