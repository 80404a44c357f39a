//go:build kafka

package kafkalog

import (
	"errors"
	"testing"
	"time"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/record"
)

func TestALostAnswerIsInDoubtOnKafka(t *testing.T) { lostAnswers(t, realKafka(t)) }

// A member that was silent for too long wakes up with a full transaction and
// its old claim: it is refused, and what its successor committed stays.
func TestAZombieCannotCommitOnKafka(t *testing.T) {
	b := newBench(t, realKafka(t), Options{})
	const session = 6 * time.Second // the least that brokers take
	zombie, err := b.log.Join(b.prefix+"g", log.JoinOptions{Assign: everything, SessionTimeout: session})
	b.must(err)
	claim := claims(t, zombie, "held", held)
	p, err := b.log.Producer(t.Context(), b.prefix+"zombie")
	b.must(err)
	b.wire.stop()
	heir, err := b.sound.Join(b.prefix+"g", log.JoinOptions{Assign: everything})
	b.must(err)
	x := b.txn("heir", 7)
	x.Claim = claims(t, heir, "held", held).GroupClaim
	q, err := b.sound.Producer(t.Context(), b.prefix+"heir")
	b.must(err)
	b.must(ignoreReceipt(q.Commit(t.Context(), x)))
	b.wire.heal()
	late := b.txn("zombie", 5)
	late.Claim = claim.GroupClaim
	if _, err := p.Commit(t.Context(), late); !errors.Is(err, log.ErrGeneration) && !errors.Is(err, log.ErrInDoubt) {
		t.Errorf("the zombie: %v", err)
	}
	p, err = b.sound.Producer(t.Context(), b.prefix+"zombie") // ends what it may have left open
	b.must(err)
	b.must(p.Close())
	b.wants("heir")
	if b.position() != 7 {
		t.Errorf("position %d", b.position())
	}
	claims(t, zombie, "lost", isGone)
	b.must(heir.Leave(t.Context()))
}

// An instance that leaves makes room at once, also if it is static.
func TestAStaticMemberLeavesAtOnceOnKafka(t *testing.T) {
	b := newBench(t, realKafka(t), Options{})
	o := log.JoinOptions{Assign: everything, InstanceID: "i", SessionTimeout: 30 * time.Second}
	static, err := b.log.Join(b.prefix+"g", o)
	b.must(err)
	claims(t, static, "held", held)
	b.must(static.Leave(t.Context()))
	members, err := b.sound.Members(t.Context(), b.prefix+"g")
	b.must(err)
	if len(members) > 0 {
		t.Errorf("left, and still there: %+v", members)
	}
}

// A producer fences the one before it, also in the middle of a transaction.
func TestAStaleEpochCommitsNothingOnKafka(t *testing.T) {
	b := newBench(t, realKafka(t), Options{})
	old := b.producer(b.log)
	b.must(ignoreReceipt(old.Commit(t.Context(), b.txn("1", 1))))
	fresh := b.producer(b.sound)
	if _, err := old.Commit(t.Context(), b.txn("2", 2)); !errors.Is(err, log.ErrFenced) {
		t.Errorf("the old one: %v", err)
	}
	b.must(ignoreReceipt(fresh.Commit(t.Context(), b.txn("3", 3))))
	b.wants("1", "3")
}

// Of a group's positions only those are unstable that an open transaction may
// change. (kfake takes all of the group for unstable.)
func TestOnePositionIsUnstableOnKafka(t *testing.T) {
	brokers := realKafka(t)
	b := newBench(t, brokers, Options{})
	both := b.txn("1", 1)
	both.Positions[b.at[1]] = 5
	p := b.producer(b.log)
	b.must(ignoreReceipt(p.Commit(t.Context(), both)))
	b.must(p.Close())
	if b.position() != 1 {
		t.Errorf("position %d", b.position())
	}
	abandon(t, brokers, b.prefix+"x", &log.Txn{Positions: map[record.Partition]int64{b.at[0]: 9}, Claim: both.Claim})
	if _, err := b.sound.Positions(t.Context(), b.prefix+"g", b.at[0]); !errors.Is(err, log.ErrUnstable) {
		t.Errorf("what is about to change: %v", err)
	}
	got, err := b.sound.Positions(t.Context(), b.prefix+"g", b.at[1])
	if err != nil || got[b.at[1]] != 5 {
		t.Errorf("the other: %v, %v", got, err)
	}
	b.must(b.producer(b.log).Close())
	if b.position() != 1 {
		t.Errorf("afterwards position %d", b.position())
	}
}
