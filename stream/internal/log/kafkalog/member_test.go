package kafkalog

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// quick is a session that tests can wait for the end of.
const quick = 600 * time.Millisecond

func quickSessions(t *testing.T, brokers int) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(brokers), kfake.GroupMinSessionTimeout(quick/2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// everything gives each member its own id as work.
func everything(members []log.MemberInfo) map[string][]byte {
	plan := map[string][]byte{}
	for _, m := range members {
		plan[m.ID] = []byte(m.ID)
	}
	return plan
}

func join(t *testing.T, l *Log, o log.JoinOptions) log.Member {
	t.Helper()
	return joinOf(t, l, "g", o)
}

func joinOf(t *testing.T, l *Log, group string, o log.JoinOptions) log.Member {
	t.Helper()
	if o.Assign == nil {
		o.Assign = everything
	}
	m, err := l.Join(group, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// claims polls until the claim is so.
func claims(t *testing.T, m log.Member, what string, so func(log.Claim) bool) log.Claim {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	for {
		c, _, err := m.Poll()
		if err != nil {
			t.Fatal(err)
		}
		if so(c) {
			return c
		}
		select {
		case <-m.Ready():
		case <-deadline.C:
			t.Fatalf("waited in vain for a claim %s, have %+v", what, c)
		}
	}
}

func held(c log.Claim) bool   { return len(c.Assignment) > 0 && !c.Lost }
func isGone(c log.Claim) bool { return c.Lost }
func newer(than log.Claim) func(log.Claim) bool {
	return func(c log.Claim) bool { return c.Generation > than.Generation }
}

// A member whose group does not answer is lost when its session is over, says
// so by itself, and comes back as another when it is told to.
func TestAMemberThatHearsNothingIsLost(t *testing.T) {
	c := quickSessions(t, 1)
	w := &wire{}
	l := open(t, Options{Brokers: c.ListenAddrs(), Dial: w.dial})
	m := join(t, l, log.JoinOptions{SessionTimeout: quick})
	before := claims(t, m, "held", held)
	w.stop()
	gone := claims(t, m, "lost", isGone)
	if gone.Member != before.Member || gone.Generation != before.Generation {
		t.Errorf("lost %+v, had %+v", gone, before)
	}
	if claim, changed, err := m.Poll(); err != nil || changed || !claim.Lost {
		t.Errorf("then %+v %v %v", claim, changed, err)
	}
	w.heal()
	m.Rejoin(nil)
	if after := claims(t, m, "held", held); after.Member == before.Member {
		t.Error("it came back as the member that was lost")
	}
}

// A group that has forgotten a member says so with the next beat.
func TestAMemberThatTheGroupForgotIsLost(t *testing.T) {
	c := quickSessions(t, 1)
	l := open(t, Options{Brokers: c.ListenAddrs()})
	m := join(t, l, log.JoinOptions{})
	claims(t, m, "held", held)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.UnknownMemberID})
	claims(t, m, "lost", isGone)
}

// Connections that are lost, whatever is on the way, cost a member nothing:
// it is the same afterwards, and was never lost.
func TestAMembershipOutlivesItsConnections(t *testing.T) {
	c := quickSessions(t, 2)
	for name, key := range map[string]int16{"JoinGroup": keyJoinGroup, "SyncGroup": keySyncGroup, "Heartbeat": keyHeartbeat} {
		for _, sent := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/arrived=%v", name, sent), func(t *testing.T) {
				w := &wire{}
				l := open(t, Options{Brokers: c.ListenAddrs(), Dial: w.dial})
				m := join(t, l, log.JoinOptions{SessionTimeout: 10 * time.Second})
				before := claims(t, m, "held", held)
				cut := w.lose(key, sent)
				m.Rejoin([]byte("again"))
				<-cut
				after := claims(t, m, "after it", newer(before))
				if after.Lost || after.Member != before.Member {
					t.Errorf("before %+v, after %+v", before, after)
				}
				if err := m.Leave(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// Answers that say that the coordinator is elsewhere, or busy, cost nothing either.
func TestAMembershipFollowsItsCoordinator(t *testing.T) {
	c := quickSessions(t, 3)
	l := open(t, Options{Brokers: c.ListenAddrs()})
	m := join(t, l, log.JoinOptions{})
	claim := claims(t, m, "held", held)
	for _, key := range []kmsg.Key{kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat} {
		for _, e := range []*kerr.Error{kerr.NotCoordinator, kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress, kerr.RebalanceInProgress} {
			c.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: e})
			m.Rejoin(nil)
			next := claims(t, m, "after "+key.Name()+" "+e.Message, newer(claim))
			if next.Lost || next.Member != claim.Member {
				t.Fatalf("%s %s: before %+v, after %+v", key.Name(), e.Message, claim, next)
			}
			claim = next
		}
	}
}

// What no retry mends ends the membership with an error that says what to do.
func TestErrorsThatEndAMembership(t *testing.T) {
	for _, e := range []*kerr.Error{
		kerr.GroupAuthorizationFailed, kerr.InconsistentGroupProtocol, kerr.FencedInstanceID, kerr.GroupMaxSizeReached,
	} {
		c := quickSessions(t, 1)
		c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Err: e, Count: -1})
		m := join(t, open(t, Options{Brokers: c.ListenAddrs()}), log.JoinOptions{InstanceID: "i"})
		<-m.Ready()
		if _, _, err := m.Poll(); err == nil || errors.Is(err, log.ErrFenced) != (e == kerr.FencedInstanceID) {
			t.Errorf("%s: %v", e.Message, err)
		}
		if err := m.Leave(t.Context()); err != nil {
			t.Errorf("%s: leave: %v", e.Message, err)
		}
	}
}

// While a stopped member holds a rebalance open, the others keep their claims
// and are heard; when its session is over they go on without it.
func TestAStoppedMemberDoesNotStopTheOthers(t *testing.T) {
	c := quickSessions(t, 1)
	const session = 4 * quick
	w := &wire{}
	stopped := join(t, open(t, Options{Brokers: c.ListenAddrs(), Dial: w.dial}), log.JoinOptions{SessionTimeout: session})
	m := join(t, open(t, Options{Brokers: c.ListenAddrs()}), log.JoinOptions{SessionTimeout: session})
	claims(t, stopped, "held", held)
	first := claims(t, m, "held", held)
	other := claims(t, stopped, "of both", func(c log.Claim) bool { return c.Generation >= first.Generation })
	both := claims(t, m, "of both", func(c log.Claim) bool { return c.Generation == other.Generation })
	w.stop()
	beats := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Observe: true, Count: -1})
	m.Rejoin(nil)
	if err := beats.Wait(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	if claim, changed, err := m.Poll(); err != nil || changed || claim.Generation != both.Generation {
		t.Errorf("meanwhile: %+v %v %v", claim, changed, err)
	}
	alone := claims(t, m, "without the other", newer(both))
	if alone.Lost || alone.Member != both.Member {
		t.Errorf("had %+v, has %+v", both, alone)
	}
	claims(t, stopped, "lost", isGone)
	w.heal()
}
