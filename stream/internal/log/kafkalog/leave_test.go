package kafkalog

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tagtide/tagtide/stream/internal/log"
)

// long is a session that no test waits for the end of: a member that nobody
// ended makes the test fail.
const long = 2 * time.Minute

// remain are the ids of the group's members.
func remain(t *testing.T, l *Log, group string) (ids []string) {
	t.Helper()
	members, err := l.Members(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		ids = append(ids, m.ID)
	}
	return ids
}

// goesOn sees that a member comes and goes in the group at once, which it
// could not while the group waits for one that is no more.
func goesOn(t *testing.T, l *Log, group string) {
	t.Helper()
	m := joinOf(t, l, group, log.JoinOptions{SessionTimeout: long})
	claims(t, m, "held, though another left", held)
	if ids := remain(t, l, group); len(ids) != 1 {
		t.Errorf("members %q, want the one that came", ids)
	}
	if err := m.Leave(t.Context()); err != nil {
		t.Error(err)
	}
}

// A member that leaves while its first round waits for others leaves nothing
// behind, though no round has told it yet who it is.
func TestLeavingTheFirstRoundLeavesNothing(t *testing.T) {
	for instance, rounds := range map[string]int{"": 2, "i": 1} {
		t.Run(fmt.Sprintf("instance=%q", instance), func(t *testing.T) {
			c := quickSessions(t, 1)
			w := &wire{}
			stopped := join(t, open(t, Options{Brokers: c.ListenAddrs(), Dial: w.dial}), log.JoinOptions{SessionTimeout: long})
			first := claims(t, stopped, "held", held)
			w.stop()
			defer w.heal()
			l := open(t, Options{Brokers: c.ListenAddrs()})
			asked := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Observe: true, Count: -1})
			m := join(t, l, log.JoinOptions{SessionTimeout: long, InstanceID: instance})
			if err := asked.Wait(t.Context(), rounds); err != nil {
				t.Fatal(err)
			}
			if err := m.Leave(t.Context()); err != nil {
				t.Error(err)
			}
			if ids := remain(t, l, "g"); len(ids) != 1 || ids[0] != first.Member {
				t.Errorf("members %q, want only %q", ids, first.Member)
			}
		})
	}
}

// A member that leaves while the group names it waits for its name, and ends
// what has it. (kfake's groups do not wait for who was only named.)
func TestLeavingWhileTheGroupNamesLeavesNothing(t *testing.T) {
	c := quickSessions(t, 1)
	leaves := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.LeaveGroup}, Observe: true, Count: -1})
	leaveWhileNamed(t, c.ListenAddrs(), "g")
	if leaves.Hits() != 1 {
		t.Errorf("it left %d times, want once", leaves.Hits())
	}
}

func leaveWhileNamed(t *testing.T, brokers []string, group string) {
	t.Helper()
	w := &wire{}
	asked := w.hold(keyJoinGroup)
	m := joinOf(t, open(t, Options{Brokers: brokers, Dial: w.dial}), group, log.JoinOptions{SessionTimeout: long})
	<-asked
	time.AfterFunc(20*time.Millisecond, w.heal)
	if err := m.Leave(t.Context()); err != nil {
		t.Error(err)
	}
}

// A membership that was given up is ended by who leaves before the next, and
// else before the next begins, also when the first try is lost.
func TestWhatWasGivenUpIsEnded(t *testing.T) {
	for _, comesBack := range []bool{false, true} {
		t.Run(fmt.Sprintf("comes-back=%v", comesBack), func(t *testing.T) {
			c := quickSessions(t, 1)
			w := &wire{}
			l := open(t, Options{Brokers: c.ListenAddrs(), Dial: w.dial})
			m := join(t, l, log.JoinOptions{SessionTimeout: long})
			before := claims(t, m, "held", held)
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.UnknownMemberID}) // it has it all the same
			claims(t, m, "lost", isGone)
			if comesBack {
				cut := w.lose(keyLeaveGroup, false)
				m.Rejoin(nil)
				if claims(t, m, "held", held).Member == before.Member {
					t.Error("it came back as the member that was lost")
				}
				happened(t, cut)
			}
			if err := m.Leave(t.Context()); err != nil {
				t.Error(err)
			}
			if ids := remain(t, l, "g"); len(ids) > 0 {
				t.Errorf("members %q are left", ids)
			}
			goesOn(t, l, "g")
		})
	}
}
