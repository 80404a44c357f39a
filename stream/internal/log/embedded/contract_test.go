package embedded_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/tagtide/tagtide/stream/internal/log"
	"github.com/tagtide/tagtide/stream/internal/log/embedded"
	"github.com/tagtide/tagtide/stream/internal/log/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContractOnDisk(t *testing.T) {
	logtest.Run(t, func(t *testing.T) logtest.Harness {
		dir := t.TempDir()
		l := open(t, dir, embedded.Options{})
		return logtest.Harness{Log: l, Kill: func(t *testing.T) log.Log {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, dir, embedded.Options{})
		}}
	})
}

func TestContractInSimulation(t *testing.T) {
	logtest.Run(t, func(t *testing.T) logtest.Harness { return newSim(t).harness() })
}

// open opens a log for the duration of the test.
func open(t testing.TB, dir string, o embedded.Options) *embedded.Log {
	t.Helper()
	l, err := embedded.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// A sim is a deterministic log on a file system that can lose power, with a
// clock, and with a fate for the next attempt to commit.
type sim struct {
	t    *testing.T
	fs   *vfs.MemFS
	now  time.Time
	fate embedded.Fate
	log  *embedded.Log
}

func newSim(t *testing.T) *sim {
	s := &sim{t: t, fs: vfs.NewCrashableMem(), now: time.Date(2021, 1, 2, 3, 4, 5, 0, time.UTC)}
	s.log = open(t, "log", s.options())
	return s
}

func (s *sim) options() embedded.Options {
	return embedded.Options{
		FS: s.fs, ID: "sim", Deterministic: true,
		Now: func() time.Time { return s.now },
		Faults: func(embedded.Attempt) embedded.Fate {
			f := s.fate
			s.fate = embedded.Fate{}
			return f
		},
	}
}

// kill loses power: what was not synced is gone. The old log lives on, on its
// old file system, as a process would that does not know yet.
func (s *sim) kill(t *testing.T) *embedded.Log {
	t.Helper()
	s.fs = s.fs.CrashClone(vfs.CrashCloneCfg{})
	s.log = open(t, "log", s.options())
	return s.log
}

func (s *sim) tick(t *testing.T) {
	t.Helper()
	if err := s.log.Tick(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func (s *sim) harness() logtest.Harness {
	return logtest.Harness{
		Log:  s.log,
		Kill: func(t *testing.T) log.Log { return s.kill(t) },
		Abandon: func(t *testing.T, id string, x *log.Txn) {
			p, err := s.log.Producer(context.Background(), id)
			if err != nil {
				t.Fatal(err)
			}
			s.fate = embedded.Fate{Outcome: embedded.LeftOpen}
			if _, err := p.Commit(context.Background(), x); !errors.Is(err, log.ErrInDoubt) {
				t.Fatalf("abandoned transaction: %v", err)
			}
		},
		Silence: func(t *testing.T, d time.Duration, but ...log.Member) {
			for end := s.now.Add(d); s.now.Before(end); {
				s.now = s.now.Add(time.Second)
				for _, m := range but {
					// A heartbeat that takes no claim.
					embedded.Heartbeat(m)
				}
				s.tick(t)
			}
		},
		Compact: func(t *testing.T) {
			if err := s.log.Compact(context.Background()); err != nil {
				t.Fatal(err)
			}
		},
		Advance: func(d time.Duration) { s.now = s.now.Add(d) },
	}
}
