package stream_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/log/embedded"
	"github.com/tagtide/tagtide/stream/internal/record"
)

// What is open when it is looked, and ends, is no fault.
func TestATransactionThatEndsIsNoFault(t *testing.T) {
	left := func(embedded.Attempt) embedded.Fate { return embedded.Fate{Outcome: embedded.LeftOpen} }
	keeper, err := embedded.OpenMemory(embedded.Options{Faults: left, Deterministic: true})
	if err != nil {
		t.Fatal(err)
	}
	l := stream.NewLog(keeper)
	t.Cleanup(func() { _ = l.Close() })
	if err := keeper.CreateTopic(t.Context(), log.Topic{Name: "signups", Partitions: 1, Cleanup: log.Delete}); err != nil {
		t.Fatal(err)
	}
	p, err := keeper.Producer(t.Context(), "users-1-0")
	if err != nil {
		t.Fatal(err)
	}
	b := &record.Builder{}
	b.Append(1, nil, []byte("v"))
	if _, err := p.Commit(t.Context(), &log.Txn{Writes: []log.Write{{Partition: record.Partition{Topic: "signups"}, Records: b}}}); err == nil {
		t.Fatal("it was to be open for a while")
	}
	if open, err := keeper.OpenTransactions(t.Context()); len(open) != 1 || err != nil {
		t.Fatalf("open are %v, %v", open, err)
	}
	ended := make(chan error, 1)
	go func() {
		time.Sleep(300 * time.Millisecond)
		_, err := keeper.Producer(t.Context(), "users-1-0")
		ended <- err
	}()
	if f, err := stream.CheckOpen(t.Context(), l, users(), 20*time.Second); f.Fault != "" || err != nil {
		t.Errorf("%q, %v", f.Fault, err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// On a shared log others may have transactions open at any time.
func TestOnlyTheGroupsOpenTransactionsAreItsFault(t *testing.T) {
	left := func(embedded.Attempt) embedded.Fate { return embedded.Fate{Outcome: embedded.LeftOpen} }
	keeper, err := embedded.OpenMemory(embedded.Options{Faults: left, Deterministic: true})
	if err != nil {
		t.Fatal(err)
	}
	l := stream.NewLog(keeper)
	t.Cleanup(func() { _ = l.Close() })
	leave := func(id, topic string) {
		if err := keeper.CreateTopic(t.Context(), log.Topic{Name: topic, Partitions: 1, Cleanup: log.Delete}); err != nil {
			t.Fatal(err)
		}
		p, err := keeper.Producer(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		b := &record.Builder{}
		b.Append(1, nil, []byte("v"))
		if _, err := p.Commit(t.Context(), &log.Txn{Writes: []log.Write{{Partition: record.Partition{Topic: topic}, Records: b}}}); err == nil {
			t.Fatal("it was to be left open")
		}
	}
	for _, step := range []struct{ id, topic, names string }{
		{"somebody", "elsewhere", ""},
		{"a-producer", "signups", "a-producer"},
		{"users-1-0", "wherever", "users-1-0"},
	} {
		leave(step.id, step.topic)
		f, err := stream.CheckOpen(t.Context(), l, users(), 300*time.Millisecond)
		if err != nil || !strings.Contains(f.Fault, step.names) || strings.Contains(f.Fault, "somebody") || step.names == "" && f.Fault != "" {
			t.Errorf("after %s: %q, %v", step.id, f.Fault, err)
		}
	}
}
