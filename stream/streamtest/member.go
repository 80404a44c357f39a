package streamtest

import (
	"fmt"

	"github.com/tagtide/tagtide/stream"
	"github.com/tagtide/tagtide/stream/internal/store/pebblestore"
)

// A Member is one instance of the group, over all its lives. What it keeps on
// its disk outlives them.
type Member struct {
	t      *Tester
	number int
	disk   *pebblestore.Disk
	store  *pebblestore.Store
	driver *stream.Driver // nil: down
	frozen bool
	err    error
}

// Join adds a member to the group.
func (t *Tester) Join() *Member {
	t.tb.Helper()
	m := &Member{t: t, number: len(t.members), disk: pebblestore.NewDisk()}
	t.members = append(t.members, m)
	m.Restart()
	return m
}

// Restart starts a member that is down, with what is on its disk.
func (m *Member) Restart() {
	m.t.tb.Helper()
	if m.Up() {
		m.t.tb.Fatalf("streamtest: member %d is up", m.number)
		return
	}
	s, err := m.disk.Open(pebblestore.Options{Deterministic: true})
	m.t.must(err, "open the state of member %d", m.number)
	o := m.t.opts.Processor
	o.State = stream.NewState(s, fmt.Sprintf("member-%d", m.number))
	d, err := stream.NewDriver(m.t.ctx, m.t.Log(), m.t.graph, o)
	m.t.must(err, "start member %d", m.number)
	m.store, m.driver, m.err = s, d, nil
}

// Up tells whether the member is running.
func (m *Member) Up() bool { return m.driver != nil }

// Tasks tells what the member has; nothing when it is down.
func (m *Member) Tasks() []stream.TaskInfo {
	if !m.Up() {
		return nil
	}
	return m.driver.Tasks()
}

// Standbys tells which tasks of others the member keeps warm.
func (m *Member) Standbys() []stream.TaskInfo {
	if !m.Up() {
		return nil
	}
	return m.driver.Standbys()
}

// Freeze stops the member in its tracks, as a long pause of its machine does,
// until Thaw. The group gives it up when its session times out.
func (m *Member) Freeze() { m.frozen = true }

// Thaw lets a frozen member go on, as if nothing had been.
func (m *Member) Thaw() { m.frozen = false }

// Crash ends the member as a power loss does: what it has begun is forgotten,
// its disk keeps what was synced, and the group learns of it only when the
// session times out.
func (m *Member) Crash() {
	if m.Up() {
		m.disk = m.disk.Crash()
		m.close()
	}
}

// Stop ends the member in good order: it commits, hands over its tasks and
// leaves the group.
func (m *Member) Stop() {
	m.t.tb.Helper()
	if !m.Up() {
		return
	}
	m.driver.Stop()
	for deadline := m.t.now.Add(settleWithin); m.Up() && !m.driver.Stopped(); {
		m.t.work()
		if m.t.now.After(deadline) {
			m.t.tb.Fatalf("streamtest: member %d does not stop: %+v", m.number, m.Tasks())
			return
		}
		m.t.moveTo(m.t.next(m.t.now.Add(m.t.opts.Processor.SessionTimeout / 10)))
	}
	if m.Up() {
		m.t.must(m.driver.Leave(m.t.ctx), "member %d leaves", m.number)
		m.close()
	}
}

// Err is the error that ended the member; see [Options.MayFail].
func (m *Member) Err() error { return m.err }

// Visit runs a visitor on all keys of the member, and settles.
func (m *Member) Visit(name string) {
	m.t.tb.Helper()
	if !m.Up() {
		m.t.tb.Fatalf("streamtest: member %d is down", m.number)
		return
	}
	done, err := m.driver.Visit(name)
	m.t.must(err, "visit")
	for deadline := m.t.now.Add(settleWithin); m.Up(); {
		m.t.Settle()
		ended, err := done()
		m.t.must(err, "visit %s", name)
		if ended {
			return
		}
		if m.t.now.After(deadline) {
			m.t.tb.Fatalf("streamtest: visit %s does not end", name)
			return
		}
		m.t.moveTo(m.t.next(m.t.now.Add(m.t.opts.Processor.SessionTimeout / 10)))
	}
}

// turn does all that the member's goroutines would do now.
func (m *Member) turn() (busy bool) {
	m.t.tb.Helper()
	if !m.Up() || m.frozen {
		return false
	}
	for part := range m.driver.Parts() {
		if !m.driver.Awake(part, m.t.now) {
			continue
		}
		did, err := m.driver.Step(m.t.ctx, part, m.t.now)
		if err != nil {
			m.fail(err)
			return true
		}
		busy = busy || did
	}
	for _, j := range m.driver.Jobs() {
		j.Run(m.t.ctx)
		busy = true
	}
	return busy
}

// fail ends the member with an error.
func (m *Member) fail(err error) {
	m.t.tb.Helper()
	m.err = err
	_ = m.driver.Leave(m.t.ctx) // as a processor does, whatever comes of it
	m.close()
	if !m.t.opts.MayFail {
		m.t.tb.Fatalf("streamtest: member %d ended: %v", m.number, err)
	}
}

func (m *Member) close() {
	if m.Up() {
		m.driver.Close()
		m.driver, m.frozen = nil, false
		_ = m.store.Close() // on the disk in memory that was
	}
}
